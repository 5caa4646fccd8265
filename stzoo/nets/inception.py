"""BN-Inception in three dimensions: the fusion unit is the reductions of a module, taken together.

The paper's Table 5 names an Inception that its authors' code does not contain, so the place of the unit is ours. As in
the other backbones, the unit is the 1x1x1 convolution in front of a 1x3x3 convolution. A module has two of these, which
read the same input: they are one convolution whose outputs are parted, and so one site. S and ST are summed before the
batch norm that they share, as in the ResNets. The branches of a module without a reduction, and the pools in it, are
spatial in every strategy; time is in the stem, as elsewhere, and in ST.

Reference: Fig. 5, Ioffe and Szegedy 2015, with the channels of the network that was released, in which 4c and 4d have
608 outputs. An S net has the parameters of that 2D network, but for the biases of its convolutions, which a batch norm
cancels, and those of four more frames of the stem's kernel.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from torch import nn

from stzoo.nets.classifier import StagedClassifier
from stzoo.nets.fusion import KERNELS, Closed, Fuse
from stzoo.nets.layers import Conv, average_around, join, max_pool, over_frames
from stzoo.nets.layout import Activation, Size, layout
from stzoo.nets.norm import BatchNorm
from stzoo.nets.pooling import MEAN, Statistic
from stzoo.nets.rectify import Activated, Rectifier, rectified
from stzoo.strategies.strategy import Site

TemporalStride = Literal["none", "x2"]


@dataclass(frozen=True)
class MixedSizes:
    """The channels of one module. `pool` is projected to `projection` channels, or passed through for 0.

    A module with neither `one` nor `projection` halves the positions.
    """

    one: int
    three_reduce: int
    three: int
    twice_reduce: int
    twice: int
    projection: int
    pool: Literal["average", "max"] = "average"

    @property
    def halves(self) -> bool:
        """Whether the module has a spatial stride of 2."""
        return self.one == self.projection == 0

    def outputs(self, inputs: int) -> int:
        """How many channels leave the module."""
        return self.one + self.three + self.twice + (self.projection or inputs)


@dataclass(frozen=True)
class InceptionSizes:
    """The numbers of an Inception: its modules by stage, and the stem's widths; kernels are (time, height, width)."""

    stages: tuple[tuple[MixedSizes, ...], ...]
    stem_width: int = 64
    stem_outputs: int = 192
    stem_kernel: Size = (5, 7, 7)
    pool_kernel: Size = (3, 3, 3)


INCEPTION = InceptionSizes(
    (
        (
            MixedSizes(64, 64, 64, 64, 96, 32),
            MixedSizes(64, 64, 96, 64, 96, 64),
            MixedSizes(0, 128, 160, 64, 96, 0, "max"),
        ),
        (
            MixedSizes(224, 64, 96, 96, 128, 128),
            MixedSizes(192, 96, 128, 96, 128, 128),
            MixedSizes(160, 128, 160, 128, 160, 128),
            MixedSizes(96, 128, 192, 160, 192, 128),
            MixedSizes(0, 128, 192, 192, 256, 0, "max"),
        ),
        (
            MixedSizes(352, 192, 320, 160, 224, 128),
            MixedSizes(352, 192, 320, 192, 224, 128, "max"),
        ),
    )
)
"""Stages of outputs 256, 320, 576 (at half the positions); 576, 576, 608, 608, 1056 (half again); 1024, 1024."""


def inception_sites(sizes: InceptionSizes, **_: object) -> tuple[Site, ...]:
    """Sites in network order: mixed3a .. mixed3c, mixed4a .. mixed4e, mixed5a, mixed5b, in stages 1 to 3.

    All may be closed: the pool of a module leads past its site.
    """
    return tuple(
        Site(f"mixed{stage + 2}{letter}", stage=stage)
        for stage, modules in enumerate(sizes.stages, start=1)
        for letter, _ in zip("abcdefgh", modules, strict=False)
    )


def _branch(inputs: int, outputs: int, kernel: Size) -> nn.Module:
    return nn.Sequential(OrderedDict(conv=Conv(inputs, outputs, kernel)))


