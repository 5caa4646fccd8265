"""Every backbone by its name, and what a net is before it has weights."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from stzoo.errors import UsageError, did_you_mean
from stzoo.nets.classifier import Classifier
from stzoo.nets.densenet import (
    DENSENET121,
    DENSENET169,
    DENSENET201,
    DENSENET_TINY,
    DenseNet3d,
    densenet_sites,
)
from stzoo.nets.fusion import Fuse
from stzoo.nets.inception import INCEPTION, Inception3d, inception_sites
from stzoo.nets.mobilenet import MOBILENET_V2, MOBILENET_V2_TINY, MobileNet3d, mobilenet_sites
from stzoo.nets.mobilenet_v4 import MOBILENET_V4, MOBILENET_V4_TINY, MobileNetV4, mobilenet_v4_sites
from stzoo.nets.pooling import MEAN, STATISTICS, is_pooling
from stzoo.nets.resnet import RESNET50, RESNET_TINY, RESNEXT50, RESNEXT101, ResNet3d, resnet_sites
from stzoo.nets.timm import TimmNet
from stzoo.nets.timm_library import is_timm, timm_name, timm_record, timm_sites
from stzoo.nets.torchvision import FAMILIES, TorchvisionNet, no_sites
from stzoo.strategies.strategy import ALL_BRANCHES, BRANCHES, Site, Strategy
from stzoo.validation import shortened

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Backbone:
    """One backbone: the class of its family, the function that lists its sites, and the numbers that make it this one.

    `net` is called as `net(fuse, sizes, classes, **options)` and `sites_of` as `sites_of(sizes, **options)`.
    """

    net: Callable[..., Classifier]
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
    "mobilenet_v4": Backbone(MobileNetV4, mobilenet_v4_sites, MOBILENET_V4, ("none",)),
    "inception": Backbone(Inception3d, inception_sites, INCEPTION, ("none", "x2")),
    "densenet_tiny": Backbone(DenseNet3d, densenet_sites, DENSENET_TINY, ("none",)),
    "resnet_tiny": Backbone(ResNet3d, resnet_sites, RESNET_TINY, ("none",)),
    "mobilenet_v2_tiny": Backbone(MobileNet3d, mobilenet_sites, MOBILENET_V2_TINY, ("none",)),
    "mobilenet_v4_tiny": Backbone(MobileNetV4, mobilenet_v4_sites, MOBILENET_V4_TINY, ("none",)),
}

TORCHVISION = {name: Backbone(TorchvisionNet, no_sites, name, ("none",)) for name in FAMILIES}
"""The nets of torchvision, which can be run, measured and finetuned; they have no sites, so nothing is learnt there."""


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
        frames = options.get("stem_frames")
        if frames is not None and (type(frames) is not int or frames != 1):
            raise UsageError(f"{self.backbone} has no stem_frames {shortened(repr(frames))}; give 1, or leave it out")
        pooling = options.get("pooling", MEAN)
        if not isinstance(pooling, tuple) or not is_pooling(pooling):
            raise UsageError(
                f"{self.backbone} has no pooling {shortened(repr(pooling))}; choose one or more of "
                f"{', '.join(STATISTICS)}, each once"
            )
        if (branches := options.get("branches", BRANCHES)) not in (BRANCHES, ALL_BRANCHES):
            given = ",".join(map(str, branches)) if isinstance(branches, tuple) else repr(branches)
            choices = f"{','.join(BRANCHES)} or {','.join(ALL_BRANCHES)}"
            raise UsageError(f"{self.backbone} has no branches {given}; choose {choices}")

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites in network order."""
        known = backbone(self.backbone)
        return known.sites_of(known.sizes, **self.options)

    @property
    def recorded(self) -> dict[str, Any]:
        """The options, and what else a bundle says so that the same net is built of it elsewhere."""
        record = timm_record(timm_name(self.backbone)) if is_timm(self.backbone) else {}
        return {**self.options, **record}

    def uniform(self, unit: str) -> Strategy:
        """The strategy with one unit everywhere."""
        return Strategy.uniform(self.backbone, self.sites, unit)

    @property
    def all_open(self) -> Strategy:
        """The strategy with every branch of every site open."""
        return Strategy(self.backbone, {site.name: site.units[-1] for site in self.sites})

    def build(self, fuse: Fuse) -> Classifier:
        """A net of this architecture whose sites are built by `fuse`."""
        known = backbone(self.backbone)
        net = known.net(fuse, known.sizes, self.classes, **self.options)
        net.architecture = self
        return net


def backbone(name: str) -> Backbone:
    """The backbone of that name. Raises `UsageError` with the nearest known name."""
    if is_timm(name):
        return Backbone(TimmNet, timm_sites, timm_name(name), ("none",))
    known = BACKBONES | TORCHVISION
    if name not in known:
        raise UsageError(f'no backbone is called "{name}".{did_you_mean(name, known)} Known are {", ".join(known)}.')
    return known[name]


def architecture(net: Classifier) -> Architecture:
    """The architecture that a net of this package was built from.

    Raises `UsageError` for a merged net, which has none.
    """
    if not isinstance(net.architecture, Architecture):
        raise UsageError("a merged net has lost its architecture and can only be run; use the net that it was made of")
    return net.architecture


def renew_head(net: Classifier, classes: int) -> None:
    """Gives a net a head for so many classes, as it is before training, in the place of its own.

    Raises `UsageError` for a merged net.
    """
    of_net, old = architecture(net), net.head
    net.head = nn.Linear(old.in_features, classes, device=old.weight.device, dtype=old.weight.dtype)
    net.architecture = dataclasses.replace(of_net, classes=classes)
