from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stzoo import nets
from stzoo.space import race as module
from stzoo.space.judge import Judge
from stzoo.space.race import FINALISTS, Rung, cost, race, rungs
from tests.space.clips import data, make_small_template, small_backbone  # noqa: F401


@pytest.fixture(scope="module")
def template(small_backbone: None) -> nn.Module:  # noqa: F811
    return make_small_template()


def test_a_hundred_strategies_take_three_rungs() -> None:
    assert rungs(100, 480) == [Rung(100, 64), Rung(25, 192), Rung(7, 480)]
    assert rungs(100, 4800) == [Rung(100, 640), Rung(25, 1920), Rung(7, 4800)]
    assert rungs(100, 64) == [Rung(100, 64)]
    assert rungs(100, 100) == [Rung(100, 64), Rung(25, 100)]
    assert rungs(FINALISTS, 480) == [Rung(FINALISTS, 480)]
    assert cost(100, 480) == 100 * 64 + 25 * 128 + 7 * 288


@given(st.integers(0, 10_000), st.integers(1, 100_000))
def test_from_rung_to_rung_fewer_see_more_and_the_last_all(strategies: int, videos: int) -> None:
    steps = rungs(strategies, videos)
    assert steps[0].strategies == strategies
    assert steps[-1].videos == videos
    assert steps[-1].strategies >= min(strategies, FINALISTS)
    for first, second in itertools.pairwise(steps):
        assert first.strategies > second.strategies
        assert first.videos < second.videos
    assert cost(strategies, videos) <= strategies * videos


def test_the_better_ones_go_on(template: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_FIRST": 4, "_SECOND": 10, "FINALISTS": 2}.items():
        monkeypatch.setattr(module, name, value)
    posterior = nets.posterior(template)
    drawn = list(dict.fromkeys(posterior.sample(0, index) for index in range(100)))[:12]
    clips = data(videos=20)
    every = Judge(template, clips)
    every.ask(drawn)
    judge, told = Judge(template, clips), []
    ranked = race(judge, drawn, lambda: told.append(judge.answered))
    assert [judge.seen(strategy) for strategy in ranked] == [20, 20]
    second = sorted(drawn, key=lambda strategy: every.loss(strategy, 4))[:3]
    assert {strategy for strategy in drawn if judge.seen(strategy) >= 10} == {*second}
    third = sorted(second, key=lambda strategy: every.loss(strategy, 10))[:2]
    assert ranked == sorted(third, key=every.loss)
    assert told == [12 * 4, 12 * 4 + 3 * 6, 12 * 4 + 3 * 6 + 2 * 10] == [*told[:2], judge.answered]
    assert told[-1] == cost(12, 20)
