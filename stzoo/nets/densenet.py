"""DenseNet in three dimensions: the template of the paper, its deeper siblings, and a small one.

Reference: section 4.1, Fig. 3 and supplementary Fig. 1, Zhou et al. 2020; layers a block: Table 1, Huang et al. 2017.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

from torch import nn

from stzoo.nets.classifier import StagedClassifier
from stzoo.nets.fusion import KERNELS, LATE, Closed, Fuse, behind
from stzoo.nets.layers import Conv, average_pool, join, max_pool, over_frames
from stzoo.nets.layout import Activation, Size
from stzoo.nets.norm import Affine, BatchNorm, Statistics
from stzoo.nets.pooling import MEAN, Statistic
from stzoo.nets.recompute import Recompute
from stzoo.nets.rectify import Activated, Rectifier, clamped, has_its_batch, rectified, rectified_by_each
from stzoo.strategies.strategy import BRANCHES, Site

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
DENSENET169 = replace(DENSENET121, block_layers=(6, 12, 32, 32))
DENSENET201 = replace(DENSENET121, block_layers=(6, 12, 48, 32))
DENSENET_TINY = DenseNetSizes(
    (2, 3, 4, 3), growth=12, stem_width=16, stem_kernel=(1, 5, 5), pool_kernel=(1, 3, 3), bottleneck=3
)


def densenet_sites(
    sizes: DenseNetSizes, *, tail_sites: bool = False, branches: Sequence[str] = BRANCHES, **_: object
) -> tuple[Site, ...]:
    """Sites in network order: B1.L1 .. B1.L6, T1, B2.L1 ..; with `tail_sites` a one-branch site after every layer.

    `branches` are those of the dense layers. A transition has S and ST whatever they are.
    """
    sites = []
    for block, layers in enumerate(sizes.block_layers, start=1):
        for layer in range(1, layers + 1):
            sites.append(Site(f"B{block}.L{layer}", tuple(branches), stage=block))
            if tail_sites:
                sites.append(Site(f"B{block}.L{layer}.tail", branches=(TAIL,), stage=block))
        if block < len(sizes.block_layers):
            sites.append(Site(f"T{block}", closable=False, stage=block))
    return tuple(sites)


class Branch(nn.Module):
    """A branch's own scale and shift, ReLU, and a convolution through time (ST, T) or not (S)."""

    ends = ("norm", "conv")
    takes_rectified = True

    def __init__(self, inputs: int, outputs: int, kernel: Size) -> None:
        super().__init__()
        self.norm = Affine(inputs)
        self.conv = Conv(inputs, outputs, kernel)

    def forward(self, x: Activation, is_rectified: bool = False) -> Activation:
        return self.conv(x if is_rectified else rectified(self.norm, x))


class SharedNorm(BatchNorm):
    """Statistics, scale, shift and ReLU once for all branches of a site, which are then linear in what they read."""

    def forward(self, x: Activation) -> Activation:
        return rectified_by_each(self, [self], x)[0] if has_its_batch(self, x) else clamped(super().forward(x))

    def merged(self) -> nn.Module:
        return nn.Sequential(super().merged(), nn.ReLU(inplace=True))


def _bare_branch(inputs: int, outputs: int, kernel: Size) -> nn.Module:
    return nn.Sequential(OrderedDict(conv=Conv(inputs, outputs, kernel)))


@dataclass(frozen=True)
class UnitParts:
    """What the sites of a net are made of: a branch of (inputs, outputs, kernel), and what the branches share."""

    branch: Callable[[int, int, Size], nn.Module]
    shared: Callable[[int], nn.Module]

    def branches(
        self, site: Site, inputs: int, outputs: int, among: Collection[str] = BRANCHES
    ) -> dict[str, Callable[[], nn.Module]]:
        """Factories of the site's branches with that many outputs."""
        return {name: partial(self.branch, inputs, outputs, KERNELS[name]) for name in site.branches if name in among}


OWN_NORMS = UnitParts(Branch, Statistics)
SHARED_NORM = UnitParts(_bare_branch, SharedNorm)


class DenseLayer(nn.Module):
    """A fused bottleneck and the 1x3x3 tail that S and ST share; its output joins everything before it.

    A T branch is temporal alone: it reads what the others read, by a scale, a shift, ReLU and a 3x1x1 convolution of
    its own, and its output, as wide as the tail's, is added to the tail's.
    """

    follows: ClassVar = {"norm": ("unit",)}

    def __init__(
        self, fuse: Fuse, site: Site, inputs: int, sizes: DenseNetSizes, parts: UnitParts, tail_site: Site | None
    ) -> None:
        super().__init__()
        width = sizes.bottleneck * sizes.growth
        late = parts.branches(site, inputs, sizes.growth, LATE)
        self.unit = fuse(
            site,
            parts.branches(site, inputs, width),
            shared=lambda: parts.shared(inputs),
            closed=lambda: Closed(sizes.growth, feeds_tail=False) if late else Closed(width),
            late=late,
        )
        self.norm = behind(self.unit, lambda: BatchNorm(width))

        def conv() -> nn.Module:
            return Conv(width, sizes.growth, (1, 3, 3))

        def tail() -> nn.Module:
            if tail_site is None:
                return conv()
            return fuse(tail_site, {TAIL: conv}, shared=nn.Identity, closed=lambda: Closed(sizes.growth))

        self.tail = behind(self.unit, tail)

    def forward(self, x: Activation) -> Activation:
        return join([x, self.growth(x)])

    def growth(self, *features: Activation) -> Activation:
        """What the layer adds to the features before it, which may come in several tensors."""
        x = features[0] if len(features) == 1 else join(features)
        return self.unit(x, self._tail)

    def _tail(self, x: Activation) -> Activation:
        return self.tail(rectified(self.norm, x))


