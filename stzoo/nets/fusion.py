"""Where the branches of a site meet: gates, fusion, and the two ways of building a site.

A backbone asks `fuse` for each of its sites and never knows whether it becomes a template or a fixed net.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial, reduce
from itertools import repeat
from types import MappingProxyType
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from stzoo.nets.layout import Activation, Size, layout
from stzoo.nets.masks import masked_sum, relaxed, weighed
from stzoo.nets.norm import Affine, Statistics
from stzoo.nets.rectify import has_its_batch, rectified_by_each
from stzoo.strategies.strategy import Site, Strategy, open_branches

KERNELS: dict[str, Size] = {"S": (1, 1, 1), "T": (3, 1, 1), "ST": (3, 1, 1)}
"""The kernel of each branch's convolution. A 1x3x3 convolution behind the site completes S and ST; T has none."""

LATE = ("T",)
"""The branches that join behind the tail, which is the 1x3x3 convolution with what belongs to it."""


class Gate(nn.Module):
    """Variational DropPath of one branch: a learnt drop probability and its relaxed Bernoulli mask.

    The mask is 1 - sigmoid((logit(drop) + noise) / temperature) with logistic noise, one draw for every clip, so that
    P(mask < 1/2) = drop exactly. Masks are not rescaled, and stay in float32 under autocast.

    `uniform` holds the draws in (0, 1) for the next forward pass; None takes them from torch's generator. `given` holds
    masks that stand in place of drawn ones.

    Reference: Eq. S13 in its well-defined reading, Zhou et al. 2020.
    """

    def __init__(self, initial_drop: float, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.logit = nn.Parameter(torch.tensor(math.log(initial_drop) - math.log1p(-initial_drop)))
        self.uniform: Float32[Tensor, " clips"] | None = None
        self.given: Float32[Tensor, " clips"] | None = None

    @property
    def drop(self) -> Float[Tensor, ""]:
        """The probability that the branch is dropped."""
        return torch.sigmoid(self.logit)

    def forward(self, x: Activation) -> Activation:
        return weighed(x, self.draw(x))

    def draw(self, x: Activation) -> Float32[Tensor, " clips"]:
        """The masks of the next forward pass, one for every clip of `x`."""
        if self.given is not None:
            return self.given
        return self.mask(torch.rand(layout().clips_of(x), device=x.device) if self.uniform is None else self.uniform)

    def mask(self, uniform: Float32[Tensor, " clips"]) -> Float32[Tensor, " clips"]:
        """The relaxed keep mask in [0, 1] for the given draws."""
        return relaxed(self.logit, uniform, self.temperature)


Tail = Callable[[Activation], Activation]


class Fusion(nn.Module):
    """The sum of a site's branches, each behind its gate if it has one.

    `shared` runs once, before all branches. `forward` may be given the `tail` of the site, which the backbone owns: it
    takes the sum of the branches, but for those in `late`, which are added to what leaves the tail.

    Where a site has late branches, the tail belongs to the early ones: a fixed net with none of them open has no tail,
    and a template weighs the tail's output with the mask that one of them at least is open, 1 - prod(1 - mask).
    """

    def __init__(
        self,
        site: str,
        branches: Mapping[str, nn.Module],
        shared: nn.Module,
        gates: Mapping[str, Gate] | None = None,
        late: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.site = site
        self.shared = shared
        self.branches = nn.ModuleDict(dict(branches))
        self.gates = nn.ModuleDict(dict(gates or {}))
        self.late = tuple(name for name in branches if name in late)
        self.early = tuple(name for name in branches if name not in late)

    @property
    def feeds_tail(self) -> bool:
        """Whether anything passes the site's tail."""
        return bool(self.early)

    def forward(self, x: Activation, tail: Tail | None = None) -> Activation:
        masks = {name: gate.draw(x) for name, gate in self.gates.items()}  # type: ignore[operator]
        branches = self._branches(x)
        if not self.early:
            return _sum(branches, self.late, masks)
        y = _sum(branches, self.early, masks)
        if tail is not None:
            y = tail(y)
        if not self.late:
            return y
        if masks:
            y = weighed(y, 1.0 - torch.stack([1.0 - masks[name] for name in self.early]).prod(dim=0))
        return y + _sum(branches, self.late, masks)

    def _branches(self, x: Activation) -> dict[str, Callable[[], Activation]]:
        """What computes each of the branches, by its name."""
        shared = self.shared
        if type(shared) is Statistics and self._take_rectified and has_its_batch(shared, x):
            norms = [cast(Affine, branch.norm) for branch in self.branches.values()]
            inputs = zip(self.branches.items(), rectified_by_each(shared, norms, x), strict=True)
            return {name: partial(branch, y, is_rectified=True) for (name, branch), y in inputs}
        x = shared(x)
        return {name: partial(branch, x) for name, branch in self.branches.items()}

    @property
    def _take_rectified(self) -> bool:
        """Whether all branches begin with a scale and a shift of their own and ReLU, which may be done before."""
        return all(getattr(branch, "takes_rectified", False) for branch in self.branches.values())


def _sum(
    branches: Mapping[str, Callable[[], Activation]],
    names: Collection[str],
    masks: Mapping[str, Float32[Tensor, " clips"]],
) -> Activation:
    """The sum of the named branches, each with its mask where there are masks."""
    if masks:
        return masked_sum([branches[name]() for name in names], [masks[name] for name in names])
    return reduce(operator.add, (branches[name]() for name in names))


class Closed(nn.Module):
    """A site without branches: zeros, as wide as the branches would have been.

    They pass the site's tail, whose norm turns them into a constant, unless the tail belongs to the early branches; the
    zeros then stand for what leaves the tail, with its spatial `stride`. They are a `bias`
    instead once a norm has been folded into them.
    """

    bias: Tensor | None

    def __init__(self, channels: int, stride: int = 1, feeds_tail: bool = True) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride
        self.feeds_tail = feeds_tail
        self.register_buffer("bias", None)

    def forward(self, x: Activation, tail: Tail | None = None) -> Activation:
        shape = list(layout().thinned(x, self.stride).shape)
        shape[layout().channels] = self.channels
        y = x.new_zeros(shape)
        if self.bias is not None:
            y += layout().along_channels(self.bias)
        return tail(y) if tail is not None and self.feeds_tail else y


def behind(unit: nn.Module, build: Callable[[], nn.Module]) -> nn.Module:
    """A part of the tail behind a site's `unit`: built, unless nothing passes the tail."""
    return build() if unit.feeds_tail else nn.Identity()


Factories = Mapping[str, Callable[[], nn.Module]]


@runtime_checkable
class Fuse(Protocol):
    """Builds one site from factories: `branches` by name, what they share, and what stands there when all are shut.

    `late` are the factories of further branches, which join the others behind the site's tail.
    """

    def __call__(
        self,
        site: Site,
        branches: Factories,
        *,
        shared: Callable[[], nn.Module],
        closed: Callable[[], nn.Module],
        late: Factories = MappingProxyType({}),
    ) -> nn.Module: ...


def fixed_fuse(strategy: Strategy) -> Fuse:
    """Builds only the branches that the strategy opens."""

    def fuse(
        site: Site,
        branches: Factories,
        *,
        shared: Callable[[], nn.Module],
        closed: Callable[[], nn.Module],
        late: Factories = MappingProxyType({}),
    ) -> nn.Module:
        opened = open_branches(strategy.units[site.name])
        return Fusion(site.name, _built(opened, branches, late), shared(), late=late) if opened else closed()

    return fuse


def template_fuse(initial_drop: float, temperature: float) -> Fuse:
    """Builds every branch behind a gate of its own."""

    def fuse(
        site: Site,
        branches: Factories,
        *,
        shared: Callable[[], nn.Module],
        closed: Callable[[], nn.Module],
        late: Factories = MappingProxyType({}),
    ) -> nn.Module:
        gates = {name: Gate(initial_drop, temperature) for name in site.branches}
        return Fusion(site.name, _built(site.branches, branches, late), shared(), gates, late)

    return fuse


def _built(names: Collection[str], branches: Factories, late: Factories) -> dict[str, nn.Module]:
    return {name: (late if name in late else branches)[name]() for name in names}


def named_gates(net: nn.Module) -> Iterator[tuple[str, str, Gate, nn.Module]]:
    """Site, branch name, gate and gated branch, in network order. Empty for a fixed net."""
    for module in net.modules():
        if isinstance(module, Fusion):
            for name in module.gates:
                gate = module.gates[name]
                assert isinstance(gate, Gate)
                yield module.site, name, gate, module.branches[name]


def sites_in(part: object) -> tuple[str, ...]:
    """The names of the sites with a branch in a part of a net, in network order; none in a part that is no module."""
    modules = part.modules() if isinstance(part, nn.Module) else ()
    return tuple(module.site for module in modules if isinstance(module, Fusion))


def set_noise(template: nn.Module, uniforms: Float32[Tensor, "clips gates"] | None) -> None:
    """Gives every gate its draws for the next forward pass, a column each in network order; None takes them away."""
    for column, (_, _, gate, _) in enumerate(named_gates(template)):
        gate.uniform = None if uniforms is None else uniforms[:, column]


def draw_masks(template: nn.Module, uniforms: Float32[Tensor, "clips gates"]) -> None:
    """Gives every gate the masks of these draws, all computed at once, for one forward and one backward pass."""
    gates = [gate for _, _, gate, _ in named_gates(template)]
    if gates:
        (temperature,) = {gate.temperature for gate in gates}
        set_masks(template, relaxed(torch.stack([gate.logit for gate in gates]), uniforms, temperature))


def set_masks(template: nn.Module, masks: Float32[Tensor, "clips gates"] | None) -> None:
    """Gives every gate its masks for the next forward passes, a column each in network order; None lets them draw."""
    gates = [gate for _, _, gate, _ in named_gates(template)]
    for gate, given in zip(gates, repeat(None) if masks is None else masks.unbind(1), strict=masks is not None):
        gate.given = given
