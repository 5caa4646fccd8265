"""The final measurements of a run: each net that it compares, once on every list that was kept for the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stzoo.contract import InputContract
from stzoo.files import write_json
from stzoo.metrics import Estimate, accuracy
from stzoo.nets.classifier import Classifier
from stzoo.strategies.strategy import Strategy
from stzoo.terminal.progress import counting
from stzoo.training.data import RunData
from stzoo.training.machine import Machine, shared_scores

How = Literal["pruned", "finetuned", "alone"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A fixed net that a run may put into its bundle, or compares with that one; `how` its weights came about."""

    name: str
    how: How
    strategy: Strategy
    net: Classifier


@dataclass(frozen=True)
class SplitAccuracy:
    """The accuracy of one candidate on one split."""

    name: str
    how: How
    split: str
    accuracy: Estimate
    strategy: Strategy


def measure_candidates(
    candidates: Sequence[Candidate], data: RunData, machine: Machine, *, progress: bool
) -> list[SplitAccuracy]:
    """Every candidate once on `val` and on each test list, with intervals.

    Those of the same strategy and origin share one measurement, and the processes of the machine its videos.
    """
    accuracies = []
    for split in data.tests:
        cache, contract = data.test(split)
        measured: dict[tuple[How, Strategy], Estimate] = {}
        videos = len(candidates) * len(cache)
        with counting(f"measuring {split}", videos, unit="videos", show=progress) as bar:
            for candidate in candidates:
                key = candidate.how, candidate.strategy
                if key in measured:
                    bar.advance(len(cache))
                else:
                    at_once = data.recipe.scored_at_once
                    scores = shared_scores(candidate.net, cache.clips, contract, machine, at_once, bar.advance)
                    measured[key] = accuracy(scores, cache.labels)
                accuracies.append(
                    SplitAccuracy(candidate.name, candidate.how, split, measured[key], candidate.strategy)
                )
    return accuracies


def rows(accuracies: Sequence[SplitAccuracy], contract: InputContract) -> list[dict[str, Any]]:
    """Every measurement with protocol, split, n and interval, as plain values."""
    return [
        {
            "net": measured.name,
            "how": measured.how,
            "split": measured.split,
            "protocol": contract.protocol,
            "accuracy": round(measured.accuracy.value, 6),
            "low": round(measured.accuracy.low, 6),
            "high": round(measured.accuracy.high, 6),
            "n": measured.accuracy.n,
            "strategy": measured.strategy.text(),
        }
        for measured in accuracies
    ]


def write_metrics(path: Path, accuracies: Sequence[SplitAccuracy], contract: InputContract) -> None:
    """The `rows` as JSON."""
    write_json(path, rows(accuracies, contract))
