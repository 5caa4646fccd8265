"""What nets reach at their cost: those found within budgets beside others, on videos that chose none of them."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from stzoo.errors import MissingPackageError
from stzoo.figures.measurements import frontier_figure
from stzoo.figures.notebook import page
from stzoo.metrics import Estimate, Z, share
from stzoo.nets import Architecture
from stzoo.space.costs import Costs, least_within, random_within
from stzoo.space.one_shot import Answers
from stzoo.strategies.budget import Budget
from stzoo.strategies.names import MOST_PROBABLE
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import NONE, Strategy

Right = Bool[np.ndarray, " videos"]
"""Of every video, whether a net is right."""

FOUND, RANDOM = "found", "random"
RANDOMS = 7
"""Random strategies of every budget, of which the median is told."""

FIELDS = (
    *("budget", "net", "multiply_adds", "milliseconds", "accuracy", "low", "high", "cross_entropy", "n"),
    *("less_than_found", "less_low", "less_high", "strategy"),
)
"""The columns of the table. `less_than_found` is how much more of the videos the net found for this budget gets right,
with the 95 % interval of this difference over sources."""


@dataclass(frozen=True)
class Point:
    """What one net reaches: `net` says what it is, `budget` within how much; None for one beside all.

    `cost` are its multiply-adds, `nanoseconds` what it takes by the table of a runtime; None where there is no table.
    `lead` is how much more of the same videos the net found for the budget gets right, where that is another net.
    """

    budget: Budget | None
    net: str
    cost: int
    nanoseconds: int | None
    accuracy: Estimate
    cross_entropy: float
    strategy: Strategy
    lead: Estimate | None

    def row(self) -> dict[str, Any]:
        """The point as plain values, by `FIELDS`; None for what there is not."""
        accuracy, behind = self.accuracy, self.lead
        less = (None, None, None) if behind is None else (behind.value, behind.low, behind.high)
        shares = (accuracy.value, accuracy.low, accuracy.high, self.cross_entropy, accuracy.n)
        budget = None if self.budget is None else str(self.budget)
        milliseconds = None if self.nanoseconds is None else self.nanoseconds / 1e6
        values = (budget, self.net, self.cost, milliseconds, *shares, *less, self.strategy.text())
        return dict(zip(FIELDS, values, strict=True))


class Frontier(list[dict[str, Any]]):
    """A row for each net within budgets and each beside them; a notebook draws them.

    Args:
        rows: what each point says, and perhaps more, as plain values.
        points: what is drawn.
        title: whose frontier it is.
        runtime: on what it costs milliseconds; None for multiply-adds.
    """

    def __init__(
        self, rows: Iterable[dict[str, Any]], points: Sequence[Point], title: str, runtime: str | None = None
    ) -> None:
        super().__init__(rows)
        self.points, self.title, self.runtime = tuple(points), title, runtime

    def draw(self, path: Path) -> None:
        """One line for each kind of net within budgets, a named dot for each of the others."""
        lines: dict[str, list[tuple[int, Estimate]]] = {}
        for point in self.points:
            if point.budget is not None:
                lines.setdefault(point.net, []).append((_amount(point), point.accuracy))
        named = {point.net: (_amount(point), point.accuracy) for point in self.points if point.budget is None}
        axis = "multiply-adds a clip, millions"
        if any(point.nanoseconds is not None for point in self.points):
            axis = f"milliseconds a clip, {self.runtime or 'on this machine'}"
        frontier_figure(lines, named, path, self.title, axis)

    def _repr_html_(self) -> str | None:
        """The figure with its numbers, for a notebook; None without matplotlib."""
        facts = {
            f"{point.net}{'' if point.budget is None else f', within {point.budget}'}": (
                f"{point.accuracy.value:.1%} ({point.accuracy.low:.1%} to {point.accuracy.high:.1%}) of "
                f"{point.accuracy.n} videos"
            )
            for point in self.points
        }
        try:
            return page(facts, self.draw)
        except MissingPackageError:
            return None


def rivals(architecture: Architecture, costs: Costs, posterior: Posterior, budget: int) -> dict[str, Strategy]:
    """What a found strategy stands beside, by name.

    ST as near to the classifier (`top-heavy`) and to the input (`bottom-heavy`) as the budget pays for, the most
    probable strategy within it, and `RANDOMS` random ones that it just pays for.
    """
    sites = [site.name for site in architecture.sites]
    nets = {"top-heavy": filled(costs, budget, sites[::-1]), "bottom-heavy": filled(costs, budget, sites)}
    closable = [site for site, units in costs.units.items() if NONE in units]
    with np.errstate(divide="ignore"):
        surprise = {
            site: {unit: float(-np.log(probability)) for unit, probability in units.items()}
            for site, units in posterior.distribution(closable).items()
        }
    nets[MOST_PROBABLE] = least_within(surprise, costs, budget)[0]
    for index in range(RANDOMS):
        nets[f"{RANDOM} {index + 1}"] = random_within(costs, budget, 0, index)
    return nets


def filled(costs: Costs, budget: int, order: Iterable[str]) -> Strategy:
    """ST at one site after the other, in an order, wherever the budget still pays for it; then S+ST likewise."""
    units = dict(costs.cheapest.units)
    for unit, site in itertools.product(("ST", "S+ST"), order):
        tried = Strategy(costs.backbone, {**units, site: unit})
        if unit in costs.units[site] and costs.of(tried) <= budget:
            units[site] = unit
    return Strategy(costs.backbone, units)


def points(
    nets: Mapping[str, Strategy],
    costs: Costs,
    answers: Mapping[Strategy, Answers],
    sources: Sequence[str],
    budget: Budget | None = None,
    times: Costs | None = None,
) -> list[Point]:
    """What nets reach on the same videos; where one of them is `FOUND`, with how far the others are behind it.

    Of the random ones that with the median accuracy stands for all.
    """
    middle = _median([name for name in nets if name.startswith(RANDOM)], nets, answers)
    found = answers[nets[FOUND]] if FOUND in nets else None
    kept = {name: strategy for name, strategy in nets.items() if not name.startswith(RANDOM) or name == middle}
    return [
        Point(
            budget,
            f"median of {RANDOMS} {RANDOM}" if name == middle else name,
            costs.of(strategy),
            None if times is None else times.of(strategy),
            share(answers[strategy].right, sources),
            float(answers[strategy].losses.mean()),
            strategy,
            None if found is None or strategy == nets[FOUND] else lead(found.right, answers[strategy].right, sources),
        )
        for name, strategy in kept.items()
    ]


def lead(first: Right, second: Right, sources: Sequence[str]) -> Estimate:
    """How much more of the same videos one net gets right than another, with its 95 % interval over sources.

    Where both are right in the same videos, or there is one source, it has a width too: two more sources are supposed,
    as large as one is in the mean, of which one speaks for each net by half. It ends at -1 and 1.

    Reference: Agresti and Min 2005 for pairs, whose interval it is where every video has a source of its own; Liang and
    Zeger 1986 for sources.
    """
    difference = first.astype(np.float64) - second
    _, places = np.unique(np.array(sources), return_inverse=True)
    videos = len(difference)
    size = videos / (int(places.max()) + 1)
    middle = float(difference.sum()) / (videos + 2 * size)
    residuals = np.bincount(places, difference - middle)
    squares = float(np.square(residuals).sum()) + size**2 * (1 + 2 * middle**2)
    half = Z * math.sqrt(squares) / (videos + 2 * size)
    return Estimate(float(difference.mean()), max(-1.0, middle - half), min(1.0, middle + half), videos)


def table(found: Sequence[Point]) -> str:
    """The points as CSV, with `FIELDS` as its head."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(FIELDS)
    for point in found:
        values = point.row().values()
        lines.writerow(f"{value:.6f}" if isinstance(value, float) else value for value in values)
    return text.getvalue()


def _amount(point: Point) -> int:
    """What a point costs: nanoseconds where they are known."""
    return point.cost if point.nanoseconds is None else point.nanoseconds


def _median(names: Sequence[str], nets: Mapping[str, Strategy], answers: Mapping[Strategy, Answers]) -> str | None:
    ranked = sorted(names, key=lambda name: (answers[nets[name]].right.mean(), name))
    return ranked[len(ranked) // 2] if ranked else None
