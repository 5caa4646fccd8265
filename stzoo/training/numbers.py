"""What is told of an epoch: the numbers of its steps, added up where they are and read a few steps later.

To read a number waits until the device has computed it, and until every process has; a step that need not wait is
followed by the next one at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from stzoo.ranks import Ranks

READ_EVERY = 16
"""Steps, where there is anything to wait for."""


class StepNumbers(NamedTuple):
    """Of one step."""

    clips: int
    """Of all processes."""
    totals: Float64[Tensor, " 2"]
    """Cross-entropy and right answers, added up over the clips of this process; where they were computed."""
    divergence: Float64[Tensor, ""]
    """What the regulariser adds to the mean loss."""


class EpochNumbers:
    """Adds up what the steps of an epoch tell; `check` sees the number from 0 and the mean loss of every step.

    They are read `every` so many steps.
    """

    def __init__(self, ranks: Ranks, check: Callable[[int, float], None], every: int = READ_EVERY) -> None:
        self._ranks, self._check, self._every = ranks, check, every
        self._waiting: list[StepNumbers] = []
        self._sums = dict.fromkeys(("loss", "cross_entropy", "divergence", "train_accuracy"), 0.0)
        self._clips = self._steps = 0

    def add(self, numbers: StepNumbers) -> None:
        """One step. Of several processes all call it, and the same number of times."""
        self._waiting.append(numbers)
        if len(self._waiting) == self._every:
            self._read()

    def means(self) -> dict[str, float]:
        """`loss` (with the divergence), `cross_entropy`, `divergence`, `train_accuracy`: means over the clips."""
        self._read()
        return {name: value / self._clips for name, value in self._sums.items()}

    def _read(self) -> None:
        if not self._waiting:
            return
        totals = self._ranks.total(torch.stack([step.totals for step in self._waiting]))
        divergences = torch.stack([step.divergence for step in self._waiting])
        rows = torch.cat([totals, divergences[:, None]], dim=1).tolist()
        for (clips, *_), (cross_entropy, right, divergence) in zip(self._waiting, rows, strict=True):
            mean_cross_entropy, accuracy = cross_entropy / max(clips, 1), right / max(clips, 1)
            values = (mean_cross_entropy + divergence, mean_cross_entropy, divergence, accuracy)
            self._check(self._steps, values[0])
            for name, value in zip(self._sums, values, strict=True):
                self._sums[name] += value * clips
            self._clips += clips
            self._steps += 1
        self._waiting.clear()
