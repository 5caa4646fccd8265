from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stzoo.contract import InputContract
from stzoo.nets import Architecture
from stzoo.nets.measure import measure
from stzoo.space.costs import Costs, SizeCosts, branch_shares, least_within, random_within, size_costs, units_of
from stzoo.space.effects import closings
from stzoo.strategies.strategy import Strategy
from tests.nets.test_backbones import (  # noqa: F401
    FAMILIES,
    Kind,
    kinds,
    least_of,
    named_kind,
    small,
    small_backbones,
)


@pytest.mark.parametrize("kind", [kinds(name)[-1] for name in FAMILIES], ids=named_kind)
def test_sizes_are_sums_over_sites(kind: Kind) -> None:
    shape, (frames, side) = small(kind), least_of(kind)
    costs = size_costs(shape, InputContract(frames=frames, fps=1.0, resize=side, crop=side))
    units = {site.name: units_of(site)[place % len(units_of(site))] for place, site in enumerate(shape.sites)}
    for strategy in (Strategy(shape.backbone, units), shape.all_open):
        size = measure(shape, strategy, frames=frames, height=side, width=side)
        assert SizeCosts(*(one.of(strategy) for one in costs)) == (size.parameters, size.multiply_adds)
        assert costs.multiply_adds.has(strategy)
    assert costs.multiply_adds.of(costs.multiply_adds.dearest) == costs.multiply_adds.of(shape.all_open)


UNITS = ("S", "ST", "S+ST")


@st.composite
def spaces(draw: st.DrawFn) -> Costs:
    sites = [f"L{number}" for number in range(draw(st.integers(1, 4)))]
    costs = {site: {unit: draw(st.integers(0, 30)) for unit in UNITS} for site in sites}
    return Costs("net", draw(st.integers(0, 50)), costs)


def everything(costs: Costs) -> Iterator[Strategy]:
    for units in itertools.product(UNITS, repeat=len(costs.units)):
        yield Strategy(costs.backbone, dict(zip(costs.units, units, strict=True)))


@settings(max_examples=50)
@given(spaces(), st.integers(1, 5), st.data())
def test_the_best_within_a_budget_are_those_of_a_full_search(costs: Costs, count: int, data: st.DataObject) -> None:
    """Budgets are so small here that every cost has a bin of its own, and nothing is lost."""
    prices = {
        site: {unit: float(data.draw(st.integers(0, 9))) for unit in units} for site, units in costs.units.items()
    }
    budget = data.draw(st.integers(0, 200))
    fit = [strategy for strategy in everything(costs) if costs.of(strategy) <= budget]

    def price(strategy: Strategy) -> float:
        return sum(prices[site][unit] for site, unit in strategy.units.items())

    best = least_within(prices, costs, budget, count)
    assert [price(strategy) for strategy in best] == sorted(map(price, fit))[:count]
    assert len(set(best)) == len(best)
    assert all(costs.of(strategy) <= budget for strategy in best)
    assert least_within(prices, costs, budget, count) == best


@given(spaces(), st.integers(0, 5), st.data())
def test_random_strategies_fill_a_budget(costs: Costs, index: int, data: st.DataObject) -> None:
    budget = data.draw(st.integers(costs.of(costs.cheapest), costs.of(costs.dearest) + 5))
    strategy = random_within(costs, budget, 0, index)
    left = budget - costs.of(strategy)
    assert left >= 0
    for site, unit in strategy.units.items():
        dearer = [cost for cost in costs.units[site].values() if cost > costs.units[site][unit]]
        assert all(cost - costs.units[site][unit] > left for cost in dearer)
    assert random_within(costs, budget, 0, index) == strategy


def test_random_strategies_differ_and_a_budget_below_all_is_refused() -> None:
    costs = Costs("net", 10, {f"L{number}": {"S": 0, "ST": 5, "S+ST": 8} for number in range(8)})
    assert len({random_within(costs, 40, 0, index) for index in range(10)}) > 5
    assert len({random_within(costs, 40, seed, 0) for seed in range(10)}) > 5
    with pytest.raises(ValueError, match="no strategy costs 9 or less"):
        random_within(costs, 9, 0, 0)


def test_the_share_of_a_branch_is_what_closing_it_saves() -> None:
    shape = Architecture("resnet_tiny", 3, {})
    contract = InputContract(frames=4, fps=1.0, resize=32, crop=32)
    clip = {"frames": 4, "height": 32, "width": 32}
    shares = branch_shares(shape, contract)
    whole = measure(shape, shape.all_open, **clip).multiply_adds
    assert list(shares) == [(site.name, branch) for site in shape.sites for branch in site.branches]
    for site, branch, strategy in list(closings(shape))[:3]:
        saved = whole - measure(shape, strategy, **clip).multiply_adds
        assert shares[site.name, branch] == pytest.approx(saved / whole)
    assert 0 < sum(shares.values()) < 1
