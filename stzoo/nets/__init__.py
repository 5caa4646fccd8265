"""Backbones, and the four ways between template and fixed net.

A fixed net's state-dict keys are a subset of its template's: `grow` puts a trained all-open net into a template, and
`prune` takes any fixed net out of it.

    fusion        where the branches of a site meet: gates, and the two ways of building a site
    classifier    what all backbones have around their features
    densenet      DenseNet121, 169, 201 and a small one
    resnet        ResNet50, ResNeXt50, ResNeXt101 and a small one
    mobilenet     MobileNetV2 and a small one
    inception     BN-Inception
    layers        convolutions and pools
    norm          batch norms
    synchronised  batch norms whose batch is spread over processes
    layout        how activations lie in memory
    recompute     activation checkpointing
    merging       the same outputs from fewer operations
    reestimation  batch-norm statistics estimated anew from clips
    measure       parameters, multiply-adds, activations, memory, latency
    blank         nets without memory, to be filled with weights
    imagenet      files of 2D weights
    inflate       2D weights put into a 3D net
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from stzoo.errors import StrategyError, UsageError, did_you_mean
from stzoo.nets.densenet import (
    DENSENET121,
    DENSENET169,
    DENSENET201,
    DENSENET_TINY,
    DenseNet3d,
    densenet_sites,
)
from stzoo.nets.fusion import Fuse, fixed_fuse, named_gates, template_fuse
from stzoo.nets.inception import INCEPTION, Inception3d, inception_sites
from stzoo.nets.merging import merge
from stzoo.nets.mobilenet import MOBILENET_V2, MOBILENET_V2_TINY, MobileNet3d, mobilenet_sites
from stzoo.nets.resnet import RESNET50, RESNET_TINY, RESNEXT50, RESNEXT101, ResNet3d, resnet_sites
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import ALL_BRANCHES, BRANCHES, Site, Strategy
from stzoo.validation import shortened

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Backbone:
    """One backbone: the class of its family, the function that lists its sites, and the numbers that make it this one.

    `net` is called as `net(fuse, sizes, classes, **options)` and `sites_of` as `sites_of(sizes, **options)`.
    """

    net: Callable[..., nn.Module]
    sites_of: Callable[..., tuple[Site, ...]]
    sizes: object
    temporal_strides: tuple[str, ...]
    branches: tuple[tuple[str, ...], ...] = (BRANCHES,)

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options that this backbone has."""
        return tuple(inspect.signature(self.net).parameters)[3:]


BACKBONES: dict[str, Backbone] = {
    "densenet121": Backbone(DenseNet3d, densenet_sites, DENSENET121, ("none", "x8", "low")),
    "densenet169": Backbone(DenseNet3d, densenet_sites, DENSENET169, ("none", "x8", "low")),
    "densenet201": Backbone(DenseNet3d, densenet_sites, DENSENET201, ("none", "x8", "low")),
    "resnet50": Backbone(ResNet3d, resnet_sites, RESNET50, ("none", "x2")),
    "resnext50": Backbone(ResNet3d, resnet_sites, RESNEXT50, ("none", "x2")),
    "resnext101": Backbone(ResNet3d, resnet_sites, RESNEXT101, ("none", "x2")),
    "mobilenet_v2": Backbone(MobileNet3d, mobilenet_sites, MOBILENET_V2, ("none", "x2")),
    "inception": Backbone(Inception3d, inception_sites, INCEPTION, ("none", "x2")),
    "densenet_tiny": Backbone(DenseNet3d, densenet_sites, DENSENET_TINY, ("none",)),
    "resnet_tiny": Backbone(ResNet3d, resnet_sites, RESNET_TINY, ("none",)),
    "mobilenet_v2_tiny": Backbone(MobileNet3d, mobilenet_sites, MOBILENET_V2_TINY, ("none",)),
}


