"""Training clips in batches, cut anew out of cached strips in every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from stzoo.training.draws import Stage, order, uniforms
from stzoo.video.augment import DRAWS, random_clip


@dataclass(frozen=True)
class Batch:
    """Clips, their labels, and the draws of every gate for every clip."""

    clips: UInt8[Tensor, "batch 1 frames height width 3"]
    labels: Int64[Tensor, " batch"]
    gate_draws: Float32[Tensor, "batch gates"]


@dataclass(frozen=True, eq=False)
class TrainingClips:
    """Strips and labels of the training split, and how a clip is cut out of a strip."""

    strips: UInt8[np.ndarray, "all strip_frames size size 3"]
    rows: Int64[np.ndarray, " videos"]
    labels: Int64[np.ndarray, " videos"]
    frames: int
    crop: int
    flip: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def batches_an_epoch(self, batch_size: int) -> int:
        """How many batches of nearly equal size one epoch has."""
        return -(-len(self) // batch_size)

    def epoch(self, seed: int, stage: Stage, epoch: int, batch_size: int, gates: int = 0) -> Iterator[Batch]:
        """Every clip once, in this epoch's order, in batches of nearly equal size of at most `batch_size`."""
        shuffled = order(seed, stage, epoch, len(self))
        for chosen in np.array_split(shuffled, self.batches_an_epoch(batch_size)):
            yield self.batch(chosen, seed, stage, epoch, gates)

    def batch(self, chosen: Int64[np.ndarray, " batch"], seed: int, stage: Stage, epoch: int, gates: int = 0) -> Batch:
        """The given samples as this epoch sees them."""
        draws = np.stack([uniforms(seed, stage, epoch, int(sample), DRAWS + gates) for sample in chosen])
        clips = [
            random_clip(self.strips[self.rows[sample]], row[:DRAWS], frames=self.frames, crop=self.crop, flip=self.flip)
            for sample, row in zip(chosen, draws, strict=True)
        ]
        return Batch(
            torch.from_numpy(np.stack(clips)[:, None]),
            torch.from_numpy(self.labels[chosen]),
            torch.from_numpy(draws[:, DRAWS:].astype(np.float32)),
        )
