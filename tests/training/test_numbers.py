from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stzoo.errors import TrainingError
from stzoo.ranks import ALONE, Ranks
from stzoo.training.numbers import EpochNumbers, StepNumbers

NUMBERS = st.floats(0, 1e3, width=32)


@dataclass(frozen=True)
class Twice(Ranks):
    """Two processes that compute the same; how often they met, and over how many steps."""

    met: list[int] = field(default_factory=list)

    def total(self, tensor: Tensor) -> Tensor:
        self.met.append(len(tensor))
        return tensor.mul_(2)


def told(clips: int, cross_entropy: float, right: int, divergence: float = 0.0) -> StepNumbers:
    totals = torch.tensor([cross_entropy, right], dtype=torch.float64)
    return StepNumbers(clips, totals, torch.tensor(divergence, dtype=torch.float64))


def nothing(step: int, loss: float) -> None:
    pass


@given(
    st.lists(st.tuples(st.integers(1, 9), NUMBERS, st.integers(0, 9), NUMBERS), min_size=1, max_size=40),
    st.integers(1, 20),
)
def test_means_are_those_of_reading_every_step(steps: list[tuple[int, float, int, float]], every: int) -> None:
    numbers, seen = EpochNumbers(ALONE, lambda step, loss: seen.append((step, loss)), every), list[tuple[int, float]]()
    sums, count = dict.fromkeys(("loss", "cross_entropy", "divergence", "train_accuracy"), 0.0), 0
    for clips, cross_entropy, right, divergence in steps:
        numbers.add(told(clips, cross_entropy, right, divergence))
        mean, accuracy = cross_entropy / clips, right / clips
        for name, value in zip(sums, (mean + divergence, mean, divergence, accuracy), strict=True):
            sums[name] += value * clips
        count += clips
    assert numbers.means() == {name: value / count for name, value in sums.items()}
    assert [step for step, _ in seen] == list(range(len(steps)))


def test_processes_meet_once_in_several_steps() -> None:
    ranks = Twice(0, 2, 2)
    numbers = EpochNumbers(ranks, nothing, every=16)
    for _ in range(40):
        numbers.add(told(4, 3.0, 1, 0.5))
    assert ranks.met == [16, 16]
    assert numbers.means() == {"loss": 2.0, "cross_entropy": 1.5, "divergence": 0.5, "train_accuracy": 0.5}
    assert ranks.met == [16, 16, 8]


def test_a_step_without_clips_counts_for_nothing() -> None:
    numbers = EpochNumbers(ALONE, nothing)
    numbers.add(told(2, 3.0, 1))
    numbers.add(told(0, 0.0, 0, 7.0))
    assert numbers.means() == {"loss": 1.5, "cross_entropy": 1.5, "divergence": 0.0, "train_accuracy": 0.5}


def test_the_step_that_is_refused_is_the_right_one() -> None:
    def check(step: int, loss: float) -> None:
        if loss != loss:
            raise TrainingError(f"step {step}")

    numbers = EpochNumbers(ALONE, check, every=8)
    for step in range(7):
        numbers.add(told(1, float("nan") if step == 5 else 1.0, 0))
    with pytest.raises(TrainingError, match=r"^step 5$"):
        numbers.add(told(1, 1.0, 0))
