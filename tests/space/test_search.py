from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from stzoo import nets
from stzoo.space import race, search
from stzoo.space.costs import Costs, size_costs
from stzoo.space.judge import Judge
from stzoo.space.search import changes, effects_around
from stzoo.strategies.strategy import Strategy
from tests.space.clips import CONTRACT, data, make_small_template, small_backbone  # noqa: F401

pytestmark = pytest.mark.usefixtures("small_backbone")


@pytest.fixture(scope="module")
def template(small_backbone: None) -> nn.Module:  # noqa: F811
    """Three sites, so 27 strategies."""
    return make_small_template()


@pytest.fixture(scope="module")
def costs(template: nn.Module) -> Costs:
    return size_costs(nets.architecture(template), CONTRACT).multiply_adds


@pytest.fixture(scope="module")
def losses(template: nn.Module, costs: Costs) -> dict[Strategy, float]:
    """Of every strategy on all videos."""
    judge = Judge(template, data())
    strategies = [costs.dearest]
    for site in costs.units:
        strategies = [
            Strategy(costs.backbone, {**strategy.units, site: unit})
            for strategy in strategies
            for unit in costs.units[site]
        ]
    judge.ask(strategies)
    return {strategy: judge.loss(strategy) for strategy in strategies}


def test_effects_are_differences_of_one_shot_losses(
    template: nn.Module, costs: Costs, losses: dict[Strategy, float]
) -> None:
    around = costs.cheapest
    effects = effects_around(Judge(template, data()), costs, around, 7)
    for (site, unit), strategy in changes(costs, around).items():
        assert effects[site][unit] == pytest.approx(losses[strategy] - losses[around], abs=1e-6)
    for site, unit in around.units.items():
        assert effects[site][unit] == 0.0
    assert {site: set(units) for site, units in effects.items()} == {s: set(u) for s, u in costs.units.items()}


@pytest.mark.parametrize("part", [0.0, 0.3, 0.7, 1.0])
def test_of_a_space_that_is_smaller_than_the_proposals_the_best_is_found(
    template: nn.Module, costs: Costs, losses: dict[Strategy, float], part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(race, "FINALISTS", 30)
    monkeypatch.setattr(search, "PROPOSED", 30)
    least, most = costs.of(costs.cheapest), costs.of(costs.dearest)
    budget = round(least + part * (most - least))
    found = search.search(Judge(template, data()), costs, budget)
    assert costs.of(found.strategy) <= budget
    assert found.cross_entropy == min(loss for strategy, loss in losses.items() if costs.of(strategy) <= budget)


def test_a_search_is_as_good_as_its_rivals_within_the_budget(
    template: nn.Module, costs: Costs, losses: dict[Strategy, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PROPOSED", 1)
    monkeypatch.setattr(search, "RACES", 1)
    budget = (costs.of(costs.cheapest) + costs.of(costs.dearest)) // 2
    best = min((one for one in losses if costs.of(one) <= budget), key=lambda one: losses[one])
    asked: list[int] = []
    judge = Judge(template, data())
    found = search.search(
        judge, costs, budget, rivals=[best, costs.dearest], after=lambda: asked.append(judge.answered)
    )
    assert found.strategy == best
    assert asked


def test_local_changes_lead_on_from_a_poor_proposal(
    template: nn.Module, costs: Costs, losses: dict[Strategy, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PROPOSED", 2)
    budget = costs.of(costs.dearest)
    first = search.search(Judge(template, data()), costs, budget)
    monkeypatch.setattr(search, "RACES", 1)
    alone = search.search(Judge(template, data()), costs, budget)
    assert alone.races == 1 < first.races
    assert first.cross_entropy <= alone.cross_entropy


def test_a_search_that_is_stopped_ends_the_same(template: nn.Module, costs: Costs, tmp_path: Path) -> None:
    budget = (costs.of(costs.cheapest) + costs.of(costs.dearest)) // 2
    straight = Judge(template, data(), tmp_path / "straight.npz")
    found = search.search(straight, costs, budget)
    told: list[int] = []

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search.search(Judge(template, data(), tmp_path / "answers.npz"), costs, budget, after=stop)
    again = Judge(template, data(), tmp_path / "answers.npz", advance=told.append)
    there = again.answered
    assert there > 0
    assert search.search(again, costs, budget) == found
    assert again.answered == straight.answered == there + sum(told)
    assert again.asked == straight.asked


def test_a_budget_that_pays_for_the_cheapest_alone_asks_about_nothing_else(template: nn.Module, costs: Costs) -> None:
    judge = Judge(template, data())
    found = search.search(judge, costs, costs.of(costs.cheapest))
    assert found.strategy == costs.cheapest
    assert found.races == 0
    assert judge.answered == judge.videos


def test_a_budget_below_all_is_refused(template: nn.Module, costs: Costs) -> None:
    with pytest.raises(ValueError, match="no strategy costs 5 or less"):
        search.search(Judge(template, data()), costs, 5)
