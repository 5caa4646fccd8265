"""The same outputs from fewer operations: branches summed into one convolution, norms folded into convolutions.

Only a norm that follows a convolution is folded: before one, its shift would have to reach into the zeros beyond the
border. What cannot be folded becomes one scale and one shift.

`merge` knows the blocks that all backbones are built of. A backbone's own module says about itself, as class attributes
and as far as it is true, what an `nn.Sequential` says by its order:

follows   {norm: module} where the norm takes what the module gives, and nothing else takes it
ends      (first, last) where all that comes in goes to the first alone, and all that goes out comes from the last
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stzoo.errors import UsageError
from stzoo.nets.fusion import Closed, Fusion, named_gates
from stzoo.nets.layers import Activation, Conv
from stzoo.nets.norm import Affine, ScaleAndShift, Statistics


class Constant(nn.Module):
    """A closed site and the norm after it: the same number at every position of a channel."""

    value: Tensor

    def __init__(self, value: Float[Tensor, " channels"]) -> None:
        super().__init__()
        self.register_buffer("value", value)

    def forward(self, x: Activation) -> Activation:
        return self.value.to(x.dtype).expand(*x.shape[:-1], -1).contiguous()


def merge(net: nn.Module) -> nn.Module:
    """A copy of a fixed net for inference: the same outputs to rounding, and neither batch norms nor gradients.

    Its modules and weights are no longer those of an architecture, so it cannot be trained, grown, pruned or saved in a
    bundle. A net without batch norms, such as a merged one, is returned itself.

    Raises `UsageError` for a template and for a net in training mode.
    """
    if any(True for _ in named_gates(net)):
        raise UsageError("a template has random outputs and cannot be merged; prune a strategy out of it first")
    norms = [module for module in net.modules() if isinstance(module, Statistics)]
    if not norms:
        return net
    if any(norm.training for norm in norms):
        raise UsageError("the net to merge is in training mode, where its norms follow the clips; call eval() first")
    merged = copy.deepcopy(net).requires_grad_(False)
    merged.architecture = None  # type: ignore[assignment]
    with torch.no_grad():
        _merge(merged)
    return merged


def _merge(module: nn.Module) -> None:
    """Merges what is inside the module, the innermost first."""
    for child in module.children():
        _merge(child)
    if isinstance(module, Fusion):
        _merge_branches(module)
    for name, before in _follows(module).items():
        norm = module.get_submodule(name)
        if isinstance(norm, Statistics):
            folded = _folded(module.get_submodule(before), norm.scale_and_shift())
            if folded is not None:
                setattr(module, before, folded)
                setattr(module, name, nn.Identity())
    for name, child in module.named_children():
        if isinstance(child, Statistics):
            setattr(module, name, _affine(child))


def _merge_branches(site: Fusion) -> None:
    """Gives every branch the statistics that all share, and makes one convolution of branches that are nothing else."""
    branches = list(site.branches.values())
    firsts = [affine for branch in branches if isinstance(affine := _end(branch, 0), Affine)]
    if isinstance(site.shared, Statistics) and len(firsts) == len(branches):
        scale, shift = site.shared.scale_and_shift()
        for affine in firsts:
            affine.bias.add_(shift * affine.weight)
            affine.weight.mul_(scale)
        site.shared = nn.Identity()
    convs = [conv for branch in branches if isinstance(conv := _end(branch, 0), Conv) and conv is _end(branch, -1)]
    if len(convs) == len(branches) > 1 and (total := _sum(convs)):
        site.branches = nn.ModuleDict({"+".join(site.branches): total})


def _sum(convs: list[Conv]) -> Conv | None:
    """The convolution with the largest kernel, the others added to its middle; None where they do not fit into it."""
    largest = max(convs, key=lambda conv: conv.weight[0, 0].numel())
    others = [conv for conv in convs if conv is not largest]
    margins = [
        [most - own for most, own in zip(largest.weight.shape[1:], conv.weight.shape[1:], strict=True)]
        for conv in others
    ]
    if any(min(margin) < 0 or margin[0] for margin in margins) or len({conv.stride for conv in convs}) > 1:
        return None
    for conv, (_, *margin) in zip(others, margins, strict=True):
        middle: Tensor = largest.weight
        for dimension, size in enumerate(margin, start=2):
            middle = middle.narrow(dimension, size // 2, middle.shape[dimension] - size)
        middle.add_(conv.weight)
    return largest


def _folded(module: nn.Module, norm: ScaleAndShift) -> nn.Module | None:
    """The module with its output scaled and shifted; None where it does not end in convolutions that can do so."""
    scale, shift = norm
    if isinstance(module, Closed):
        return Constant(shift)
    convs = _outputs(module)
    for conv in convs:
        conv.weight.mul_(scale.view(-1, 1, 1, 1, 1))
    if convs:
        assert all(conv.bias is None for conv in convs)
        convs[0].bias = shift.to(convs[0].weight.dtype)
    return module if convs else None


def _outputs(module: nn.Module) -> list[Conv]:
    """The convolutions whose sum is the module's output; empty where the output is something else."""
    if isinstance(module, Fusion):
        found = [_outputs(branch) for branch in module.branches.values()]
        return [conv for convs in found for conv in convs] if all(found) else []
    last = _end(module, -1)
    return [last] if isinstance(last, Conv) else []


def _affine(norm: Statistics) -> Affine:
    scale, shift = norm.scale_and_shift()
    affine = Affine(len(scale)).to(norm.running_var).requires_grad_(False)
    affine.weight.copy_(scale)
    affine.bias.copy_(shift)
    return affine.eval()


def _follows(module: nn.Module) -> Mapping[str, str]:
    if type(module) is nn.Sequential:
        names = list(module._modules)
        return dict(zip(names[1:], names, strict=False))
    return getattr(module, "follows", {})


def _end(module: nn.Module, index: int) -> nn.Module:
    """The innermost module that takes all the input (index 0) or gives all the output (index -1)."""
    names = list(module._modules) if type(module) is nn.Sequential else getattr(module, "ends", [])
    return _end(module.get_submodule(names[index]), index) if names else module
