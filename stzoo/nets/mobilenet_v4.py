"""MobileNetV4 in three dimensions: the fusion unit is the first pointwise convolution of every inverted bottleneck.

The 2D nets are those of Qin et al. 2024, as timm builds them. Which convolution becomes the site is ours.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from torch import nn

from stzoo.nets.classifier import StagedClassifier
from stzoo.nets.fusion import KERNELS, Closed, Fuse
from stzoo.nets.layers import Conv, average_pool
from stzoo.nets.layout import Activation, Size, layout
from stzoo.nets.norm import BatchNorm
from stzoo.nets.pooling import MEAN, Statistic
from stzoo.nets.rectify import Activated, Rectifier
from stzoo.strategies.strategy import Site


class Bottleneck(NamedTuple):
    """A universal inverted bottleneck: the sides of its two depthwise kernels, 0 where there is none, and its width.

    `start` stands before the expansion to `width` channels, `middle` behind it.
    """

    start: int
    middle: int
    width: int


@dataclass(frozen=True)
class MobileNetV4Sizes:
    """The numbers that tell one MobileNetV4 from another.

    `first` has the inner width, width and spatial stride of every block without a site, `stages` the width and the
    bottlenecks of every stage with sites, whose first one halves height and width.
    """

    first: tuple[tuple[int, int, int], ...]
    stages: tuple[tuple[int, tuple[Bottleneck, ...]], ...]
    stem_width: int
    last_width: int
    head_width: int


MOBILENET_V4 = MobileNetV4Sizes(
    first=((32, 32, 2), (96, 64, 2)),
    stages=(
        (96, (Bottleneck(5, 5, 192), *[Bottleneck(0, 3, 192)] * 4, Bottleneck(3, 0, 384))),
        (
            128,
            (
                *(Bottleneck(3, 3, 576), Bottleneck(5, 5, 512), Bottleneck(0, 5, 512)),
                *(Bottleneck(0, 5, 384), Bottleneck(0, 3, 512), Bottleneck(0, 3, 512)),
            ),
        ),
    ),
    stem_width=32,
    last_width=960,
    head_width=1280,
)
"""MobileNetV4-Conv-S."""

MOBILENET_V4_TINY = MobileNetV4Sizes(
    first=((12, 8, 1),),
    stages=(
        (16, (Bottleneck(3, 3, 32), Bottleneck(0, 3, 48), Bottleneck(3, 0, 48))),
        (32, (Bottleneck(3, 3, 64), Bottleneck(0, 3, 96), Bottleneck(3, 0, 128))),
        (48, (Bottleneck(3, 3, 128), Bottleneck(0, 3, 192))),
    ),
    stem_width=12,
    last_width=192,
    head_width=192,
)


def mobilenet_v4_sites(sizes: MobileNetV4Sizes, **_: object) -> tuple[Site, ...]:
    """Sites in network order: stage1.block1, stage1.block2 ..

    Nothing leads past the first block of a stage, so its site cannot be closed.
    """
    return tuple(
        Site(f"stage{stage}.block{block}", closable=block > 1, stage=stage)
        for stage, (_, blocks) in enumerate(sizes.stages, start=1)
        for block in range(1, len(blocks) + 1)
    )


def _normed(
    inputs: int, outputs: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1), groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=Conv(inputs, outputs, kernel, stride, groups), norm=BatchNorm(outputs)))


def _activated(
    inputs: int, outputs: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1), groups: int = 1
) -> Activated:
    """A convolution, its batch norm and a ReLU; a branch is one of these."""
    conv = Conv(inputs, outputs, kernel, stride, groups)
    return Activated(OrderedDict(conv=conv, norm=BatchNorm(outputs), activation=Rectifier()))


class UniversalInvertedBottleneck(nn.Module):
    """The sum of the site's branches between two depthwise 1xkxk convolutions, a projection, and the input if it fits.

    Every branch has its own norm and activation; the sum comes after them. The depthwise convolution before the
    branches is what they share. A `stride` is that of the last depthwise convolution.
    """

    def __init__(self, fuse: Fuse, site: Site, block: Bottleneck, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.unit = fuse(
            site,
            {name: partial(_activated, inputs, block.width, KERNELS[name]) for name in site.branches},
            shared=partial(_start, inputs, block.start, 1 if block.middle else stride),
            closed=lambda: Closed(block.width),
        )
        middle = (1, block.middle, block.middle)
        self.depthwise = (
            _activated(block.width, block.width, middle, (1, stride, stride), groups=block.width)
            if block.middle
            else nn.Identity()
        )
        self.project = _normed(block.width, outputs)
        self.skip = inputs == outputs and stride == 1

    def forward(self, x: Activation) -> Activation:
        y = self.project(self.depthwise(self.unit(x)))
        return x + y if self.skip else y


def _start(channels: int, side: int, stride: int) -> nn.Module:
    if not side:
        return nn.Identity()
    return _normed(channels, channels, (1, side, side), (1, stride, stride), groups=channels)


class MobileNetV4(StagedClassifier):
    """Clips to logits: stem, blocks without a site, stages of inverted bottlenecks, two last convolutions, head.

    Between the last two convolutions stands the mean over every frame's positions. With S everywhere it is the 2D net
    on every frame, its features averaged over frames. Time is never shortened.
    """

    def __init__(
        self,
        fuse: Fuse,
        sizes: MobileNetV4Sizes,
        classes: int,
        dropout: float = 0.0,
        pooling: tuple[Statistic, ...] = MEAN,
    ) -> None:
        smallest_size = 2 * math.prod(stride for _, _, stride in sizes.first) * 2 ** len(sizes.stages)
        super().__init__(smallest_size=smallest_size, fewest_frames=1, dropout=dropout)
        self.stem = _activated(3, sizes.stem_width, (1, 3, 3), (1, 2, 2))
        self.first = nn.Sequential()
        inputs = sizes.stem_width
        for number, (inner, width, stride) in enumerate(sizes.first, start=1):
            wide = _activated(inputs, inner, (1, 3, 3), (1, stride, stride))
            block = nn.Sequential(OrderedDict(wide=wide, project=_activated(inner, width)))
            self.first.add_module(f"block{number}", block)
            inputs = width
        sites = itertools.groupby(mobilenet_v4_sites(sizes), key=lambda site: site.stage)
        for (stage, of_stage), (width, blocks) in zip(sites, sizes.stages, strict=True):
            modules = nn.Sequential()
            for number, (site, bottleneck) in enumerate(zip(of_stage, blocks, strict=True), start=1):
                stride = 2 if number == 1 else 1
                modules.add_module(
                    f"block{number}", UniversalInvertedBottleneck(fuse, site, bottleneck, inputs, width, stride)
                )
                inputs = width
            self.add_stage(f"stage{stage}", modules)
        self.last = _activated(inputs, sizes.last_width)
        self.features = _activated(sizes.last_width, sizes.head_width)
        self.add_head(sizes.head_width, classes, pooling)

    def before_stages(self, x: Activation) -> Activation:
        return self.first(self.stem(x))

    def after_stages(self, x: Activation) -> Activation:
        y = self.last(x)
        height, width = y.shape[layout().rows : layout().rows + 2]
        return self.features(average_pool(y, (1, height, width)))
