"""Successive halving: of many strategies only the better ones are asked about more videos.

Reference: Jamieson and Talwalkar 2016. All that are compared have seen the same videos, so their mean cross-entropies
differ by what the strategies differ in and not by which videos are easy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from stzoo.space.judge import Judge
from stzoo.strategies.strategy import Strategy

KEPT = 4
"""Of so many strategies one goes on from rung to rung."""

FINALISTS = 6
"""So many strategies at least see all videos."""

_FIRST, _SECOND = 64, 192  # videos of the first two rungs; of many more videos the parts of 480 that these are
_PARTS = (2 / 15, 2 / 5)


class Rung(NamedTuple):
    """How many strategies are asked, each about how many videos in all."""

    strategies: int
    videos: int


def stops(videos: int) -> tuple[int, int, int]:
    """A few of so many videos, more of them, and all: where a race looks who goes on."""
    few, more = (max(least, round(part * videos)) for least, part in zip((_FIRST, _SECOND), _PARTS, strict=True))
    return min(few, videos), min(more, videos), videos


def rungs(strategies: int, videos: int) -> list[Rung]:
    """The rungs of a race: 100 strategies and 480 videos give 100 at 64, 25 at 192 and 7 at 480."""
    steps: list[Rung] = []
    left = strategies
    for seen in stops(videos):
        if left > FINALISTS and seen < videos:
            steps.append(Rung(left, seen))
            left = max(FINALISTS, -(-left // KEPT))
    return [*steps, Rung(left, videos)]


def cost(strategies: int, videos: int) -> int:
    """The answers that a race takes."""
    steps = rungs(strategies, videos)
    seen = [0, *(rung.videos for rung in steps)]
    return sum(rung.strategies * (rung.videos - before) for rung, before in zip(steps, seen, strict=False))


def race(judge: Judge, strategies: Sequence[Strategy], after: Callable[[], None] = lambda: None) -> list[Strategy]:
    """Those of different strategies that were asked about all videos, the best first. `after` is called at every rung.

    What the judge knows of them is not asked again; a race that was stopped ends as if it had not been.
    """
    left = list(strategies)
    seen: int | None = None
    for rung in rungs(len(left), judge.videos):
        if seen is not None:
            left = _ranked(judge, left, seen)[: rung.strategies]
        judge.ask(left, rung.videos)
        after()
        seen = rung.videos
    return _ranked(judge, left, judge.videos)


def _ranked(judge: Judge, strategies: Sequence[Strategy], videos: int) -> list[Strategy]:
    """By the cross-entropy on the first videos; of equal ones that which comes first."""
    return sorted(strategies, key=lambda strategy: judge.loss(strategy, videos))
