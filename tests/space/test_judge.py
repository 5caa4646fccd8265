from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stzoo import nets
from stzoo.errors import TrainingError
from stzoo.nets.fusion import named_gates
from stzoo.space import judge as module
from stzoo.space.judge import Judge
from stzoo.space.one_shot import one_shot_score
from stzoo.space.trie import Trie
from stzoo.strategies.strategy import Strategy
from tests.space.clips import VIDEOS, data, make_small_template, small_backbone  # noqa: F401


@pytest.fixture(scope="module")
def template(small_backbone: None) -> nn.Module:  # noqa: F811
    return make_small_template()


@pytest.fixture(scope="module")
def drawn(template: nn.Module) -> list[Strategy]:
    posterior = nets.posterior(template)
    drawn = list(dict.fromkeys(posterior.sample(0, index) for index in range(30)))[:5]
    assert len(drawn) == 5
    return drawn


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[list[Strategy]]:
    """The strategies of every trie that is built from here on."""
    built: list[list[Strategy]] = []

    def watched(template: nn.Module, strategies: Sequence[Strategy]) -> Trie:
        built.append(list(strategies))
        return Trie(template, strategies)

    monkeypatch.setattr(module, "Trie", watched)
    return built


def answers(judge: Judge, strategies: Sequence[Strategy]) -> list[tuple[bytes, bytes]]:
    return [(one.likelihoods.tobytes(), one.right.tobytes()) for one in map(judge.answers, strategies)]


def test_scores_are_one_shot_scores(template: nn.Module, drawn: list[Strategy]) -> None:
    judge = Judge(template, data())
    judge.ask(drawn)
    for strategy in drawn:
        score = one_shot_score(template, strategy, data())
        assert judge.score(strategy).accuracy == score.accuracy
        assert judge.score(strategy).cross_entropy == pytest.approx(score.cross_entropy, abs=2e-6)
        assert judge.loss(strategy) == pytest.approx(score.cross_entropy, abs=2e-6)
        assert judge.seen(strategy) == VIDEOS


def test_all_are_asked_about_the_same_videos_and_no_answer_is_computed_twice(
    template: nn.Module, drawn: list[Strategy], tries: list[list[Strategy]]
) -> None:
    told: list[int] = []
    batches: list[int] = []
    judge = Judge(template, data(), advance=told.append, prepare=batches.append)
    judge.ask(drawn[:3], 2)
    assert batches == [1, 2, 0], "statistics come before answers"
    judge.ask(drawn[1:3], 5)
    assert [judge.seen(strategy) for strategy in drawn] == [2, 5, 5, 0, 0]
    assert sum(told) == judge.answered == 3 * 2 + 2 * 3
    assert tries == [drawn[:3]], "survivors stay in the trie that they are in"
    judge.ask(drawn)
    judge.ask(drawn, 3)
    assert sum(told) == judge.answered == 5 * VIDEOS
    at_once = Judge(template, data())
    at_once.ask(drawn)
    np.testing.assert_array_equal(at_once.order, judge.order)
    for strategy in drawn:
        first, again = judge.answers(strategy), at_once.answers(strategy)
        np.testing.assert_allclose(first.likelihoods, again.likelihoods, rtol=1e-5)
        np.testing.assert_array_equal(judge.answers(strategy, 4).likelihoods, first.likelihoods[:4])


def test_more_nets_than_stand_in_memory_are_asked_in_turn(
    template: nn.Module, drawn: list[Strategy], tries: list[list[Strategy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Judge(template, data())
    expected.ask(drawn)
    monkeypatch.setattr(module, "TOGETHER", 2)
    judge = Judge(template, data())
    judge.ask(drawn)
    assert [len(strategies) for strategies in tries[1:]] == [2, 2, 1]
    assert answers(judge, drawn) == answers(expected, drawn)


@pytest.mark.parametrize("stopped", range(1, 4))
def test_what_is_in_the_file_is_not_computed_again(
    template: nn.Module, drawn: list[Strategy], tmp_path: Path, stopped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_SAVES", 0.0)
    clips = data(at_once=2)
    straight = Judge(template, clips, tmp_path / "straight.npz")
    straight.ask(drawn)
    done = 0

    def stop(count: int) -> None:
        nonlocal done
        done += count
        if done >= stopped * 2 * len(drawn):
            raise KeyboardInterrupt

    path = tmp_path / "answers.npz"
    with pytest.raises(KeyboardInterrupt):
        Judge(template, clips, path, advance=stop).ask(drawn)
    told: list[int] = []
    again = Judge(template, clips, path, advance=told.append)
    there = again.answered
    assert there == (stopped - 1) * 2 * len(drawn)
    again.ask(drawn)
    assert sum(told) == VIDEOS * len(drawn) - there
    assert answers(again, drawn) == answers(straight, drawn)
    assert path.read_bytes() == (tmp_path / "straight.npz").read_bytes()


def test_a_file_of_something_else_is_refused(template: nn.Module, drawn: list[Strategy], tmp_path: Path) -> None:
    path = tmp_path / "answers.npz"
    Judge(template, data(), path).ask(drawn[:2])
    written = path.read_bytes()
    other = make_small_template()
    with torch.no_grad():
        for _, _, gate, _ in named_gates(other):
            gate.logit += 1e-3
    clips = data()
    fewer = replace(clips, clips=clips.clips[:5], labels=clips.labels[:5])
    relabelled = replace(clips, labels=clips.labels[::-1].copy())
    for strange in ((other, clips), (template, fewer), (template, relabelled), (template, data(calibrated=False))):
        with pytest.raises(TrainingError, match=f"{re.escape(str(path))} holds answers of another template, or on oth"):
            Judge(*strange, path)
    for damaged in (b"", b"letters", written[:200], written[: len(written) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match=f"{re.escape(str(path))} does not hold answers .* to ask them again"):
            Judge(template, data(), path)
