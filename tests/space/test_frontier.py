from __future__ import annotations

import csv
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.metrics import Estimate
from stzoo.nets import Architecture
from stzoo.space.costs import Costs, least_within, size_costs
from stzoo.space.frontier import FIELDS, FOUND, RANDOMS, Frontier, Point, lead, points, rivals, table
from stzoo.space.one_shot import Answers
from stzoo.strategies.budget import Budget
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy
from tests.space.clips import small_backbone  # noqa: F401

pytestmark = pytest.mark.usefixtures("small_backbone")


@pytest.fixture(scope="module")
def shape(small_backbone: None) -> Architecture:  # noqa: F811
    return Architecture("densenet_small", 3, {})


@pytest.fixture(scope="module")
def costs(shape: Architecture) -> Costs:
    return size_costs(shape, InputContract(frames=2, fps=1.0, resize=32, crop=32)).multiply_adds


def posterior_of(shape: Architecture) -> Posterior:
    return Posterior(
        shape.backbone,
        {site.name: {"S": 0.9 - 0.1 * place, "ST": 0.2} for place, site in enumerate(shape.sites)},
    )


def test_rivals_are_filled_to_the_budget(shape: Architecture, costs: Costs) -> None:
    posterior = posterior_of(shape)
    for part in (0.0, 0.4, 1.0):
        budget = round(costs.of(costs.cheapest) + part * (costs.of(costs.dearest) - costs.of(costs.cheapest)))
        others = rivals(shape, costs, posterior, budget)
        assert len(others) == 3 + RANDOMS
        assert all(costs.of(strategy) <= budget for strategy in others.values())
        for name in ("top-heavy", "bottom-heavy"):
            units = others[name].units
            now = costs.of(others[name])
            nearest = [Strategy(shape.backbone, {**units, site: more}) for site in units for more in ("ST", "S+ST")]
            assert all(costs.of(one) > budget for one in nearest if costs.of(one) > now)
        likely = posterior.log_probability(others["most-probable"])
        free = {site: dict.fromkeys(units, 0.0) for site, units in costs.units.items()}
        within = least_within(free, costs, budget, count=100)
        assert likely == pytest.approx(max(posterior.log_probability(strategy) for strategy in within))


def test_a_posterior_that_rules_units_out_still_has_a_most_probable(shape: Architecture, costs: Costs) -> None:
    certain = Posterior(shape.backbone, {site.name: {"S": 1.0, "ST": 0.0} for site in shape.sites})
    assert set(rivals(shape, costs, certain, costs.of(costs.dearest))["most-probable"].units.values()) == {"ST"}
    assert set(rivals(shape, costs, certain, costs.of(costs.cheapest))["most-probable"].units.values()) == {"S"}


def answers(right: str) -> Answers:
    correct = np.array([letter == "1" for letter in right])
    return Answers(np.where(correct, 0.5, 0.25).astype(np.float32), correct)


def test_points_stand_beside_the_found_net(shape: Architecture, costs: Costs) -> None:
    every = [costs.cheapest, *least_within({s: dict.fromkeys(u, 0.0) for s, u in costs.units.items()}, costs, 10**9, 6)]
    first, second, *random = dict.fromkeys(every)
    named_nets = {FOUND: first, "top-heavy": second, **{f"random {place}": one for place, one in enumerate(random)}}
    rights = ["1111", "1100", *(["0000", "0001", "0111", "1111"][: len(random)])]
    reached = points(
        named_nets,
        costs,
        dict(zip(named_nets.values(), map(answers, rights), strict=True)),
        ["a", "a", "b", "c"],
        budget=Budget(99),
    )
    assert [point.net for point in reached] == [FOUND, "top-heavy", f"median of {RANDOMS} random"]
    assert [point.accuracy.value for point in reached] == [1.0, 0.5, 0.75]
    assert reached[0].lead is None
    assert reached[1].lead is not None
    assert reached[1].lead.value == 0.5
    assert reached[1].cross_entropy == pytest.approx((math.log(2) + math.log(4)) / 2)
    lines = list(csv.DictReader(table(reached).splitlines()))
    assert tuple(lines[0]) == FIELDS
    assert [line["budget"] for line in lines] == ["99"] * 3
    assert lines[0]["less_than_found"] == ""
    assert float(lines[1]["less_than_found"]) == 0.5
    assert Strategy.from_text(lines[1]["strategy"]) == second
    assert int(lines[1]["multiply_adds"]) == costs.of(second)


