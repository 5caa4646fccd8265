"""The tables of docs/results/jhmdb21.md, out of what benchmarks/actions.py has measured fold by fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from stzoo.metrics import Estimate, Mean, mean_over_sources, share

MOTION = ("sit", "stand", "catch", "throw", "run", "walk", "climb_stairs", "jump", "pick", "push")
PARTS = {"all": (), "motion": MOTION, "sit or stand": ("sit", "stand")}
"""Classes whose videos are also counted by themselves; none are all."""


Cell = Mapping[str, Any]
"""What one run told: a question, a fold, and the answers of its nets, with the effects of its template."""


class Pooled(NamedTuple):
    """The answers of a question's nets about all folds that are there, one after the other."""

    classes: list[str]
    """Of every video: its action, also where the arrow of time is asked."""
    sources: list[str]
    places: dict[str, Int64[np.ndarray, " videos"]]

    @classmethod
    def of(cls, folds: list[Cell]) -> Pooled:
        classes = [video.partition("/")[0] for fold in folds for video in fold["videos"]]
        names = [name for name in folds[0]["nets"] if all(name in fold["nets"] for fold in folds)]
        places = {name: np.concatenate([np.array(fold["nets"][name]["places"]) for fold in folds]) for name in names}
        return cls(classes, [source for fold in folds for source in fold["sources"]], places)

    def part(self, names: tuple[str, ...]) -> Pooled:
        """The videos of these classes; of all, where there are none."""
        kept = np.array([not names or name in names for name in self.classes])
        chosen = [[value for value, keep in zip(values, kept, strict=True) if keep] for values in self[:2]]
        return Pooled(chosen[0], chosen[1], {name: places[kept] for name, places in self.places.items()})

    def accuracies(self) -> Iterator[tuple[Estimate, Estimate]]:
        """Of every net its accuracy, and how much better it is than S, with intervals over sources."""
        base = self.places["s, pruned"] == 0
        for places in self.places.values():
            gain = mean_over_sources((places == 0).astype(np.float64) - base, self.sources).estimate(len(base))
            yield share(places == 0, self.sources), gain


def tables(question: str, folds: dict[int, Cell]) -> Iterator[str]:
    """Accuracies of every part, of every fold and of every class, in Markdown."""
    pooled = Pooled.of(list(folds.values()))
    yield f"### {question}: folds {', '.join(map(str, folds))}\n"
    parts = {name: part for name, classes in PARTS.items() if (part := pooled.part(classes)).classes}
    heads = [f"{name}, n = {len(part.classes)} | less S" for name, part in parts.items()]
    yield from table(
        "net",
        heads,
        {
            name: [
                percent(estimate, sign) for both in estimates for estimate, sign in zip(both, ("", "+"), strict=True)
            ]
            for name, *estimates in zip(pooled.places, *(part.accuracies() for part in parts.values()), strict=True)
        },
    )
    top5 = question != "arrow"
    yield from table(
        "net",
        [*(f"fold {fold}" for fold in folds), *(["top-5"] if top5 else [])],
        {
            name: [f"{100 * np.mean(np.array(fold['nets'][name]['places']) == 0):.1f}" for fold in folds.values()]
            + ([f"{100 * np.mean(places < 5):.1f}"] if top5 else [])
            for name, places in pooled.places.items()
        },
    )
    yield from table(
        "class",
        ["n", *pooled.places],
        {
            label: [str(len(part.classes)), *(f"{100 * np.mean(places == 0):.0f}" for places in part.places.values())]
            for label in sorted(set(pooled.classes))
            for part in [pooled.part((label,))]
        },
    )


def effects_table(cells: dict[str, dict[int, Cell]]) -> Iterator[str]:
    """What closing every branch adds to the cross-entropy in millinats, of each question, the mean over its folds."""
    yield "### effects\n"
    branches = next(iter(next(iter(cells.values())).values()))["effects"]
    yield from table(
        "branch",
        list(cells),
        {
            branch: [
                f"{1000 * mean.value:+.1f} ({1000 * mean.error:.1f})"
                for folds in cells.values()
                for mean in [mean_of([Mean(**fold["effects"][branch]) for fold in folds.values()])]
            ]
            for branch in branches
        },
    )


def mean_of(means: list[Mean]) -> Mean:
    """Of templates of different folds, which share videos: the error is at most the mean of theirs, which is given."""
    values, errors = np.array(means).T
    return Mean(float(values.mean()), float(errors.mean()))


def table(first: str, heads: list[str], rows: Mapping[str, list[str]]) -> Iterator[str]:
    """In Markdown, with an empty line at its end."""
    head = f"| {first} | {' | '.join(heads)} |"
    yield from (head, "|---" * (head.count("|") - 1) + "|")
    yield from (f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())
    yield ""


def percent(estimate: Estimate, sign: str = "") -> str:
    value, low, high = (100 * number for number in (estimate.value, estimate.low, estimate.high))
    return f"{value:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"
