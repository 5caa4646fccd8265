"""What earlier searches within budgets have left in the table of a run, and the table of both."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from stzoo.errors import StrategyError, TrainingError, UsageError
from stzoo.metrics import Estimate
from stzoo.space.costs import Costs
from stzoo.space.frontier import Point
from stzoo.strategies.budget import Budget
from stzoo.strategies.strategy import Strategy


def read(path: Path) -> list[Point]:
    """The points of a table as `frontier.table` writes it; none where there is no file.

    Raises `TrainingError` where it holds something else.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_point(row) for row in csv.DictReader(file)]
    except (ValueError, KeyError, TypeError, csv.Error, StrategyError, UsageError) as error:
        raise TrainingError(
            f"{path} is no table of what nets reach within budgets ({type(error).__name__}); move the file away, and "
            "ask for its budgets again"
        ) from error


def joined(before: Sequence[Point], reached: Sequence[Point]) -> list[Point]:
    """All of them by their budgets, but of those before what was reached anew: a budget, or a net beside all."""
    anew = {*map(_asked, reached)}
    both = [*(point for point in before if _asked(point) not in anew), *reached]
    return sorted(both, key=lambda one: (one.nanoseconds is not None, 0 if one.budget is None else one.budget.amount))


def comparable(points: Sequence[Point], times: Costs | None) -> list[Point]:
    """Those with a cost in one unit: multiply-adds, or the milliseconds of one table."""
    if times is None:
        return [point for point in points if point.nanoseconds is None]
    return [point for point in points if times.has(point.strategy) and times.of(point.strategy) == point.nanoseconds]


def _asked(point: Point) -> object:
    return point.budget or (point.net, point.nanoseconds is None)


def _point(row: Mapping[str, str]) -> Point:
    videos = int(row["n"])
    lead = None
    if row["less_than_found"]:
        lead = Estimate(float(row["less_than_found"]), float(row["less_low"]), float(row["less_high"]), videos)
    return Point(
        Budget.parse(row["budget"]) if row["budget"] else None,
        row["net"],
        int(row["multiply_adds"]),
        round(float(row["milliseconds"]) * 1e6) if row["milliseconds"] else None,
        Estimate(float(row["accuracy"]), float(row["low"]), float(row["high"]), videos),
        float(row["cross_entropy"]),
        Strategy.from_text(row["strategy"]),
        lead,
    )