def test_a_lead_is_paired_and_counts_sources() -> None:
    first, second = answers("111100").right, answers("110000").right
    ahead = lead(first, second, list("abcdef"))
    assert ahead.value == pytest.approx(1 / 3)
    assert ahead.low < ahead.value < ahead.high
    together = lead(first, second, list("abccef"))
    assert together.value == ahead.value
    assert together.high - together.low > ahead.high - ahead.low


def test_a_lead_is_what_agresti_and_min_say_where_every_video_has_a_source() -> None:
    first, second = answers("1" * 12 + "0" * 18).right, answers("1" * 5 + "0" * 7 + "11" + "0" * 16).right
    found = lead(first, second, [str(video) for video in range(30)])
    more, less, all_of = 7.5, 2.5, 32
    half = 1.959964 * math.sqrt(more + less - (more - less) ** 2 / all_of) / all_of
    assert (found.low, found.high) == pytest.approx((5 / all_of - half, 5 / all_of + half))


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 1000))
def test_a_lead_has_a_width_and_stays_within_what_can_be(videos: int, sources: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    first, second = draws.random((2, videos)) < draws.random((2, 1))
    of_videos = [str(number) for number in draws.integers(sources, size=videos)]
    found, back = lead(first, second, of_videos), lead(second, first, of_videos)
    assert -1 <= found.low < found.high <= 1
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_the_interval_of_a_lead_holds_what_many_more_videos_would_say() -> None:
    draws, held = np.random.default_rng(0), 0
    for _ in range(400):
        level = draws.normal(size=(30, 1))  # of a source, whose four videos are alike
        first, second = (level + draws.normal(size=(2, 30, 4)) + np.array([0.5, 0.2])[:, None, None]) > 0
        found = lead(first.ravel(), second.ravel(), [str(video // 4) for video in range(120)])
        held += found.low <= 0.0819 <= found.high
    assert held / 400 == pytest.approx(0.95, abs=0.03)


def test_nets_beside_all_budgets_have_no_lead(shape: Architecture, costs: Costs) -> None:
    (point,) = points({"sst": shape.all_open}, costs, {shape.all_open: answers("10")}, ["a", "b"])
    assert (point.budget, point.lead, point.cost) == (None, None, costs.of(shape.all_open))
    assert table([point]).splitlines()[1].startswith(f",sst,{point.cost},,0.5")
    assert nets.BACKBONES["densenet_small"]


def test_a_frontier_is_a_list_of_rows_that_draws_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy, share = Strategy("densenet_small", {}), Estimate(0.5, 0.25, 0.75, 9)
    found = [
        Point(Budget.parse(text), FOUND, cost, None, share, 1.0, strategy, None)
        for text, cost in (("1M", 900_000), ("2M", 1_900_000))
    ]
    found.append(Point(None, "<st>", 3_000_000, None, share, 1.0, strategy, None))
    frontier = Frontier([point.row() for point in found], found, "smoke")
    assert frontier == [point.row() for point in found]
    page = frontier._repr_html_()
    assert page is not None
    assert "<th>found, within 1M</th><td>50.0% (25.0% to 75.0%) of 9 videos</td>" in page
    assert "<th>&lt;st&gt;</th>" in page
    assert 'src="data:image/png;base64,' in page
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert frontier._repr_html_() is None
