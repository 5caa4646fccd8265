"""The final measurements of a run: each net that it compares, once on every list that was kept for the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from stzoo.contract import InputContract
from stzoo.files import write_json
from stzoo.metrics import Estimate, balanced_accuracy, per_class, share
from stzoo.nets.classifier import Classifier
from stzoo.space.frontier import lead
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
    """The accuracy of one candidate on one split, which was looked at so often with this time.

    `lead` is how much more of the same videos the first candidate gets right, where that is another net.
    """

    name: str
    how: How
    split: str
    accuracy: Estimate
    balanced: Estimate
    """The mean of the classes' accuracies."""
    classes: tuple[tuple[str, Estimate], ...]
    """The accuracy of every class that the split has videos of."""
    strategy: Strategy
    lead: Estimate | None
    looks: int


def measure_candidates(
    candidates: Sequence[Candidate], data: RunData, machine: Machine, looks: Mapping[str, int], *, progress: bool
) -> list[SplitAccuracy]:
    """Every candidate once on `val` and on each test list, with intervals over sources, as the recipe has it bundled.

    `looks` says how often each list has been looked at.

    Those of the same strategy and origin share one measurement, and the processes of the machine its videos.
    """
    if data.recipe.bundle.weights == "float16":
        for candidate in candidates:
            round_kernels(candidate.net)
    accuracies = []
    for split in data.tests:
        cache, contract = data.test(split)
        sources = [item.source for item in cache.items]
        measured: dict[tuple[How, Strategy], Float32[np.ndarray, "videos classes"]] = {}
        videos = len(candidates) * len(cache)
        with counting(f"measuring {split}", videos, unit="videos", show=progress) as bar:
            for candidate in candidates:
                key = candidate.how, candidate.strategy
                if key in measured:
                    bar.advance(len(cache))
                else:
                    at_once = data.recipe.scored_at_once
                    measured[key] = shared_scores(candidate.net, cache.clips, contract, machine, at_once, bar.advance)
                first = measured[candidates[0].how, candidates[0].strategy]
                scores = measured[key]
                right = scores.argmax(axis=1) == cache.labels
                by_class = zip(data.labels, per_class(scores, cache.labels), strict=True)
                accuracies.append(
                    SplitAccuracy(
                        candidate.name,
                        candidate.how,
                        split,
                        share(right, sources),
                        balanced_accuracy(scores, cache.labels, sources=sources),
                        tuple((label, value) for label, value in by_class if value is not None),
                        candidate.strategy,
                        None if scores is first else lead(first.argmax(axis=1) == cache.labels, right, sources),
                        looks[split],
                    )
                )
    return accuracies


def round_kernels(net: nn.Module) -> None:
    """Rounds what a bundle stores in 16 bits, in place, so that the net read from it is this one."""
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() > 1:
                parameter.copy_(parameter.half())


def rows(accuracies: Sequence[SplitAccuracy], contract: InputContract) -> list[dict[str, Any]]:
    """Every measurement with protocol, split, how often that was looked at by then, n and interval, as plain values.

    `balanced_accuracy` and `classes` are written as `stzoo evaluate` writes them.

    Where several nets are compared, also how much more of the same videos the first gets right than each of the others.
    """
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
            "looks": measured.looks,
            "balanced_accuracy": _rounded(measured.balanced),
            "classes": [{"label": label, "top1": _rounded(value)} for label, value in measured.classes],
            **({} if measured.lead is None else _lead(accuracies[0].name, measured.lead)),
            "strategy": measured.strategy.text(),
        }
        for measured in accuracies
    ]


def write_metrics(path: Path, accuracies: Sequence[SplitAccuracy], contract: InputContract) -> None:
    """The `rows` as JSON."""
    write_json(path, rows(accuracies, contract))


def _rounded(estimate: Estimate) -> dict[str, float]:
    return {name: round(value, 6) for name, value in asdict(estimate).items()}


def _lead(first: str, lead: Estimate) -> dict[str, float]:
    numbers = {f"less_than_{first}": lead.value, "less_low": lead.low, "less_high": lead.high}
    return {name: round(number, 6) for name, number in numbers.items()}
