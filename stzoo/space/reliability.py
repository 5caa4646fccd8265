"""How far a selection can be trusted: whether one half of its videos ranks strategies as the other half does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from stzoo.metrics import mean_over_sources, rank_correlation
from stzoo.space.judge import Judge
from stzoo.strategies.strategy import Strategy

HALVINGS = 100
_FEWEST = 3  # strategies that have a rank correlation worth telling


class Halves(NamedTuple):
    """Spearman's correlation of so many strategies' cross-entropies on two halves of so many videos.

    No source is in both halves. The mean over `HALVINGS` ways to halve; nan where all strategies are alike.
    """

    strategies: int
    videos: int
    rank_correlation: float


@dataclass(frozen=True)
class Reliability:
    """Of a selection among `drawn` strategies, of which so many are `different`.

    `halves` has one entry for every number of videos that several strategies were asked about. Of the other strategies
    with most videos so many are `tied` with the best: they have its cross-entropy to the sixth digit. So many, the tied
    ones among them, are `undecided`: the 95 % interval of the difference over sources holds 0.
    """

    drawn: int
    different: int
    halves: tuple[Halves, ...]
    tied: int
    undecided: int

    def to_json(self) -> dict[str, Any]:
        """Every number; null for a correlation that is not defined."""
        halves = [
            {**one._asdict(), "rank_correlation": None if math.isnan(one.rank_correlation) else one.rank_correlation}
            for one in self.halves
        ]
        return {**asdict(self), "halves": halves}

    @property
    def text(self) -> str:
        """In one line, for people."""
        correlations = ", ".join(
            f"{one.rank_correlation:.2f} ({one.strategies} strategies, {one.videos} videos)" for one in self.halves
        )
        repeated = self.drawn - self.different
        return "; ".join(
            [
                f"split-half rank correlation {correlations or 'not known'}",
                f"{repeated} of {self.drawn} draws repeat another",
                f"{self.tied} others tie with the best",
                f"{self.undecided} cannot be told from it",
            ]
        )


def reliability(judge: Judge, drawn: Sequence[Strategy], best: Strategy, sources: Sequence[str]) -> Reliability:
    """Of a selection among strategies that a judge was asked about; `sources` are those of the judge's clips."""
    different = [strategy for strategy in dict.fromkeys(drawn) if judge.seen(strategy)]
    ordered = [sources[row] for row in judge.order]
    halves = []
    for videos in sorted({judge.seen(strategy) for strategy in different}):
        among = [strategy for strategy in different if judge.seen(strategy) >= videos]
        if len(among) >= _FEWEST and len(set(ordered[:videos])) > 1:
            losses = np.stack([judge.answers(strategy, videos).losses for strategy in among])
            halves.append(Halves(len(among), videos, _split_half(losses, ordered[:videos])))
    most = judge.seen(best)
    rivals = [strategy for strategy in different if strategy != best and judge.seen(strategy) == most]
    behind = [judge.answers(rival).losses - judge.answers(best).losses for rival in rivals]
    undecided = 0
    for losses in behind:
        difference = mean_over_sources(losses, ordered[:most]).estimate(most)
        undecided += not (difference.low > 0 or difference.high < 0)
    tied = sum(round(abs(float(losses.mean())), 6) == 0 for losses in behind)
    return Reliability(len(drawn), len(set(drawn)), tuple(halves), tied, undecided)


def _split_half(losses: Float64[np.ndarray, "strategies videos"], sources: Sequence[str]) -> float:
    _, places = np.unique(np.array(sources), return_inverse=True)
    random = np.random.default_rng(0)
    correlations = []
    for _ in range(HALVINGS):
        half: Bool[np.ndarray, " videos"] = (random.permutation(places.max() + 1) % 2 == 0)[places]
        correlations.append(rank_correlation(losses[:, half].mean(axis=1), losses[:, ~half].mean(axis=1)))
    return float(np.mean(correlations))
