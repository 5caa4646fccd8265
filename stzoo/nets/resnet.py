"""ResNet and ResNeXt in three dimensions: the fusion unit is the first convolution of every bottleneck.

Reference: section 4.5, Zhou et al. 2020; He et al. 2016; Xie et al. 2017.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import nn

from stzoo.nets.classifier import StagedClassifier
from stzoo.nets.fusion import KERNELS, LATE, Closed, Fuse, behind
from stzoo.nets.layers import Conv, average_around, max_pool, over_frames
from stzoo.nets.layout import Activation, Size
from stzoo.nets.norm import BatchNorm
from stzoo.nets.pooling import MEAN, Statistic
from stzoo.nets.rectify import Activated, Rectifier, rectified
from stzoo.strategies.strategy import BRANCHES, Site

TemporalStride = Literal["none", "x2"]


@dataclass(frozen=True)
class ResNetSizes:
    """The numbers that tell one ResNet from another; kernels are (time, height, width).

    `width` and `outputs` are the channels within and after a block of the first stage; every stage doubles them.
    """

    stage_blocks: tuple[int, ...]
    width: int
    groups: int = 1
    outputs: int = 256
    stem_width: int = 64
    stem_kernel: Size = (5, 7, 7)
    pool_kernel: Size = (3, 3, 3)


RESNET50 = ResNetSizes((3, 4, 6, 3), width=64)
RESNEXT50 = ResNetSizes((3, 4, 6, 3), width=128, groups=32)
RESNEXT101 = ResNetSizes((3, 4, 23, 3), width=256, groups=32)
RESNET_TINY = ResNetSizes(
    (2, 3, 3, 1), width=12, outputs=32, stem_width=16, stem_kernel=(1, 5, 5), pool_kernel=(1, 3, 3)
)


def resnet_sites(sizes: ResNetSizes, *, branches: Sequence[str] = BRANCHES, **_: object) -> tuple[Site, ...]:
    """Sites in network order: stage1.block1, stage1.block2 ..; all may be closed, since every block has a shortcut."""
    return tuple(
        Site(f"stage{stage}.block{block}", tuple(branches), stage=stage)
        for stage, blocks in enumerate(sizes.stage_blocks, start=1)
        for block in range(1, blocks + 1)
    )


def _branch(inputs: int, outputs: int, kernel: Size, stride: int = 1) -> nn.Module:
    """A branch is its convolution alone: what follows it is the block's."""
    return nn.Sequential(OrderedDict(conv=Conv(inputs, outputs, kernel, (1, stride, stride))))


class Shortcut(nn.Module):
    """A block's input in the shape of its output: averaged at every second position for a stride of 2, then 1x1x1."""

    follows: ClassVar = {"norm": ("conv",)}

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = Conv(inputs, outputs)
        self.norm = BatchNorm(outputs)

    def forward(self, x: Activation) -> Activation:
        return self.norm(self.conv(average_around(x, self.stride) if self.stride > 1 else x))


class Bottleneck(nn.Module):
    """The sum of the site's branches, a 1x3x3 convolution and a 1x1x1 convolution, added to the input.

    The branches are summed before the norm that they share. A T branch, which has the stride of the 1x3x3 convolution,
    is added to that convolution's output, before the second norm.
    """

    follows: ClassVar = {"norm1": ("unit",), "norm2": ("conv2", "unit late"), "norm3": ("conv3",)}

    def __init__(self, fuse: Fuse, site: Site, inputs: int, width: int, outputs: int, groups: int, stride: int) -> None:
        super().__init__()
        late: dict[str, Callable[[], nn.Module]] = {
            name: partial(_branch, inputs, width, KERNELS[name], stride) for name in site.branches if name in LATE
        }
        self.unit = fuse(
            site,
            {name: partial(_branch, inputs, width, KERNELS[name]) for name in site.branches if name not in LATE},
            shared=nn.Identity,
            closed=lambda: Closed(width, stride, feeds_tail=False) if late else Closed(width),
            late=late,
        )
        self.norm1 = behind(self.unit, lambda: BatchNorm(width))
        self.conv2 = behind(self.unit, lambda: Conv(width, width, (1, 3, 3), (1, stride, stride), groups))
        self.norm2 = BatchNorm(width)
        self.conv3 = Conv(width, outputs)
        self.norm3 = BatchNorm(outputs)
        same = inputs == outputs and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else Shortcut(inputs, outputs, stride)

    def forward(self, x: Activation) -> Activation:
        y = rectified(self.norm2, self.unit(x, self._tail))
        return F.relu(self.norm3(self.conv3(y)) + self.shortcut(x), inplace=True)

    def _tail(self, x: Activation) -> Activation:
        return self.conv2(rectified(self.norm1, x))


class ResNet3d(StagedClassifier):
    """Clips to logits: stem, stages of bottlenecks, head.

    `temporal_stride` is `none` or `x2` (2 at the stem's convolution, which the authors chose for Kinetics and UCF101).
    `branches` are S and ST, or S, T and ST for the paper's whole set of units.

    With `stem_frames` 1 the stem's convolution and pool see one frame at a time, and so does S: S everywhere is the 2D
    net, averaged over frames. This is ours, not the paper's.
    """

    def __init__(
        self,
        fuse: Fuse,
        sizes: ResNetSizes,
        classes: int,
        temporal_stride: TemporalStride = "none",
        dropout: float = 0.0,
        branches: Sequence[str] = BRANCHES,
        stem_frames: Literal[1] | None = None,
        pooling: tuple[Statistic, ...] = MEAN,
    ) -> None:
        super().__init__(smallest_size=2 * 2 ** len(sizes.stage_blocks), fewest_frames=1, dropout=dropout)
        self.pool_kernel = over_frames(sizes.pool_kernel, stem_frames)
        stem_stride = (2 if temporal_stride == "x2" else 1, 2, 2)
        self.stem = Activated(
            Conv(3, sizes.stem_width, over_frames(sizes.stem_kernel, stem_frames), stem_stride),
            BatchNorm(sizes.stem_width),
            Rectifier(),
        )
        inputs = sizes.stem_width
        for stage, blocks in itertools.groupby(resnet_sites(sizes, branches=branches), key=lambda site: site.stage):
            scale = 2 ** (stage - 1)
            width, outputs = scale * sizes.width, scale * sizes.outputs
            modules = nn.Sequential()
            for number, site in enumerate(blocks, start=1):
                stride = 2 if stage > 1 and number == 1 else 1
                block = Bottleneck(fuse, site, inputs, width, outputs, sizes.groups, stride)
                modules.add_module(f"block{number}", block)
                inputs = outputs
            self.add_stage(f"stage{stage}", modules)
        self.add_head(inputs, classes, pooling)

    def before_stages(self, x: Activation) -> Activation:
        return max_pool(self.stem(x), self.pool_kernel, (1, 2, 2))

    def after_stages(self, x: Activation) -> Activation:
        return x
