"""MobileNetV2 in three dimensions: the fusion unit is the expansion of every inverted residual.

Reference: supplementary section 3, Zhou et al. 2020; Sandler et al. 2018.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from stzoo.nets.classifier import StagedClassifier
from stzoo.nets.fusion import KERNELS, Closed, Fuse
from stzoo.nets.layers import Conv, over_frames
from stzoo.nets.layout import Activation, Size
from stzoo.nets.norm import BatchNorm
from stzoo.nets.pooling import MEAN, Statistic
from stzoo.nets.rectify import Activated, Rectifier
from stzoo.strategies.strategy import Site

TemporalStride = Literal["none", "x2"]


@dataclass(frozen=True)
class MobileNetSizes:
    """The numbers that tell one MobileNetV2 from another; kernels are (time, height, width).

    `stages` has width, number of blocks and spatial stride of every group of inverted residuals with sites.
    """

    stages: tuple[tuple[int, int, int], ...]
    stem_width: int = 32
    first_width: int = 16
    head_width: int = 1280
    expansion: int = 6
    stem_kernel: Size = (5, 3, 3)


MOBILENET_V2 = MobileNetSizes(((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)))
MOBILENET_V2_TINY = MobileNetSizes(
    ((12, 1, 2), (16, 2, 2), (24, 2, 2), (32, 2, 1), (48, 2, 2), (64, 1, 1)),
    stem_width=16,
    first_width=8,
    head_width=192,
    stem_kernel=(1, 3, 3),
)


def mobilenet_sites(sizes: MobileNetSizes, **_: object) -> tuple[Site, ...]:
    """Sites in network order: stage1.block1, stage1.block2 ..

    The first block of a stage changes the width, so nothing leads past it, and its site cannot be closed.
    """
    return tuple(
        Site(f"stage{stage}.block{block}", closable=block > 1, stage=stage)
        for stage, (_, blocks, _) in enumerate(sizes.stages, start=1)
        for block in range(1, blocks + 1)
    )


def _activated(
    inputs: int, outputs: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1), groups: int = 1
) -> Activated:
    """A convolution, its batch norm and ReLU6; a branch is one of these."""
    conv = Conv(inputs, outputs, kernel, stride, groups)
    return Activated(OrderedDict(conv=conv, norm=BatchNorm(outputs), activation=Rectifier(6.0)))


def _depthwise(channels: int, stride: int) -> Activated:
    return _activated(channels, channels, (1, 3, 3), (1, stride, stride), groups=channels)


def _projection(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=Conv(inputs, outputs), norm=BatchNorm(outputs)))


class InvertedResidual(nn.Module):
    """The sum of the site's branches, a depthwise 1x3x3 convolution, a projection, and the input where it fits.

    Every branch has its own norm and activation; the sum comes after them.
    """

    def __init__(self, fuse: Fuse, site: Site, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        width = expansion * inputs
        self.unit = fuse(
            site,
            {name: partial(_activated, inputs, width, KERNELS[name]) for name in site.branches},
            shared=nn.Identity,
            closed=lambda: Closed(width),
        )
        self.depthwise = _depthwise(width, stride)
        self.project = _projection(width, outputs)
        self.skip = inputs == outputs and stride == 1

    def forward(self, x: Activation) -> Activation:
        y = self.project(self.depthwise(self.unit(x)))
        return x + y if self.skip else y


class MobileNet3d(StagedClassifier):
    """Clips to logits: stem, a first block without a site, stages of inverted residuals, a last convolution, head.

    `temporal_stride` is `none` or `x2` (2 at the stem, which the authors have for every dataset).

    With `stem_frames` 1 the stem sees one frame at a time, and so does S: S everywhere is the 2D net, averaged over
    frames. This is ours, not the paper's.
    """

    def __init__(
        self,
        fuse: Fuse,
        sizes: MobileNetSizes,
        classes: int,
        temporal_stride: TemporalStride = "none",
        dropout: float = 0.0,
        stem_frames: Literal[1] | None = None,
        pooling: tuple[Statistic, ...] = MEAN,
    ) -> None:
        smallest_size = math.prod(stride for _, _, stride in sizes.stages) * 2
        super().__init__(smallest_size=smallest_size, fewest_frames=1, dropout=dropout)
        stem_stride = (2 if temporal_stride == "x2" else 1, 2, 2)
        self.stem = _activated(3, sizes.stem_width, over_frames(sizes.stem_kernel, stem_frames), stem_stride)
        self.first = nn.Sequential(
            OrderedDict(
                depthwise=_depthwise(sizes.stem_width, 1), project=_projection(sizes.stem_width, sizes.first_width)
            )
        )
        inputs = sizes.first_width
        sites = itertools.groupby(mobilenet_sites(sizes), key=lambda site: site.stage)
        for (stage, blocks), (width, _, first_stride) in zip(sites, sizes.stages, strict=True):
            modules = nn.Sequential()
            for number, site in enumerate(blocks, start=1):
                stride = first_stride if number == 1 else 1
                modules.add_module(
                    f"block{number}", InvertedResidual(fuse, site, inputs, width, sizes.expansion, stride)
                )
                inputs = width
            self.add_stage(f"stage{stage}", modules)
        self.last = _activated(inputs, sizes.head_width)
        self.add_head(sizes.head_width, classes, pooling)

    def before_stages(self, x: Activation) -> Activation:
        return self.first(self.stem(x))

    def after_stages(self, x: Activation) -> Activation:
        return self.last(x)