@dataclass(frozen=True)
class Architecture:
    """What a net is before it has weights: backbone, number of classes and options, in which lists become tuples."""

    backbone: str
    classes: int
    options: Options

    def __post_init__(self) -> None:
        options = {name: tuple(value) if isinstance(value, list) else value for name, value in self.options.items()}
        object.__setattr__(self, "options", options)
        known = backbone(self.backbone)
        if unknown := [option for option in options if option not in known.options]:
            raise UsageError(f"{self.backbone} has no option {unknown[0]}; it has {', '.join(known.options)}")
        stride = options.get("temporal_stride", "none")
        if stride not in known.temporal_strides:
            raise UsageError(
                f'{self.backbone} has no temporal stride "{stride}"; choose {" or ".join(known.temporal_strides)}'
            )
        dropout = options.get("dropout", 0.0)
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise UsageError(f"{self.backbone} has no dropout {shortened(repr(dropout))}; give a rate from 0 to 1")
        if not isinstance(shared := options.get("shared_norm", False), bool):
            raise UsageError(f"{self.backbone} has no shared_norm {shortened(repr(shared))}; choose true or false")
        if (branches := options.get("branches", BRANCHES)) not in (BRANCHES, ALL_BRANCHES):
            given = ",".join(map(str, branches)) if isinstance(branches, tuple) else repr(branches)
            choices = f"{','.join(BRANCHES)} or {','.join(ALL_BRANCHES)}"
            raise UsageError(f"{self.backbone} has no branches {given}; choose {choices}")

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites in network order."""
        known = backbone(self.backbone)
        return known.sites_of(known.sizes, **self.options)

    def uniform(self, unit: str) -> Strategy:
        """The strategy with one unit everywhere."""
        return Strategy.uniform(self.backbone, self.sites, unit)

    @property
    def all_open(self) -> Strategy:
        """The strategy with every branch of every site open."""
        return Strategy(self.backbone, {site.name: site.units[-1] for site in self.sites})

    def build(self, fuse: Fuse) -> nn.Module:
        """A net of this architecture whose sites are built by `fuse`."""
        known = backbone(self.backbone)
        net = known.net(fuse, known.sizes, self.classes, **self.options)
        net.architecture = self  # type: ignore[assignment]
        return net


def backbone(name: str) -> Backbone:
    """The backbone of that name. Raises `UsageError` with the nearest known name."""
    if name not in BACKBONES:
        raise UsageError(
            f'no backbone is called "{name}".{did_you_mean(name, BACKBONES)} Known are {", ".join(BACKBONES)}.'
        )
    return BACKBONES[name]


def architecture(net: nn.Module) -> Architecture:
    """The architecture that a net of this package was built from.

    Raises `UsageError` for a merged net, which has none.
    """
    found = net.architecture
    if found is None:
        raise UsageError("a merged net has lost its architecture and can only be run; use the net that it was made of")
    assert isinstance(found, Architecture)
    return found


def fixed(name: str, strategy: Strategy, classes: int, **options: Any) -> nn.Module:
    """A net with only the branches that `strategy` opens, freshly initialised.

    It takes float clips [clips, 3, frames, height, width] to logits [clips, classes].

    Raises `StrategyError` when the strategy does not fit the backbone.
    """
    return fixed_net(Architecture(name, classes, options), strategy)


def fixed_net(architecture: Architecture, strategy: Strategy) -> nn.Module:
    """`fixed` for an architecture that exists already."""
    strategy.check(architecture.backbone, architecture.sites)
    return architecture.build(fixed_fuse(strategy))


def template(
    name: str, classes: int, *, initial_drop: float = 0.1, temperature: float = 0.2, **options: Any
) -> nn.Module:
    """A net with every branch of every site behind a gate, freshly initialised."""
    return Architecture(name, classes, options).build(template_fuse(initial_drop, temperature))


def is_template(net: nn.Module) -> bool:
    """Whether the net still has gates, so that its outputs are random."""
    return any(True for _ in named_gates(net))


def grow(net: nn.Module, *, initial_drop: float = 0.1, temperature: float = 0.2) -> nn.Module:
    """A template with a copy of the weights of a fixed net that has every branch open; only the gates are new.

    Raises `StrategyError` when the net has closed branches.
    """
    made = architecture(net).build(template_fuse(initial_drop, temperature))
    missing, unexpected = made.load_state_dict(net.state_dict(), strict=False)
    lacking = [key for key in missing if ".gates." not in key]
    if lacking or unexpected:
        raise StrategyError(
            f"only a net with every branch open grows into a template; this one lacks {', '.join(lacking[:3])}"
        )
    return made


def prune(made: nn.Module, strategy: Strategy) -> nn.Module:
    """The fixed net of a strategy, taken out of a template: it shares parameters and has buffers of its own.

    Raises `StrategyError` when the strategy does not fit the backbone, or opens a branch that `made` does not have.
    """
    built = architecture(made)
    strategy.check(built.backbone, built.sites)
    with torch.device("meta"):
        net = built.build(fixed_fuse(strategy))
    tensors: dict[str, Any] = {name: buffer.clone() for name, buffer in made.named_buffers()}
    tensors.update(made.named_parameters())
    if lacking := [key for key in net.state_dict() if key not in tensors]:
        raise StrategyError(
            f"the strategy opens branches that the net to prune does not have: it lacks {', '.join(lacking[:3])}"
        )
    net.load_state_dict({key: tensors[key] for key in net.state_dict()}, assign=True)
    return net.train(made.training)


def posterior(made: nn.Module) -> Posterior:
    """The drop probabilities that a template has learnt."""
    drop: dict[str, dict[str, float]] = {}
    for site, branch, gate, _ in named_gates(made):
        drop.setdefault(site, {})[branch] = float(torch.sigmoid(gate.logit.detach().double()))
    return Posterior(architecture(made).backbone, drop)


__all__ = [
    "BACKBONES",
    "Architecture",
    "Backbone",
    "architecture",
    "backbone",
    "fixed",
    "fixed_net",
    "grow",
    "is_template",
    "merge",
    "posterior",
    "prune",
    "template",
]