def _activated(inputs: int, outputs: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1)) -> Activated:
    """A convolution, its batch norm and ReLU."""
    conv = Conv(inputs, outputs, kernel, stride)
    return Activated(OrderedDict(conv=conv, norm=BatchNorm(outputs), activation=Rectifier()))


class Mixed(nn.Module):
    """Four parallel paths, concatenated: 1x1x1; the unit and 1x3x3; the unit and 1x3x3 twice; a pool.

    The unit's outputs are parted between the second path and the third. Where the module has a stride, the last
    convolution of a path and the pool have it.
    """

    follows: ClassVar = {"norm": ("unit",)}

    def __init__(self, fuse: Fuse, site: Site, inputs: int, sizes: MixedSizes) -> None:
        super().__init__()
        self.reduced = [sizes.three_reduce, sizes.twice_reduce]
        width = sum(self.reduced)
        self.unit = fuse(
            site,
            {name: partial(_branch, inputs, width, KERNELS[name]) for name in site.branches},
            shared=nn.Identity,
            closed=lambda: Closed(width),
        )
        self.norm = BatchNorm(width)
        self.stride: Size = (1, 2, 2) if sizes.halves else (1, 1, 1)
        kernel = (1, 3, 3)
        self.three = _activated(sizes.three_reduce, sizes.three, kernel, self.stride)
        self.twice = nn.Sequential(
            _activated(sizes.twice_reduce, sizes.twice, kernel),
            _activated(sizes.twice, sizes.twice, kernel, self.stride),
        )
        self.one = _activated(inputs, sizes.one) if sizes.one else None
        self.projection = _activated(inputs, sizes.projection) if sizes.projection else nn.Identity()
        self.pool = average_around if sizes.pool == "average" else partial(max_pool, kernel=kernel, stride=self.stride)

    def forward(self, x: Activation) -> Activation:
        three, twice = rectified(self.norm, self.unit(x)).split(self.reduced, dim=layout().channels)
        paths = [self.three(three.contiguous()), self.twice(twice.contiguous()), self.projection(self.pool(x))]
        if self.one is not None:
            paths.insert(0, self.one(x))
        return join(paths)


class Inception3d(StagedClassifier):
    """Clips to logits: stem, three stages of modules, head.

    `temporal_stride` is `none` or `x2` (2 at the stem's convolution, as in the ResNets).

    With `stem_frames` 1 the stem's convolution and pool see one frame at a time, and so does S: S everywhere is the 2D
    net, averaged over frames. This is ours, not the paper's.
    """

    def __init__(
        self,
        fuse: Fuse,
        sizes: InceptionSizes,
        classes: int,
        temporal_stride: TemporalStride = "none",
        dropout: float = 0.0,
        stem_frames: Literal[1] | None = None,
        pooling: tuple[Statistic, ...] = MEAN,
    ) -> None:
        modules = [module for stage in sizes.stages for module in stage]
        halvings = 3 + sum(module.halves for module in modules)
        super().__init__(smallest_size=2**halvings, fewest_frames=1, dropout=dropout)
        self.pool_kernel = over_frames(sizes.pool_kernel, stem_frames)
        stem_stride = (2 if temporal_stride == "x2" else 1, 2, 2)
        self.stem = _activated(3, sizes.stem_width, over_frames(sizes.stem_kernel, stem_frames), stem_stride)
        self.stem2 = nn.Sequential(
            _activated(sizes.stem_width, sizes.stem_width),
            _activated(sizes.stem_width, sizes.stem_outputs, (1, 3, 3)),
        )
        channels = sizes.stem_outputs
        for site, module in zip(inception_sites(sizes), modules, strict=True):
            self.add_stage(site.name, Mixed(fuse, site, channels, module))
            channels = module.outputs(channels)
        self.add_head(channels, classes, pooling)

    def before_stages(self, x: Activation) -> Activation:
        x = self.stem2(max_pool(self.stem(x), self.pool_kernel, (1, 2, 2)))
        return max_pool(x, (1, 3, 3), (1, 2, 2))

    def after_stages(self, x: Activation) -> Activation:
        return x
