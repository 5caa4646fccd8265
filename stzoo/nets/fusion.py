"""Where the branches of a site meet: gates, fusion, and the two ways of building a site.

A backbone asks `fuse` for each of its sites and never knows whether it becomes a template or a fixed net.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from stzoo.nets.layers import Activation, Size
from stzoo.strategy import Site, Strategy, open_branches

KERNELS: dict[str, Size] = {"S": (1, 1, 1), "ST": (3, 1, 1)}
"""The kernel of each branch's convolution; the 1x3x3 convolution that completes it follows the site."""

_SMALLEST = torch.finfo(torch.float32).tiny
_LARGEST = 1.0 - torch.finfo(torch.float32).eps / 2


class Gate(nn.Module):
    """Variational DropPath of one branch: a learnt drop probability and its relaxed Bernoulli mask.

    The mask is 1 - sigmoid((logit(drop) + noise) / temperature) with logistic noise, one draw for every clip, so that
    P(mask < 1/2) = drop exactly. Masks are not rescaled, and stay in float32 under autocast.

    `uniform` holds the draws in (0, 1) for the next forward pass; None takes them from torch's generator.

    Reference: Eq. S13 in its well-defined reading, Zhou et al. 2020.
    """

    def __init__(self, initial_drop: float, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.logit = nn.Parameter(torch.tensor(math.log(initial_drop) - math.log1p(-initial_drop)))
        self.uniform: Float32[Tensor, " clips"] | None = None

    @property
    def drop(self) -> Float[Tensor, ""]:
        """The probability that the branch is dropped."""
        return torch.sigmoid(self.logit)

    def forward(self, x: Activation) -> Activation:
        uniform = torch.rand(len(x), device=x.device) if self.uniform is None else self.uniform
        return x * self.mask(uniform).to(x.dtype).view(-1, 1, 1, 1, 1)

    def mask(self, uniform: Float32[Tensor, " clips"]) -> Float32[Tensor, " clips"]:
        """The relaxed keep mask in [0, 1] for the given draws."""
        u = uniform.clamp(_SMALLEST, _LARGEST)
        noise = torch.log(u) - torch.log1p(-u)
        return torch.sigmoid(-(self.logit.float() + noise) / self.temperature)


class Fusion(nn.Module):
    """The sum of a site's branches, each behind its gate if it has one.

    `shared` runs once, before all branches.
    """

    def __init__(
        self, site: str, branches: Mapping[str, nn.Module], shared: nn.Module, gates: Mapping[str, Gate] | None = None
    ) -> None:
        super().__init__()
        self.site = site
        self.shared = shared
        self.branches = nn.ModuleDict(dict(branches))
        self.gates = nn.ModuleDict(dict(gates or {}))

    def forward(self, x: Activation) -> Activation:
        x = self.shared(x)
        total: Tensor | None = None
        for name, branch in self.branches.items():
            y = branch(x)
            if name in self.gates:
                y = self.gates[name](y)
            total = y if total is None else total + y
        assert total is not None
        return total


class Closed(nn.Module):
    """A site without branches: zeros, as wide as the branches would have been."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Activation) -> Activation:
        return x.new_zeros((*x.shape[:-1], self.channels))


Factories = Mapping[str, Callable[[], nn.Module]]


@runtime_checkable
class Fuse(Protocol):
    """Builds one site from factories: `branches` by name, what they share, and what stands there when all are shut."""

    def __call__(
        self, site: Site, branches: Factories, *, shared: Callable[[], nn.Module], closed: Callable[[], nn.Module]
    ) -> nn.Module: ...


def fixed_fuse(strategy: Strategy) -> Fuse:
    """Builds only the branches that the strategy opens."""

    def fuse(
        site: Site, branches: Factories, *, shared: Callable[[], nn.Module], closed: Callable[[], nn.Module]
    ) -> nn.Module:
        chosen = open_branches(strategy.units[site.name])
        return Fusion(site.name, {name: branches[name]() for name in chosen}, shared()) if chosen else closed()

    return fuse


def template_fuse(initial_drop: float, temperature: float) -> Fuse:
    """Builds every branch behind a gate of its own."""

    def fuse(
        site: Site, branches: Factories, *, shared: Callable[[], nn.Module], closed: Callable[[], nn.Module]
    ) -> nn.Module:
        gates = {name: Gate(initial_drop, temperature) for name in site.branches}
        return Fusion(site.name, {name: branches[name]() for name in site.branches}, shared(), gates)

    return fuse


def named_gates(net: nn.Module) -> Iterator[tuple[str, str, Gate, nn.Module]]:
    """Site, branch name, gate and gated branch, in network order. Empty for a fixed net."""
    for module in net.modules():
        if isinstance(module, Fusion):
            for name in module.gates:
                gate = module.gates[name]
                assert isinstance(gate, Gate)
                yield module.site, name, gate, module.branches[name]


def set_noise(template: nn.Module, uniforms: Float32[Tensor, "clips gates"] | None) -> None:
    """Gives every gate its draws for the next forward pass, a column each in network order; None takes them away."""
    for column, (_, _, gate, _) in enumerate(named_gates(template)):
        gate.uniform = None if uniforms is None else uniforms[:, column]