class Transition(nn.Module):
    """A fused 1x1x1 or 3x1x1 convolution that halves the channels, then average pooling."""

    def __init__(self, fuse: Fuse, site: Site, inputs: int, parts: UnitParts, temporal_stride: int) -> None:
        super().__init__()
        self.pool_size: Size = (temporal_stride, 2, 2)
        outputs = inputs // 2
        self.unit = fuse(
            site,
            parts.branches(site, inputs, outputs),
            shared=lambda: parts.shared(inputs),
            closed=lambda: Closed(outputs),
        )

    def forward(self, x: Activation) -> Activation:
        return average_pool(self.unit(x), self.pool_size)


class DenseNet3d(StagedClassifier):
    """Clips to logits: stem, dense blocks with transitions between them, head.

    `temporal_stride` is `none`, `x8` (2 at the stem's convolution, its pool and the first transition) or `low` (2 at
    the stem's pool alone). The stem and the head are the same in every strategy. `branches` are S and ST, or S, T and
    ST for the paper's whole set of units; a transition, which has no 1x3x3 for T to leave out, has S and ST in both.

    `shared_norm` gives all branches of a site one scale and shift, where the paper gives each its own. S and ST are
    then linear in one activation, so that S+ST can be merged into a single 3x1x1. This is ours, not the paper's.

    With `stem_frames` 1 the stem's convolution and pool see one frame at a time, and so does S: S everywhere is the 2D
    net, averaged over frames. This is ours, not the paper's.
    """

    def __init__(
        self,
        fuse: Fuse,
        sizes: DenseNetSizes,
        classes: int,
        temporal_stride: TemporalStride = "none",
        dropout: float = 0.0,
        tail_sites: bool = False,
        branches: Sequence[str] = BRANCHES,
        shared_norm: bool = False,
        stem_frames: Literal[1] | None = None,
        pooling: tuple[Statistic, ...] = MEAN,
    ) -> None:
        parts = SHARED_NORM if shared_norm else OWN_NORMS
        sites = {site.name: site for site in densenet_sites(sizes, tail_sites=tail_sites, branches=branches)}
        conv_stride, pool_stride, transition_stride = {"none": (1, 1, 1), "x8": (2, 2, 2), "low": (1, 2, 1)}[
            temporal_stride
        ]
        super().__init__(
            smallest_size=4 * 2 ** (len(sizes.block_layers) - 1),
            fewest_frames=conv_stride * pool_stride * (transition_stride - 1) + 1,
            dropout=dropout,
        )
        self.pool_kernel = over_frames(sizes.pool_kernel, stem_frames)
        self.pool_stride: Size = (pool_stride, 2, 2)
        self.stem = Activated(
            Conv(3, sizes.stem_width, over_frames(sizes.stem_kernel, stem_frames), (conv_stride, 2, 2)),
            BatchNorm(sizes.stem_width),
            Rectifier(),
        )
        channels = sizes.stem_width
        for number, layers in enumerate(sizes.block_layers, start=1):
            block = nn.Sequential()
            for layer in range(1, layers + 1):
                name = f"B{number}.L{layer}"
                tail_site = sites.get(f"{name}.tail")
                block.add_module(f"L{layer}", DenseLayer(fuse, sites[name], channels, sizes, parts, tail_site))
                channels += sizes.growth
            self.add_stage(f"B{number}", block)
            if number < len(sizes.block_layers):
                stride = transition_stride if number == 1 else 1
                self.add_stage(f"T{number}", Transition(fuse, sites[f"T{number}"], channels, parts, stride))
                channels //= 2
        self.norm = BatchNorm(channels)
        self.add_head(channels, classes, pooling)

    def before_stages(self, x: Activation) -> Activation:
        return max_pool(self.stem(x), self.pool_kernel, self.pool_stride)

    def after_stages(self, x: Activation) -> Activation:
        return rectified(self.norm, x)

    def stage_in_parts(self, stage: nn.Module, x: Activation, recompute: Recompute) -> Activation:
        """Of a dense block every layer's own output is kept, once; what they join is put together anew for each."""
        if isinstance(stage, Transition):
            return super().stage_in_parts(stage, x, recompute)
        features = [x]
        for layer in stage.children():
            assert isinstance(layer, DenseLayer)
            features.append(recompute(layer, layer.growth, *features))
        return join(features)
