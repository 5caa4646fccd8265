"""Training clips in batches, cut anew in every epoch: out of cached strips, or out of the videos themselves."""

from __future__ import annotations

import collections
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor

from stzoo.errors import DataError
from stzoo.training.draws import Stage, order, uniforms
from stzoo.video.augment import DRAWS, Cut, clip_or_reason, is_mirrored, random_clip
from stzoo.video.cache import Broken, Cap
from stzoo.video.datasets import Item
from stzoo.video.pool import processes

Mirrored = tuple[int | None, ...]
"""The class of a mirrored video of each class; `None` where it must not be mirrored."""


@dataclass(frozen=True)
class Batch:
    """Clips, their labels, and the draws of every gate for every clip."""

    clips: UInt8[Tensor, "batch 1 frames height width 3"]
    labels: Int64[Tensor, " batch"]
    gate_draws: Float32[Tensor, "batch gates"]


class ClipSource(ABC):
    """Labelled videos of the training split, each of which gives one clip an epoch.

    A clip is a function of seed, stage, epoch and sample.
    """

    @abstractmethod
    def __len__(self) -> int:
        """How many videos there are."""

    @abstractmethod
    def epoch(self, seed: int, stage: Stage, epoch: int, batch_size: int, gates: int = 0) -> Iterator[Batch]:
        """Every clip once, in this epoch's order, in batches of nearly equal size of at most `batch_size`."""

    @abstractmethod
    def batch(self, chosen: Int64[np.ndarray, " batch"], seed: int, stage: Stage, epoch: int, gates: int = 0) -> Batch:
        """The given samples as this epoch sees them."""

    def batches_an_epoch(self, batch_size: int) -> int:
        """How many batches of nearly equal size one epoch has."""
        return -(-len(self) // batch_size)

    def shuffled(self, seed: int, stage: Stage, epoch: int, batch_size: int) -> list[Int64[np.ndarray, " batch"]]:
        """The samples of each batch of an epoch."""
        return np.array_split(order(seed, stage, epoch, len(self)), self.batches_an_epoch(batch_size))


@dataclass(frozen=True, eq=False)
class TrainingClips(ClipSource):
    """Strips and labels of the training split, and how a clip is cut out of a strip."""

    strips: UInt8[np.ndarray, "all strip_frames size size 3"]
    rows: Int64[np.ndarray, " videos"]
    labels: Int64[np.ndarray, " videos"]
    frames: int
    crop: int
    flip: bool = False
    short_sides: tuple[int, ...] = ()
    mirrored: Mirrored | None = None
    """With `flip`: the classes of mirrored clips, where they are not the clips' own."""

    def __len__(self) -> int:
        return len(self.rows)

    def epoch(self, seed: int, stage: Stage, epoch: int, batch_size: int, gates: int = 0) -> Iterator[Batch]:
        for chosen in self.shuffled(seed, stage, epoch, batch_size):
            yield self.batch(chosen, seed, stage, epoch, gates)

    def batch(self, chosen: Int64[np.ndarray, " batch"], seed: int, stage: Stage, epoch: int, gates: int = 0) -> Batch:
        count = DRAWS + bool(self.short_sides)
        draws = [uniforms(seed, stage, epoch, int(sample), count + gates) for sample in chosen]
        labels = [int(self.labels[sample]) for sample in chosen]
        clips = [
            random_clip(
                self.strips[self.rows[sample]],
                row[:count],
                frames=self.frames,
                crop=self.crop,
                flip=self.flip and may_flip(label, self.mirrored),
                short_sides=self.short_sides,
            )
            for sample, label, row in zip(chosen, labels, draws, strict=True)
        ]
        seen = [seen_label(label, row, self.flip, self.mirrored) for label, row in zip(labels, draws, strict=True)]
        return _stacked(clips, seen, [row[count:] for row in draws])


@dataclass(frozen=True, eq=False)
class DecodedClips(ClipSource):
    """Videos of the training split, decoded anew for every clip by processes of their own.

    A video that cannot be read is left out of its batch, said once and counted; the others keep their labels.
    """

    items: Sequence[Item]
    cut: Cut
    cap: Cap
    say: Callable[[str], None]
    workers: int = 1
    frame_rate: float | None = None
    mirrored: Mirrored | None = None
    broken: dict[Path, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    def epoch(self, seed: int, stage: Stage, epoch: int, batch_size: int, gates: int = 0) -> Iterator[Batch]:
        batches = self.shuffled(seed, stage, epoch, batch_size)
        draws = partial(self._draws, seed, stage, epoch, gates)
        jobs = (self._job(int(sample), draws(int(sample))) for chosen in batches for sample in chosen)
        read = self._read_in_order(jobs, ahead=2 * batch_size + 2 * self.workers)
        for chosen in batches:
            batch = self._batch(chosen, draws, read)
            if len(batch.labels):
                yield batch

    def batch(self, chosen: Int64[np.ndarray, " batch"], seed: int, stage: Stage, epoch: int, gates: int = 0) -> Batch:
        draws = partial(self._draws, seed, stage, epoch, gates)
        jobs = (self._job(int(sample), draws(int(sample))) for sample in chosen)
        return self._batch(chosen, draws, self._read_in_order(jobs, ahead=len(chosen)))

    def _draws(self, seed: int, stage: Stage, epoch: int, gates: int, sample: int) -> Float64[np.ndarray, " draws"]:
        return uniforms(seed, stage, epoch, sample, self.cut.draws + gates)

    def _job(
        self, sample: int, draws: Float64[np.ndarray, " draws"]
    ) -> Callable[[], UInt8[np.ndarray, "frames crop crop 3"] | str]:
        item = self.items[sample]
        flip = self.cut.flip and may_flip(item.label, self.mirrored)
        cut = Cut(self.cut.contract, self.cut.short_sides, flip, self.cut.random_stride)
        return partial(clip_or_reason, item.path, cut, draws[: cut.draws], self.frame_rate)

    def _read_in_order(
        self, jobs: Iterable[Callable[[], UInt8[np.ndarray, "frames crop crop 3"] | str]], ahead: int
    ) -> Iterator[UInt8[np.ndarray, "frames crop crop 3"] | str]:
        """What each job returns, in their order, with at most `ahead` of them under way."""
        if self.workers == 1:
            yield from (job() for job in jobs)
            return
        with processes(self.workers) as pool:
            running: collections.deque[Future[UInt8[np.ndarray, "frames crop crop 3"] | str]] = collections.deque()
            try:
                for job in jobs:
                    running.append(pool.submit(job))
                    if len(running) >= ahead:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            except BrokenProcessPool as error:
                raise DataError(
                    'a process that decodes training videos has died; "stzoo data check" finds the video, '
                    "or there is too little memory for compute.workers"
                ) from error

    def _batch(
        self,
        chosen: Int64[np.ndarray, " batch"],
        draws: Callable[[int], Float64[np.ndarray, " draws"]],
        read: Iterator[UInt8[np.ndarray, "frames crop crop 3"] | str],
    ) -> Batch:
        clips, labels, gate_draws = [], [], []
        for sample, clip in zip(chosen.tolist(), read, strict=False):
            item, row = self.items[sample], draws(sample)
            if isinstance(clip, str):
                self._leave_out(item, clip)
                continue
            clips.append(clip)
            labels.append(seen_label(item.label, row, self.cut.flip, self.mirrored))
            gate_draws.append(row[self.cut.draws :])
        return _stacked(clips, labels, gate_draws)

    def _leave_out(self, item: Item, reason: str) -> None:
        if item.path not in self.broken:
            self.broken[item.path] = reason
            self.say(f"left out: {reason}")
            self.cap.hold([Broken(path, why) for path, why in self.broken.items()], len(self.items))


def may_flip(label: int, mirrored: Mirrored | None) -> bool:
    """Whether clips of a class may be mirrored."""
    return mirrored is None or mirrored[label] is not None


def seen_label(label: int, draws: Float64[np.ndarray, " draws"], flip: bool, mirrored: Mirrored | None) -> int:
    """The class of a clip as its draws show it: another one where it is mirrored and left and right are classes."""
    other = None if mirrored is None or not flip or not is_mirrored(draws) else mirrored[label]
    return label if other is None else other


def _stacked(
    clips: Sequence[UInt8[np.ndarray, "frames crop crop 3"]],
    labels: Sequence[int],
    gate_draws: Sequence[Float64[np.ndarray, " gates"]],
) -> Batch:
    pixels = np.stack(clips)[:, None] if clips else np.zeros((0, 1, 1, 1, 1, 3), np.uint8)
    draws = np.stack(gate_draws).astype(np.float32) if clips else np.zeros((0, 0), np.float32)
    return Batch(torch.from_numpy(pixels), torch.tensor(labels, dtype=torch.int64), torch.from_numpy(draws))
