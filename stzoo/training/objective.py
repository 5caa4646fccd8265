"""What a template is trained on: cross-entropy plus the divergence of its gates and weights from their prior."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import named_gates
from stzoo.nets.layers import Conv
from stzoo.recipe import ObjectiveForm

NO_PRICES: Mapping[tuple[str, str], float] = MappingProxyType({})


def divergence(
    template: Classifier,
    *,
    k: float,
    samples: int,
    form: ObjectiveForm = "coded",
    prices: Mapping[tuple[str, str], float] = NO_PRICES,
) -> Float[Tensor, ""]:
    """The regulariser of variational DropPath, summed over all gates; 0 for a net without gates.

    With drop probability p, the gated convolution's weights w and N training `samples`, a gate adds

    - `coded`: (k / N) (1 - p) ||w||^2 + (1 / N) (p log p + (1 - p) log(1 - p)), to which the published k belong;
    - `eq5`: (k^2 / 2N) (1 - p) ||w||^2 + (1 / N) p log p, as printed;
    - `cost`: k (1 - p) price + (1 / N) (p log p + (1 - p) log(1 - p)), where `prices` has the branch's share of the
      net's multiply-adds by site and branch. It leaves the weights alone, and the number of samples does not matter.

    Written with log-sigmoids, so that value and gradient are finite at p -> 0 and p -> 1, and computed in at least
    single precision.

    Reference: Eq. 5 and S12, Zhou et al. 2020; the entropy of `coded` has both sides, as Prop. 4 (S10) does.
    """
    gates = list(named_gates(template))
    if not gates:
        return torch.zeros(())
    logit = torch.stack([gate.logit for _, _, gate, _ in gates])
    logit = logit.to(torch.promote_types(logit.dtype, torch.float32))
    keep = torch.sigmoid(-logit)
    entropy = torch.sigmoid(logit) * F.logsigmoid(logit)
    if form != "eq5":
        entropy = entropy + keep * F.logsigmoid(-logit)
    if form == "cost":
        of_branches = logit.new_tensor([prices[site, name] for site, name, _, _ in gates])
        return k * (keep @ of_branches) + entropy.sum() / samples
    weights = [module.weight for _, _, _, branch in gates for module in branch.modules() if isinstance(module, Conv)]
    assert len(weights) == len(gates), "a branch has one convolution"
    squared_norms = _SquaredNorms.apply(logit.dtype, *weights)
    return ((k * k / 2.0 if form == "eq5" else k) * (keep @ squared_norms) + entropy.sum()) / samples


class _SquaredNorms(torch.autograd.Function):
    """The squared norm of each weight, in the given precision."""

    @staticmethod
    def forward(ctx: Any, precision: torch.dtype, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(*weights)
        return torch.stack(torch._foreach_norm(weights, 2, dtype=precision)).square()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, *torch._foreach_mul(list(ctx.saved_tensors), list((2.0 * gradient).unbind()))
