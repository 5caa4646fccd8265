"""Strategies of the literature, as functions from a backbone's sites to a strategy.

Where a paper says 2D convolution the site gets S, where it says 3D convolution ST. The patterns count sites that have
a choice, in network order; a site with a single branch stays open. A backbone's stem is not a site: it is the same in
every strategy, whatever the paper's own net does there.
"""

from __future__ import annotations

from collections.abc import Sequence

from stzoo.errors import StrategyError
from stzoo.strategies.strategy import Site, Strategy


def top_heavy(backbone: str, sites: Sequence[Site], count: int) -> Strategy:
    """ST at the last `count` sites, the ones nearest to the classifier, and S before.

    Raises `StrategyError` when `count` is negative or more than there are sites.

    Reference: Top-Heavy-I3D, section 4, Xie et al. 2018 (S3D).
    """
    total = _check_count("top-heavy", backbone, sites, count)
    return Strategy.in_order(backbone, sites, ["S"] * (total - count) + ["ST"] * count)


def bottom_heavy(backbone: str, sites: Sequence[Site], count: int) -> Strategy:
    """ST at the first `count` sites, the ones nearest to the input, and S after.

    Raises `StrategyError` when `count` is negative or more than there are sites.

    Reference: Bottom-Heavy-I3D, section 4, Xie et al. 2018 (S3D).
    """
    total = _check_count("bottom-heavy", backbone, sites, count)
    return Strategy.in_order(backbone, sites, ["ST"] * count + ["S"] * (total - count))


def mixed(backbone: str, sites: Sequence[Site], group: int) -> Strategy:
    """MCx: ST in the convolution groups before `group`, S in that group and deeper.

    The paper's groups are conv1, which is the stem, and conv2 to conv5: stage n is group n + 1. So `mc2` is S at every
    site and differs from the paper's 2D net only in the stem, and a backbone with k stages has `mc2` to `mc<k+1>`.

    Raises `StrategyError` for any other group.

    Reference: section 3 (MCx and rMCx) and Fig. 1, Tran et al. 2018 (R(2+1)D).
    """
    _check_group("mc", backbone, sites, group)
    return Strategy.in_order(backbone, sites, ["ST" if stage + 1 < group else "S" for stage in _stages(sites)])


def reversed_mixed(backbone: str, sites: Sequence[Site], group: int) -> Strategy:
    """rMCx: S in the convolution groups before `group`, ST in that group and deeper; groups as in `mixed`.

    Raises `StrategyError` for a group that the backbone does not have.

    Reference: section 3 (MCx and rMCx) and Fig. 1, Tran et al. 2018 (R(2+1)D).
    """
    _check_group("rmc", backbone, sites, group)
    return Strategy.in_order(backbone, sites, ["S" if stage + 1 < group else "ST" for stage in _stages(sites)])


def mict(backbone: str, sites: Sequence[Site]) -> Strategy:
    """S+ST at the first site of every stage, S at the rest: the pattern nearest to MiCT-Net.

    A mixed convolutional tube adds one 3D convolution to the first of its 2D convolutions, and 2D convolutions alone
    follow until the next tube, at the next resolution. Nearest means: the same alternation of one sum with a run of 2D
    convolutions. The tube's larger 3D kernels and the temporal stride of its 2D path have no counterpart in a site.

    Reference: section 3, Zhou et al. 2018 (MiCT).
    """
    stages = _stages(sites)
    first = [place == 0 or stages[place - 1] != stage for place, stage in enumerate(stages)]
    return Strategy.in_order(backbone, sites, ["S+ST" if opens else "S" for opens in first])


def smart(backbone: str, sites: Sequence[Site]) -> Strategy:
    """ST and S+ST in turn, ST first: the pattern nearest to ARTNet's SMART blocks.

    ARTNet-ResNet18 interleaves 3D convolutions with SMART blocks, which have a 2D branch for appearance beside a 3D
    branch for relation; its stem is a SMART block, so the first site after it is a 3D convolution. Nearest means: the
    same interleaving and the same two branches, summed here; the squares of the relation branch, and the concatenation
    that joins it, have no counterpart in a site.

    Reference: section 3, Wang et al. 2018 (ARTNet); the order is that of the released ARTNet-ResNet18.
    """
    return Strategy.in_order(backbone, sites, ["S+ST" if place % 2 else "ST" for place in range(len(_stages(sites)))])


def _stages(sites: Sequence[Site]) -> list[int]:
    """The stage of every site that has a choice."""
    return [site.stage for site in sites if site.has_choice]


def _check_count(name: str, backbone: str, sites: Sequence[Site], count: int) -> int:
    total = len(_stages(sites))
    if not 0 <= count <= total:
        raise StrategyError(
            f"{name}:{count} is out of range: {backbone} has {total} sites, so choose {name}:0 to {name}:{total}"
        )
    return total


def _check_group(name: str, backbone: str, sites: Sequence[Site], group: int) -> None:
    last = max(_stages(sites), default=0) + 1
    if not 2 <= group <= last:
        raise StrategyError(
            f"{name}{group} is out of range: {backbone} has the stages 1 to {last - 1}, "
            f"so choose {name}2 to {name}{last}"
        )
