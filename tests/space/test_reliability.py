from __future__ import annotations

import json
import math

import numpy as np
import pytest

from stzoo.space.judge import Judge
from stzoo.space.one_shot import Answers
from stzoo.space.reliability import reliability
from stzoo.strategies.strategy import Strategy
from tests.space.clips import data, make_template

VIDEOS = 200


def judged(losses: np.ndarray, seen: list[int] | None = None) -> tuple[Judge, list[Strategy]]:
    """A judge that has these answers of strategies; the videos are in its order."""
    judge = Judge(make_template(), data(videos=VIDEOS))
    judge.order = np.arange(VIDEOS)
    strategies = [Strategy("densenet_tiny", {f"L{number}": "S"}) for number in range(len(losses))]
    for number, strategy in enumerate(strategies):
        part = losses[number, : VIDEOS if seen is None else seen[number]]
        answers = Answers(np.exp(-part).astype(np.float32), part < 0.7)
        judge._answers[strategy] = answers
    return judge, strategies


def sources(each: int = 1) -> list[str]:
    return [str(row // each) for row in range(VIDEOS)]


def test_strategies_that_differ_are_ranked_alike_by_both_halves_and_noise_is_not() -> None:
    random = np.random.default_rng(0)
    noise = random.exponential(1.0, (30, VIDEOS))
    apart = noise + np.linspace(0, 4, 30)[:, None]
    for losses, low, high in ((apart, 0.95, 1.0), (noise, -0.3, 0.3)):
        judge, strategies = judged(losses)
        trust = reliability(judge, strategies, strategies[0], sources())
        (halves,) = trust.halves
        assert (halves.strategies, halves.videos) == (30, VIDEOS)
        assert low < halves.rank_correlation < high


def test_no_source_is_in_both_halves() -> None:
    """Where clips are copies of ten recordings, both halves of the clips agree, but not those of the recordings."""
    losses = np.repeat(np.random.default_rng(0).exponential(1.0, (30, 10)), VIDEOS // 10, axis=1)
    judge, strategies = judged(losses)
    by_video, by_source = (
        reliability(judge, strategies, strategies[0], names).halves[0].rank_correlation
        for names in (sources(), sources(VIDEOS // 10))
    )
    assert by_video > 0.8
    assert by_source < 0.3


def test_ties_repeats_and_what_cannot_be_told_apart_are_counted() -> None:
    random = np.random.default_rng(0)
    first = random.exponential(1.0, VIDEOS)
    losses = np.stack([first, first, first + random.normal(0, 1, VIDEOS) ** 2, first[::-1], first + 1.0])
    judge, strategies = judged(losses, [VIDEOS, VIDEOS, VIDEOS, VIDEOS, 60])
    trust = reliability(judge, [*strategies, strategies[0]], strategies[0], sources())
    assert (trust.drawn, trust.different, trust.tied, trust.undecided) == (6, 5, 2, 2)
    assert [(one.strategies, one.videos) for one in trust.halves] == [(5, 60), (4, VIDEOS)]
    assert trust.text.endswith("1 of 6 draws repeat another; 2 others tie with the best; 2 cannot be told from it")


@pytest.mark.parametrize("count", [1, 2])
def test_of_few_strategies_nothing_is_known(count: int) -> None:
    judge, strategies = judged(np.ones((count, VIDEOS)))
    trust = reliability(judge, strategies, strategies[0], sources())
    assert trust.halves == ()
    assert "rank correlation not known" in trust.text


def test_where_all_are_alike_the_correlation_is_null() -> None:
    judge, strategies = judged(np.ones((4, VIDEOS)))
    trust = reliability(judge, strategies, strategies[0], sources())
    assert math.isnan(trust.halves[0].rank_correlation)
    assert json.loads(json.dumps(trust.to_json(), allow_nan=False))["halves"][0]["rank_correlation"] is None
