from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.errors import StrategyError
from stzoo.strategies.strategy import Site, Strategy
from stzoo.strategies.transfer import carried, rule

TAIL = Site("tail", branches=("tail",), stage=9)


def stages(*lengths: int) -> tuple[Site, ...]:
    """Sites 1.1, 1.2 .. of stages with these lengths."""
    return tuple(
        Site(f"{stage}.{number}", stage=stage)
        for stage, length in enumerate(lengths, start=1)
        for number in range(1, length + 1)
    )


def runs(strategy: Strategy) -> str:
    """The units in order, such as `4 S+ST, 1 ST`."""
    return ", ".join(f"{len(list(run))} {unit}" for unit, run in itertools.groupby(strategy.units.values()))


@pytest.mark.parametrize("data", ["sthv1", "sthv2"])
@pytest.mark.parametrize(
    ("backbone", "lengths", "expected"),
    [
        ("resnet50", (3, 4, 6, 3), "7 S+ST, 6 ST, 3 S+ST"),
        ("resnext50", (3, 4, 6, 3), "7 S+ST, 6 ST, 3 S+ST"),
        ("resnext101", (3, 4, 23, 3), "7 S+ST, 1 ST, 9 S+ST, 13 ST, 3 S+ST"),
        ("mobilenet_v2", (2, 3, 4, 3, 3, 1), "5 S+ST, 7 ST, 4 S+ST"),
        ("resnet_tiny", (2, 3, 3, 1), "5 S+ST, 3 ST, 1 S+ST"),
        ("mobilenet_v2_tiny", (1, 2, 2, 2, 2, 1), "3 S+ST, 4 ST, 3 S+ST"),
        ("inception", (2, 5, 2), "5 S+ST, 1 ST, 3 S+ST"),
        ("densenet_tiny", (3, 4, 5, 4), "8 S+ST, 5 ST, 3 S+ST"),
        ("another", (2,), "2 S+ST"),
        ("another", (4, 1), "5 S+ST"),
    ],
)
def test_the_rule_for_something_something(data: str, backbone: str, lengths: tuple[int, ...], expected: str) -> None:
    assert runs(rule(data, backbone, stages(*lengths))) == expected


@pytest.mark.parametrize(
    ("backbone", "lengths", "expected"),
    [
        ("resnext101", (3, 4, 23, 3), "7 S+ST, 5 S, 10 S+ST, 4 S, 4 ST, 3 S+ST"),
        ("mobilenet_v2", (2, 3, 4, 3, 3, 1), "2 S+ST, 3 S, 4 S+ST, 3 S, 3 ST, 1 S+ST"),
    ],
)
def test_the_rule_for_kinetics(backbone: str, lengths: tuple[int, ...], expected: str) -> None:
    assert runs(rule("k400", backbone, stages(*lengths))) == expected


@pytest.mark.parametrize("backbone", ["resnext101", "densenet_tiny"])
def test_the_rule_for_ucf101_opens_everything(backbone: str) -> None:
    assert runs(rule("ucf101", backbone, stages(3, 2))) == "5 S+ST"


def test_sites_without_a_choice_stay_open_and_do_not_count() -> None:
    assert runs(rule("sthv1", "another", (*stages(3, 5), TAIL))) == "4 S+ST, 1 ST, 3 S+ST, 1 tail"
    source = Strategy("net", {"a": "S", "b": "ST"})
    assert runs(carried(source, "another", (TAIL, *stages(2)))) == "1 tail, 1 S, 1 ST"


def test_a_rule_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        StrategyError,
        match=r'^there is no rule "k400" for resnet50; k400 has one for resnext101, mobilenet_v2, mobilenet_v2_tiny\. '
        r"Give resnet50 one of rule:sthv1, rule:sthv2, rule:ucf101\.$",
    ):
        rule("k400", "resnet50", stages(3, 4, 6, 3))
    with pytest.raises(StrategyError, match=r'Did you mean "sthv2"\? .*rule:ucf101, rule:k400\.$'):
        rule("sthv-2", "resnext101", stages(3, 4, 23, 3))


def test_a_table_refuses_the_sites_of_another_backbone() -> None:
    with pytest.raises(StrategyError, match="resnext101 has 16 sites with a choice and 33 units are given"):
        rule("k400", "resnext101", stages(3, 4, 6, 3))


def test_a_strategy_is_carried_by_relative_depth() -> None:
    source = Strategy("net", {"a": "S", "b": "S", "c": "S+ST", "d": "ST"})
    assert runs(carried(source, "half", stages(2))) == "1 S, 1 ST"
    assert runs(carried(source, "twice", stages(4, 4))) == "4 S, 2 S+ST, 2 ST"
    assert runs(carried(source, "other", stages(3))) == "1 S, 1 S+ST, 1 ST"


units = st.lists(st.sampled_from(["S", "ST", "S+ST"]), min_size=1, max_size=70)


@given(units)
def test_a_strategy_carried_to_its_own_sites_is_itself(units: list[str]) -> None:
    sites = stages(len(units))
    source = Strategy.in_order("net", sites, units)
    assert carried(source, "net", sites) == source


@given(units, st.integers(1, 70))
def test_carrying_keeps_the_order(units: list[str], length: int) -> None:
    """Every target unit is found in the source at or after the place of the one before, near the same depth."""
    target = list(carried(Strategy.in_order("net", stages(len(units)), units), "other", stages(length)).units.values())
    place = 0
    for number, unit in enumerate(target):
        place = units.index(unit, place)
        assert place / len(units) <= (number + 0.5) / length
    if length >= len(units):
        assert [unit for unit, _ in itertools.groupby(target)] == [unit for unit, _ in itertools.groupby(units)]
