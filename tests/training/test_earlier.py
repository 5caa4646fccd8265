from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stzoo.errors import TrainingError
from stzoo.metrics import Estimate
from stzoo.space.costs import Costs
from stzoo.space.frontier import FOUND, Point, table
from stzoo.strategies.budget import Budget
from stzoo.strategies.strategy import Strategy
from stzoo.training.earlier import comparable, joined, read

CHEAP, DEAR = (Strategy("net", {"L1": unit}) for unit in ("S", "S+ST"))
BEHIND = Point(
    *(Budget(3_000_000), "top-heavy", 2_000_000, None, Estimate(0.5, 0.25, 0.75, 8), 0.5, CHEAP),
    Estimate(0.125, -0.25, 0.5, 8),
)
BEST = replace(BEHIND, net=FOUND, strategy=DEAR, lead=None)
TIMED = replace(BEST, budget=Budget(3_500_000, "nanoseconds"), nanoseconds=3_400_001)
BESIDE = replace(BEST, budget=None, net="sst")


def test_what_a_table_says_is_read_again(tmp_path: Path) -> None:
    points = [BESIDE, BEST, BEHIND, TIMED]
    assert read(tmp_path / "frontier.csv") == []
    (tmp_path / "frontier.csv").write_text(table(points))
    assert read(tmp_path / "frontier.csv") == points


def test_what_is_reached_anew_replaces_its_budget_alone() -> None:
    anew = replace(BEST, cross_entropy=0.25)
    larger = replace(BEST, budget=Budget(4_000_000))
    assert joined([BESIDE, BEST, BEHIND, larger, TIMED], [anew]) == [BESIDE, anew, larger, TIMED]
    beside = replace(BESIDE, nanoseconds=1)
    assert joined([BESIDE, BEST], [beside]) == [BESIDE, BEST, beside]


def test_a_figure_has_one_unit_and_the_milliseconds_of_one_table() -> None:
    points = [BESIDE, BEST, TIMED]
    assert comparable(points, None) == [BESIDE, BEST]
    assert comparable(points, Costs("net", 3_400_000, {"L1": {"S": 0, "S+ST": 1}})) == [TIMED]
    assert comparable(points, Costs("net", 3_400_000, {"L1": {"S": 0, "S+ST": 2}})) == []


@pytest.mark.parametrize("text", ["budget,net\n3M,found\n", table([BEST]).replace("3M", "3X"), "a\nb"])
def test_another_table_is_refused_and_left(tmp_path: Path, text: str) -> None:
    (tmp_path / "frontier.csv").write_text(text)
    with pytest.raises(TrainingError, match=r"frontier\.csv is no table of what nets reach within budgets .* move"):
        read(tmp_path / "frontier.csv")
    assert (tmp_path / "frontier.csv").read_text() == text
