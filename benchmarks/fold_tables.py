"""The tables of docs/results/surv-fight.md out of the results.json that benchmarks/folds.py writes.

    python benchmarks/fold_tables.py runs-folds/results.json
    python benchmarks/fold_tables.py docs/results/surv-fight.json --more docs/results/surv-fight-starts.json \
      --less camera-motion-opt

--more names a file of further nets about the same videos, by how they were trained; --less the finetuned model that
all are compared with, in place of the first one of the same start.
Intervals are 95 % percentile bootstraps over sources, or over videos where there are none: clips that are cut from one
recording are right or wrong together. A difference is taken video by video, from nets that were trained on the same
folds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RESAMPLES = 5000
FINETUNED = "finetuned"
PLAIN, SHUFFLED = ("ordered", "ordered"), ("shuffled", "shuffled")
WAYS = {"in order": PLAIN, "shuffled": SHUFFLED, "trained in order, tested shuffled": ("ordered", "shuffled")}


class Answers:
    """Which videos each net is right about, and the tables that follow. A net is (model, start, trained, tested)."""

    def __init__(self, results: dict[str, Any], more: dict[str, Any], less: str | None) -> None:
        self.less = less
        nets = [*results["nets"], *({**net, "start": way} for way, run in more.items() for net in run["nets"])]
        labels = np.array(results["labels"])
        self.folds, self.sources = np.array(results["folds"]), np.array(results["sources"])
        self.right = {
            (net["model"], net["start"], net["trained"], net["tested"]): (np.array(net["answers"]) == labels).astype(
                float
            )
            for net in nets
        }
        starts = list(dict.fromkeys(start for _, start, *_ in self.right))
        kinds = dict.fromkeys((start, model) for model, start, *_ in self.right)
        self.kinds = sorted(kinds, key=lambda kind: starts.index(kind[0]))
        self.parts = {"all videos": np.arange(len(labels))}
        self.parts |= {name: np.array(rows) for name, rows in results["subsets"].items()}

    def tables(self) -> Iterator[tuple[str, str]]:
        """Title and Markdown of every table: accuracies of each part, folds, and differences in each part."""
        for name, part in self.parts.items():
            rows = [[self._cell(part, (model, start, *way)) for way in WAYS.values()] for start, model in self.kinds]
            title = f"{name}: accuracy, n = {len(part)} from {len(set(self.sources[part]))} sources"
            yield title, self._markdown(list(WAYS), rows)
        folds = sorted(set(self.folds))
        rows = [
            [self._share(np.flatnonzero(self.folds == fold), (model, start, *PLAIN)) for fold in folds]
            for start, model in self.kinds
        ]
        yield "accuracy by fold, in order", self._markdown([f"fold {fold}" for fold in folds], rows)
        for name, part in self.parts.items():
            yield f"{name}: differences in points", self._differences(part)

    def _differences(self, part: np.ndarray) -> str:
        base = self.less or self.kinds[0][1]
        rows = []
        for start, model in self.kinds:
            own = (model, start, *PLAIN)
            others = [
                (model, "scratch", *PLAIN),
                (model, start, *SHUFFLED),
                (base, FINETUNED if self.less else start, *PLAIN),
            ]
            rows.append(["" if own == other else self._cell(part, own, other) for other in others])
        return self._markdown(["less from scratch", "less shuffled", f"less {base}"], rows)

    def _cell(self, part: np.ndarray, net: tuple[str, ...], less: tuple[str, ...] | None = None) -> str:
        if net not in self.right or (less is not None and less not in self.right):
            return ""
        values = self.right[net] if less is None else self.right[net] - self.right[less]
        sign = "" if less is None else "+"
        mean, low, high = estimate(values[part], self.sources[part])
        return f"{mean:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"

    def _share(self, part: np.ndarray, net: tuple[str, ...]) -> str:
        return f"{100 * self.right[net][part].mean():.1f}" if net in self.right else ""

    def _markdown(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        lines = [["start", "strategy of", *heads], ["---"] * (len(heads) + 2)]
        lines += [[*kind, *row] for kind, row in zip(self.kinds, rows, strict=True)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def estimate(values: np.ndarray, sources: np.ndarray) -> tuple[float, float, float]:
    """The mean of [videos] in per cent and its 95 % interval, with sources drawn anew."""
    _, numbers = np.unique(sources, return_inverse=True)
    sums, counts = np.bincount(numbers, values), np.bincount(numbers)
    drawn = np.random.default_rng(0).integers(0, len(counts), (RESAMPLES, len(counts)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [2.5, 97.5])
    return 100 * float(values.mean()), 100 * float(low), 100 * float(high)


def main() -> None:
    """Prints every table under its title."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--more", type=Path)
    parser.add_argument("--less", metavar="MODEL")
    options = parser.parse_args()
    results = json.loads(options.results.read_text(encoding="utf-8"))
    more = {} if options.more is None else json.loads(options.more.read_text(encoding="utf-8"))
    print("\n\n".join(f"### {title}\n\n{table}" for title, table in Answers(results, more, options.less).tables()))


if __name__ == "__main__":
    main()
