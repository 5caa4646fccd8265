"""Masks of gated branches: relaxed Bernoulli draws, and the sum of branches that they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.autograd.function import once_differentiable

from stzoo.nets.layout import Activation, layout

_SMALLEST = torch.finfo(torch.float32).tiny
_LARGEST = 1.0 - torch.finfo(torch.float32).eps / 2
_IN_CACHE = 65_536
"""How many values a processor widens to single precision at a time, so that it finds them in its cache again."""


def relaxed(
    logit: Float[Tensor, "*_gates"], uniform: Float32[Tensor, "*_draws"], temperature: float
) -> Float32[Tensor, "*_draws"]:
    """Keep masks in [0, 1] for draws in [0, 1], of gates whose logits are broadcast.

    Computed in double precision, so that a mask does not depend on how many are computed beside it.
    """
    u = uniform.clamp(_SMALLEST, _LARGEST).double()
    noise = torch.log(u) - torch.log1p(-u)
    return torch.sigmoid(-(logit.double() + noise) / temperature).float()


def weighed(x: Activation, mask: Float32[Tensor, " clips"]) -> Activation:
    """Every clip times its mask."""
    return masked_sum([x], [mask])


def masked_sum(branches: Sequence[Activation], masks: Sequence[Float32[Tensor, " clips"]]) -> Activation:
    """The sum of what branches give, every clip of each times its mask."""
    rows = [layout().per_row(mask, y) for y, mask in zip(branches, masks, strict=True)]
    return _MaskedSum.apply(*branches, *rows)


class _MaskedSum(torch.autograd.Function):
    """`masked_sum` in one pass a branch, a mask a row; gradients of masks are summed in single precision at least."""

    @staticmethod
    def forward(ctx: Any, *branches_and_masks: Tensor) -> Tensor:
        half = len(branches_and_masks) // 2
        branches, masks = branches_and_masks[:half], branches_and_masks[half:]
        of_rows = [_of_rows(mask, y) for y, mask in zip(branches, masks, strict=True)]
        total = branches[0] * of_rows[0]
        for y, mask in zip(branches[1:], of_rows[1:], strict=True):
            total.addcmul_(y, mask)
        ctx.save_for_backward(*branches_and_masks)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        half = len(saved) // 2
        flat = gradient.flatten(1)
        if not _in_pieces(flat):
            flat = flat.to(torch.promote_types(flat.dtype, torch.float32))
        of_branches, of_masks = [], []
        for number, (y, mask) in enumerate(zip(saved[:half], saved[half:], strict=True)):
            to_branch, to_mask = ctx.needs_input_grad[number], ctx.needs_input_grad[half + number]
            of_branches.append(gradient * _of_rows(mask, gradient) if to_branch else None)
            of_masks.append(_products(flat, y.flatten(1)).to(mask.dtype) if to_mask else None)
        return *of_branches, *of_masks


def _in_pieces(a: Float[Tensor, "rows values"]) -> bool:
    """Whether products are summed a piece at a time: in 16 bits on a CPU, but for what a compiler would unroll."""
    is_wide = a.dtype == torch.promote_types(a.dtype, torch.float32)
    return a.device.type == "cpu" and not is_wide and bool(a.numel()) and not torch.compiler.is_compiling()


def _products(a: Float[Tensor, "rows values"], b: Float[Tensor, "rows values"]) -> Float[Tensor, " rows"]:
    """Each row of `a` times that of `b`, in single precision at least."""
    if not _in_pieces(a):
        return torch.linalg.vecdot(a, b.to(a.dtype))
    rows = [zip(row.split(_IN_CACHE), other.split(_IN_CACHE), strict=True) for row, other in zip(a, b, strict=True)]
    return torch.stack([torch.stack([p.float().dot(q.float()) for p, q in row]).sum() for row in rows])


def _of_rows(mask: Tensor, y: Tensor) -> Tensor:
    return mask.to(y.dtype).view(-1, *[1] * (y.ndim - 1))
