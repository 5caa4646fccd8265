"""The same outputs from fewer operations: branches summed into one convolution, norms folded into convolutions.

Only a norm that follows a convolution is folded: before one, its shift would have to reach into the zeros beyond the
border. What cannot be folded becomes one scale and one shift.

`merge` knows the blocks that all backbones are built of. A backbone's own module says about itself, as class attributes
and as far as it is true, what an `nn.Sequential` says by its order:

follows   {norm: modules} where the norm takes the sum of what the modules give, and nothing else takes it; of a site,
          "unit" is what goes into its tail, "unit late" what is added to what leaves it
ends      (first, last) where all that comes in goes to the first alone, and all that goes out comes from the last
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from stzoo.errors import UsageError
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import Closed, Fusion, named_gates
from stzoo.nets.layers import Conv
from stzoo.nets.norm import Affine, BatchNorm, Statistics

Net = TypeVar("Net", bound=nn.Module)


def merge(net: Net) -> Net:
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
    if isinstance(merged, Classifier):
        merged.architecture = None
    with torch.no_grad():
        _merge(merged)
    return merged


def _merge(net: nn.Module) -> None:
    for site in [module for module in net.modules() if isinstance(module, Fusion)]:
        _share_out_statistics(site)
        _sum_branches(site)
    for module in list(net.modules()):
        for name, before in _follows(module).items():
            norm = module.get_submodule(name)
            if type(norm) is BatchNorm and _fold(norm, [end for path in before for end in _outputs(module, path)]):
                module.set_submodule(name, nn.Identity())
    for name, norm in [(name, module) for name, module in net.named_modules() if isinstance(module, Statistics)]:
        net.set_submodule(name, norm.merged())


def _share_out_statistics(site: Fusion) -> None:
    """Gives every branch that begins with a scale and a shift the statistics that all share."""
    firsts = [first for branch in site.branches.values() if isinstance(first := _end(branch, 0), Affine)]
    if type(site.shared) is Statistics and len(firsts) == len(site.branches):
        scale, shift = site.shared.scale_and_shift()
        for affine in firsts:
            affine.bias.add_(shift * affine.weight)
            affine.weight.mul_(scale)
        site.shared = nn.Identity()


def _sum_branches(site: Fusion) -> None:
    """Makes one convolution of branches that are convolutions and nothing else, and are added at the same place."""
    convs = {name: conv for name, branch in site.branches.items() if isinstance(conv := _whole(branch), Conv)}
    if (
        len(site.early) > 1
        and convs.keys() >= set(site.early)
        and (total := _sum([convs[name] for name in site.early]))
    ):
        late = {name: site.branches[name] for name in site.late}
        site.early = ("+".join(site.early),)
        site.branches = nn.ModuleDict({site.early[0]: total, **late})


def _sum(convs: list[Conv]) -> Conv | None:
    """The convolution with the largest kernel, the others added to its middle; None where they do not fit into it."""
    largest = max(convs, key=lambda conv: conv.weight[0, 0].numel())
    others = [conv for conv in convs if conv is not largest]
    margins = [
        [most - size for most, size in zip(largest.weight.shape[1:], conv.weight.shape[1:], strict=True)]
        for conv in others
    ]
    if any(min(margin) < 0 or margin[0] for margin in margins) or len({conv.stride for conv in convs}) > 1:
        return None
    for conv, (_, *margin) in zip(others, margins, strict=True):
        middle: Tensor = largest.weight
        for dimension, size in enumerate(margin, start=2):
            middle = middle.narrow(dimension, size // 2, middle.shape[dimension] - size)
        middle.add_(conv.weight)
        if largest.bias is not None and conv.bias is not None:
            largest.bias.add_(conv.bias)
    return largest


def _fold(norm: BatchNorm, ends: list[nn.Module]) -> bool:
    """Lets the modules whose sum the norm takes do its work, if all of them can."""
    convs = [end for end in ends if isinstance(end, Conv | nn.Conv2d)]
    able: list[Conv | nn.Conv2d | Closed] = [*convs, *(end for end in ends if isinstance(end, Closed))]
    if not able or len(able) < len(ends):
        return False
    scale, shift = norm.scale_and_shift()
    for conv in convs:
        conv.weight.mul_(scale.view(-1, *[1] * (conv.weight.ndim - 1)))
        if conv.bias is not None:
            conv.bias.mul_(scale)
    _shift(able[0], shift.to(norm.running_var.dtype))
    return True


def _shift(end: Conv | nn.Conv2d | Closed, shift: Tensor) -> None:
    """Lets the outputs of a module be larger by so much a channel."""
    if end.bias is not None:
        end.bias.add_(shift)
    elif isinstance(end, nn.Conv2d):
        end.bias = nn.Parameter(shift, requires_grad=False)
    else:
        end.bias = shift


def _follows(module: nn.Module) -> Mapping[str, Iterable[str]]:
    if isinstance(module, nn.Sequential):
        names = list(module._modules)
        return {name: (before, f"{before} late") for before, name in itertools.pairwise(names)}
    return getattr(module, "follows", {})


def _outputs(module: nn.Module, path: str) -> list[nn.Module]:
    """The innermost modules whose sum is what stands at a path of `follows`; none where that part is not built."""
    name, _, part = path.partition(" ")
    before = module.get_submodule(name)
    if isinstance(before, Fusion):
        return [_end(before.branches[branch], -1) for branch in (before.late if part else before.early)]
    if isinstance(before, Closed):
        return [before] if before.feeds_tail != bool(part) else []
    return [] if part or isinstance(before, nn.Identity) else [_end(before, -1)]


def _end(module: nn.Module, index: int) -> nn.Module:
    """The innermost module that takes all the input (index 0) or gives all the output (index -1)."""
    names = list(module._modules) if isinstance(module, nn.Sequential) else getattr(module, "ends", [])
    return _end(module.get_submodule(names[index]), index) if names else module


def _whole(module: nn.Module) -> nn.Module | None:
    """The one module that another comes down to, if it does."""
    first = _end(module, 0)
    return first if first is _end(module, -1) else None
