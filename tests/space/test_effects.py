from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stzoo import nets
from stzoo.metrics import Mean
from stzoo.nets.densenet import DENSENET_TINY
from stzoo.nets.measure import measure
from stzoo.space import effects as module
from stzoo.space.effects import Effect, Effects, check_sum, closings, measure_effects
from stzoo.space.judge import Judge
from stzoo.space.one_shot import one_shot_score
from stzoo.space.trie import Trie
from stzoo.strategies.strategy import NONE, Strategy, open_branches
from tests.space.clips import CLASSES, VIDEOS, data

SOURCES = [f"source {row // 2}" for row in range(VIDEOS)]


@pytest.fixture(scope="module")
def template() -> Iterator[nn.Module]:
    """Three sites: a dense layer, a transition, a dense layer."""
    sizes = replace(DENSENET_TINY, block_layers=(1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(nets.BACKBONES, "densenet_small", replace(nets.BACKBONES["densenet_tiny"], sizes=sizes))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            yield nets.template("densenet_small", CLASSES).eval()


@pytest.fixture(scope="module")
def effects(template: nn.Module) -> Effects:
    return measure_effects(Judge(template, data()), SOURCES)


def test_an_effect_is_the_change_of_the_one_shot_score(template: nn.Module, effects: Effects) -> None:
    architecture = nets.architecture(template)
    everything = one_shot_score(template, architecture.all_open, data())
    assert effects.cross_entropy == pytest.approx(everything.cross_entropy, abs=1e-5)
    assert effects.accuracy == pytest.approx(everything.accuracy, abs=1e-5)
    strategies = {(site.name, branch): strategy for site, branch, strategy in closings(architecture)}
    assert [(effect.site, effect.branch) for effect in effects.effects] == list(strategies)
    for effect in effects.effects[:4]:
        score = one_shot_score(template, strategies[effect.site, effect.branch], data())
        assert effect.cross_entropy.value == pytest.approx(score.cross_entropy - everything.cross_entropy, abs=1e-5)
        assert effect.accuracy.value == pytest.approx(everything.accuracy - score.accuracy, abs=1e-5)
        assert effect.videos == VIDEOS
        classes = np.bincount(data().labels)
        known = [change for change in effect.classes if change is not None]
        assert np.dot(known, classes) / VIDEOS == pytest.approx(effect.cross_entropy.value, abs=1e-6)


def test_every_closing_leaves_everything_else_open(template: nn.Module) -> None:
    architecture = nets.architecture(template)
    everything = architecture.all_open
    for site, branch, strategy in closings(architecture):
        differing = [name for name in everything.units if strategy.units[name] != everything.units[name]]
        assert differing == [site.name]
        closed = set(open_branches(everything.units[site.name])) - set(open_branches(strategy.units[site.name]))
        assert closed == {branch}
    tails = nets.Architecture("densenet_small", 3, {"tail_sites": True})
    single = {site.name for site in tails.sites if len(site.branches) == 1}
    closed = {site.name: strategy.units[site.name] for site, _, strategy in closings(tails) if site.name in single}
    assert closed
    assert set(closed.values()) == {NONE}


def test_costs_of_both_branches_of_all_sites_are_those_of_the_net(template: nn.Module, effects: Effects) -> None:
    architecture = nets.architecture(template)
    clip = {"frames": 2, "height": 32, "width": 32}
    s_only = measure(architecture, architecture.uniform("S"), **clip).multiply_adds
    of_st = sum(effect.multiply_adds for effect in effects.effects if effect.branch == "ST")
    assert effects.multiply_adds - of_st == s_only
    assert all(effect.milliseconds is None for effect in effects.effects)


def test_the_template_is_left_as_it_was(template: nn.Module) -> None:
    def digest() -> str:
        return hashlib.sha256(b"".join(value.numpy().tobytes() for value in template.state_dict().values())).hexdigest()

    before = digest()
    measure_effects(Judge(template, data()), SOURCES)
    assert digest() == before


def test_known_effects_are_not_measured_again(
    template: nn.Module, effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Strategy] = []

    def watched(template: nn.Module, strategies: Sequence[Strategy]) -> Trie:
        closed.extend(strategies)
        return Trie(template, strategies)

    monkeypatch.setattr("stzoo.space.judge.Trie", watched)
    told: list[Effect] = []
    judge = Judge(template, data())
    again = measure_effects(judge, SOURCES, known=effects.effects[2:], advance=told.append)
    assert [effect.worth for effect in again.effects] == pytest.approx([effect.worth for effect in effects.effects])
    assert again.effects[2:] == effects.effects[2:]
    assert told == [*again.effects[2:], *again.effects[:2]]
    assert len(closed) == 3  # everything open, and two that were not known


def test_a_measurement_that_is_stopped_goes_on(template: nn.Module, effects: Effects, tmp_path: Path) -> None:
    told: list[int] = []

    def stop(answers: int) -> None:
        told.append(answers)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stzoo.space.judge._SECONDS_BETWEEN_SAVES", -1.0)
        with pytest.raises(KeyboardInterrupt):
            measure_effects(Judge(template, data(at_once=4), tmp_path / "answers.npz", advance=stop), SOURCES)
    there = told[0]
    told.clear()
    judge = Judge(template, data(at_once=4), tmp_path / "answers.npz", advance=told.append)
    assert judge.answered == there > 0
    again = measure_effects(judge, SOURCES)
    assert judge.answered == there + sum(told) == VIDEOS * (1 + len(effects.effects))
    for one, other in zip(again.effects, effects.effects, strict=True):
        assert one.cross_entropy == pytest.approx(other.cross_entropy, abs=1e-6)


def test_branches_need_no_more_videos_than_their_standard_error_asks_for(
    template: nn.Module, effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    alone = [str(row) for row in range(VIDEOS)]
    for enough, videos in ((0.0, VIDEOS), (1e-9, VIDEOS), (100.0, 4)):
        judge = Judge(template, data())
        again = measure_effects(judge, alone, enough=enough)
        assert {effect.videos for effect in again.effects} == {videos}
        labels = data().labels[judge.order[:videos]]
        everything = judge.answers(again.architecture.all_open, videos).losses
        for effect, (_, _, strategy) in zip(again.effects, closings(again.architecture), strict=True):
            losses = judge.answers(strategy).losses - everything
            by_class = [losses[labels == label].mean() if label in labels else None for label in range(CLASSES)]
            assert effect.classes == pytest.approx(by_class)
        assert again.cross_entropy == pytest.approx(effects.cross_entropy, abs=1e-6)


def test_latency_is_measured_where_it_is_asked_for(template: nn.Module, effects: Effects) -> None:
    timed = measure_effects(Judge(template, data()), SOURCES, known=effects.effects[1:], latency=True)
    assert timed.effects[0].milliseconds is not None
    assert math.isfinite(timed.effects[0].milliseconds)


def test_the_sum_of_effects_is_compared_with_fresh_strategies(template: nn.Module, effects: Effects) -> None:
    trust = check_sum(Judge(template, data()), effects, strategies=4, seed=3)
    assert len({strategy.digest for strategy in trust.strategies}) == 4
    for strategy, predicted, measured in zip(trust.strategies, trust.predicted, trust.measured, strict=True):
        assert predicted == effects.predicted(strategy)
        assert measured == pytest.approx(one_shot_score(template, strategy, data()).cross_entropy, abs=1e-5)
    assert -1 <= trust.rank_correlation <= 1


def test_effects_that_add_up_are_trusted() -> None:
    architecture = nets.Architecture("densenet_tiny", 3, {})
    no_time = Mean(0.0, 0.0)
    made = tuple(
        Effect(site.name, branch, Mean(0.01 * place, 0.0), no_time, 0, None, 1, ())
        for place, (site, branch, _) in enumerate(closings(architecture))
    )
    effects = Effects(architecture, 0.5, 0.9, 1, made)
    assert effects.predicted(architecture.all_open) == 0.5
    s_only = sum(effect.cross_entropy.value for effect in made if effect.branch == "ST")
    assert effects.predicted(architecture.uniform("S")) == pytest.approx(0.5 + s_only)
