"""The processes that work on one run together, seen from one of them: who leads, and what all of them have to agree on.

torchrun, or anything else that sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, starts them. All draw the same
batches and each takes its part, so a process that works alone is simply one of one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from stzoo.errors import TrainingError

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """One of `count` processes, `local_count` of them on this machine. The one with `rank` 0 writes and speaks."""

    rank: int = 0
    count: int = 1
    local_count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and speaks for all."""
        return self.rank == 0

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place. Raises `TrainingError` when one of them is gone."""
        if self.count > 1:
            with answering():
                dist.all_reduce(tensor)
        return tensor

    def gathered(self, tensor: Float[Tensor, " values"]) -> Float[Tensor, "count values"]:
        """Everybody's tensor, in the order of their ranks. Raises `TrainingError` when a process is gone."""
        if self.count == 1:
            return tensor[None]
        rows = tensor.new_empty(self.count, len(tensor))
        with answering():
            dist.all_gather(list(rows.unbind()), tensor)
        return rows

    def of_leader(self, value: Value) -> Value:
        """The leader's value, for all. Raises `TrainingError` when a process is gone."""
        if self.count == 1:
            return value
        box: list[Any] = [value if self.leads else None]
        with answering():
            dist.broadcast_object_list(box)
        return box[0]

    def of_all(self, value: Value) -> list[Value]:
        """Everybody's value, in the order of their ranks. Raises `TrainingError` when a process is gone."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        with answering():
            dist.all_gather_object(values, value)
        return values


ALONE = Ranks()


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Answers the failure of a collective within the block with the sentence that a process is gone."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise TrainingError(
                "another process of this run is gone, so this one stops; the same command goes on from the last "
                "checkpoint"
            ) from error
        raise


def sums_of(ranks: Ranks, counts: Sequence[int]) -> list[int]:
    """The sum of each of the counts over all processes; no GPU is waited for."""
    if ranks.count == 1:
        return list(counts)
    sums: list[int] = ranks.total(torch.tensor(counts, dtype=torch.int64)).tolist()
    return sums
