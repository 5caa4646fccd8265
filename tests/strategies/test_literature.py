from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from stzoo.errors import StrategyError
from stzoo.strategies.literature import bottom_heavy, mict, mixed, reversed_mixed, smart, top_heavy
from stzoo.strategies.strategy import Site, Strategy

Counted = Callable[[str, Sequence[Site], int], Strategy]

# Four stages of 2, 3, 1 and 1 sites with a choice, and one site without.
SITES = (
    Site("A1", stage=1),
    Site("A1.tail", branches=("tail",), stage=1),
    Site("A2", closable=False, stage=1),
    Site("B1", stage=2),
    Site("B2", stage=2),
    Site("B3", branches=("S", "T", "ST"), stage=2),
    Site("C1", stage=3),
    Site("D1", stage=4),
)


def units(strategy: Strategy) -> list[str]:
    """The units of the sites with a choice; the other one is open in every strategy."""
    strategy.check("net", SITES)
    assert strategy.units["A1.tail"] == "tail"
    return [strategy.units[site.name] for site in SITES if site.has_choice]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, ["S"] * 7), (1, ["S"] * 6 + ["ST"]), (5, ["S"] * 2 + ["ST"] * 5), (7, ["ST"] * 7)],
)
def test_top_heavy_has_its_time_near_the_classifier(count: int, expected: list[str]) -> None:
    assert units(top_heavy("net", SITES, count)) == expected
    assert units(bottom_heavy("net", SITES, count)) == expected[::-1]


@pytest.mark.parametrize(("group", "early"), [(2, 0), (3, 2), (4, 5), (5, 6)])
def test_mixed_convolutions_change_at_a_stage(group: int, early: int) -> None:
    assert units(mixed("net", SITES, group)) == ["ST"] * early + ["S"] * (7 - early)
    assert units(reversed_mixed("net", SITES, group)) == ["S"] * early + ["ST"] * (7 - early)


def test_mixed_convolutions_are_heavy_at_one_end() -> None:
    assert mixed("net", SITES, 3) == bottom_heavy("net", SITES, 2)
    assert reversed_mixed("net", SITES, 3) == top_heavy("net", SITES, 5)


def test_a_tube_opens_every_stage() -> None:
    assert units(mict("net", SITES)) == ["S+ST", "S", "S+ST", "S", "S", "S+ST", "S+ST"]


def test_smart_blocks_follow_three_dimensional_convolutions() -> None:
    assert units(smart("net", SITES)) == ["ST", "S+ST", "ST", "S+ST", "ST", "S+ST", "ST"]


@pytest.mark.parametrize("build", [mict, smart])
def test_a_pattern_without_any_site_is_empty(build: Callable[[str, Sequence[Site]], Strategy]) -> None:
    assert build("net", ()).units == {}


@pytest.mark.parametrize(
    ("build", "number", "sentence"),
    [
        (top_heavy, 8, "top-heavy:8 is out of range: net has 7 sites, so choose top-heavy:0 to top-heavy:7"),
        (bottom_heavy, -1, "bottom-heavy:-1 is out of range: net has 7 sites"),
        (mixed, 1, "mc1 is out of range: net has the stages 1 to 4, so choose mc2 to mc5"),
        (reversed_mixed, 6, "rmc6 is out of range: net has the stages 1 to 4, so choose rmc2 to rmc5"),
    ],
)
def test_a_number_out_of_range_is_refused(build: Counted, number: int, sentence: str) -> None:
    with pytest.raises(StrategyError, match=f"^{sentence}"):
        build("net", SITES, number)


def test_a_branch_that_no_site_has_is_refused() -> None:
    with pytest.raises(StrategyError, match="no site of net offers the unit 'ST'; choose one of S, T, S"):
        top_heavy("net", [Site("A", branches=("S", "T")), Site("B", branches=("S", "T"))], 1)
