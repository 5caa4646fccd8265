"""DenseNet in three dimensions: the template of the paper, and a small sibling.

Reference: section 4.1, Fig. 3 and supplementary Fig. 1, Zhou et al. 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import nn

from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import KERNELS, Closed, Fuse
from stzoo.nets.layers import Activation, Conv, Size, average_pool, max_pool
from stzoo.nets.norm import Affine, BatchNorm, Statistics
from stzoo.strategy import Site

TemporalStride = Literal["none", "x8", "low"]
TAIL = "tail"


@dataclass(frozen=True)
class DenseNetSizes:
    """The numbers that tell one DenseNet from another; kernels are (time, height, width)."""

    block_layers: tuple[int, ...]
    growth: int
    stem_width: int
    stem_kernel: Size
    pool_kernel: Size
    bottleneck: int = 4


DENSENET121 = DenseNetSizes((6, 12, 24, 16), growth=32, stem_width=64, stem_kernel=(5, 7, 7), pool_kernel=(3, 3, 3))
DENSENET_TINY = DenseNetSizes(
    (2, 3, 4, 3), growth=12, stem_width=16, stem_kernel=(1, 5, 5), pool_kernel=(1, 3, 3), bottleneck=3
)


def densenet_sites(sizes: DenseNetSizes, *, tail_sites: bool = False, **_: object) -> tuple[Site, ...]:
    """Sites in network order: B1.L1 .. B1.L6, T1, B2.L1 ..; with `tail_sites` a one-branch site after every layer."""
    sites = []
    for block, layers in enumerate(sizes.block_layers, start=1):
        for layer in range(1, layers + 1):
            sites.append(Site(f"B{block}.L{layer}", stage=block))
            if tail_sites:
                sites.append(Site(f"B{block}.L{layer}.tail", branches=(TAIL,), stage=block))
        if block < len(sizes.block_layers):
            sites.append(Site(f"T{block}", closable=False, stage=block))
    return tuple(sites)


class Branch(nn.Module):
    """A branch's own scale and shift, ReLU, and a convolution through time (ST) or not (S)."""

    ends = ("norm", "conv")

    def __init__(self, inputs: int, outputs: int, kernel: Size) -> None:
        super().__init__()
        self.norm = Affine(inputs)
        self.conv = Conv(inputs, outputs, kernel)

    def forward(self, x: Activation) -> Activation:
        return self.conv(F.relu(self.norm(x), inplace=True))


def _unit(fuse: Fuse, site: Site, inputs: int, outputs: int) -> nn.Module:
    """S and ST over the same input: one set of statistics, a scale and shift for each."""
    return fuse(
        site,
        {name: partial(Branch, inputs, outputs, KERNELS[name]) for name in site.branches},
        shared=lambda: Statistics(inputs),
        closed=lambda: Closed(outputs),
    )


class DenseLayer(nn.Module):
    """A fused bottleneck and the 1x3x3 tail that all units share; its output joins everything before it."""

    follows: ClassVar = {"norm": "unit"}

    def __init__(self, fuse: Fuse, name: str, inputs: int, sizes: DenseNetSizes, tail_site: bool) -> None:
        super().__init__()
        width = sizes.bottleneck * sizes.growth
        self.unit = _unit(fuse, Site(name), inputs, width)
        self.norm = BatchNorm(width)

        def conv() -> Conv:
            return Conv(width, sizes.growth, (1, 3, 3))

        self.tail: nn.Module = conv()
        if tail_site:
            site = Site(f"{name}.tail", branches=(TAIL,))
            self.tail = fuse(site, {TAIL: conv}, shared=nn.Identity, closed=lambda: Closed(sizes.growth))

    def forward(self, x: Activation) -> Activation:
        return torch.cat([x, self.tail(F.relu(self.norm(self.unit(x)), inplace=True))], dim=-1)


class Transition(nn.Module):
    """A fused 1x1x1 or 3x1x1 convolution that halves the channels, then average pooling."""

    def __init__(self, fuse: Fuse, name: str, inputs: int, temporal_stride: int) -> None:
        super().__init__()
        self.pool_size: Size = (temporal_stride, 2, 2)
        self.unit = _unit(fuse, Site(name, closable=False), inputs, inputs // 2)

    def forward(self, x: Activation) -> Activation:
        return average_pool(self.unit(x), self.pool_size)


class DenseNet3d(Classifier):
    """Clips to logits: stem, dense blocks with transitions between them, head.

    `temporal_stride` is `none`, `x8` (2 at the stem's convolution, its pool and the first transition) or `low` (2 at
    the stem's pool alone). The stem and the head are the same in every strategy.
    """

    def __init__(
        self,
        fuse: Fuse,
        sizes: DenseNetSizes,
        classes: int,
        temporal_stride: TemporalStride = "none",
        dropout: float = 0.0,
        tail_sites: bool = False,
    ) -> None:
        conv_stride, pool_stride, transition_stride = {"none": (1, 1, 1), "x8": (2, 2, 2), "low": (1, 2, 1)}[
            temporal_stride
        ]
        super().__init__(
            smallest_size=4 * 2 ** (len(sizes.block_layers) - 1),
            fewest_frames=conv_stride * pool_stride * (transition_stride - 1) + 1,
            dropout=dropout,
        )
        self.pool_kernel = sizes.pool_kernel
        self.pool_stride: Size = (pool_stride, 2, 2)
        self.stem = nn.Sequential(
            Conv(3, sizes.stem_width, sizes.stem_kernel, (conv_stride, 2, 2)),
            BatchNorm(sizes.stem_width),
            nn.ReLU(inplace=True),
        )
        channels = sizes.stem_width
        for number, layers in enumerate(sizes.block_layers, start=1):
            block = nn.Sequential()
            for layer in range(1, layers + 1):
                name = f"B{number}.L{layer}"
                block.add_module(f"L{layer}", DenseLayer(fuse, name, channels, sizes, tail_sites))
                channels += sizes.growth
            self.add_stage(f"B{number}", block)
            if number < len(sizes.block_layers):
                stride = transition_stride if number == 1 else 1
                self.add_stage(f"T{number}", Transition(fuse, f"T{number}", channels, stride))
                channels //= 2
        self.norm = BatchNorm(channels)
        self.head = nn.Linear(channels, classes)

    def features(self, x: Activation) -> Activation:
        x = self.through_stages(max_pool(self.stem(x), self.pool_kernel, self.pool_stride))
        return F.relu(self.norm(x), inplace=True)
