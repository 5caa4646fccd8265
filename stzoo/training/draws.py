"""Random draws as functions of seed, purpose, epoch and sample: never of rank, worker, batch or history.

A run that is resumed, or spread over other machines, therefore sees the same order, crops and gate noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from stzoo.recipe import Stage

Purpose = Stage | Literal["selection"]
"""What is drawn for: a stage of training, or the split and the clips that strategies are compared on."""

_NUMBERS: dict[Purpose, int] = {"variational": 1, "finetune": 2, "selection": 3, "warmup": 4, "fixed": 4}
"""Not 0: with it the draws of the first epoch would be those of `Posterior.sample`."""
_ORDER = 2**64 - 1


@dataclass(frozen=True)
class Draws:
    """The draws of one epoch for one purpose."""

    seed: int
    purpose: Purpose
    epoch: int

    def order(self, samples: int) -> Int64[np.ndarray, " samples"]:
        """The order in which the epoch visits its samples."""
        return self._generator(_ORDER).permutation(samples)

    def balanced(self, labels: Int64[np.ndarray, " samples"]) -> Int64[np.ndarray, " samples"]:
        """The order of an epoch of as many samples in which every class comes up as often, give or take one.

        Of classes with many samples other ones come up in every epoch. One that comes up again has another number, with
        other draws: n of m samples stands for sample n modulo m.
        """
        generator, samples = self._generator(_ORDER), len(labels)
        classes = generator.permutation(np.unique(labels))
        drawn = []
        for place, label in enumerate(classes):
            members = np.flatnonzero(labels == label)
            count = samples // len(classes) + (place < samples % len(classes))
            rounds = [generator.permutation(members) + samples * number for number in range(-(-count // len(members)))]
            drawn.append(np.concatenate([members[:0], *rounds])[:count])
        return generator.permutation(np.concatenate(drawn))

    def uniforms(self, sample: int, count: int) -> Float64[np.ndarray, " count"]:
        """`count` uniform numbers in [0, 1) that belong to one sample."""
        return self._generator(sample).random(count)

    def _generator(self, sample: int) -> np.random.Generator:
        key = np.array([self.seed, sample], dtype=np.uint64)
        counter = np.array([0, 0, self.epoch, _NUMBERS[self.purpose]], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))
