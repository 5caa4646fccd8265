"""Training clips in batches, cut anew in every epoch: out of cached strips, or out of the videos themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor

from stzoo.data.broken import Broken, Cap
from stzoo.data.datasets import Item
from stzoo.pool import in_order
from stzoo.ranks import Ranks
from stzoo.training.draws import Draws
from stzoo.training.mixing import mixing_draws
from stzoo.training.room import Room
from stzoo.training.variation import Mirrored, may_flip, seen_label, varied
from stzoo.video.augment import DRAWS, Cut, clip_or_reason, random_clip
from stzoo.video.frame_order import FrameOrder
from stzoo.video.slots import Clip, Job, clip_readers

Samples = Int64[np.ndarray, " _samples"]
Divide = Callable[[Samples], list[Samples]]
"""What this process reads of a batch: its part of every pass, of which some may be empty."""


@dataclass(frozen=True)
class Batch:
    """Clips, their labels, and for every clip the draws of all gates, of all features it may lose, and of mixing."""

    clips: UInt8[Tensor, "batch 1 frames height width 3"]
    labels: Int64[Tensor, " batch"]
    gate_draws: Float32[Tensor, "batch gates"]
    dropout_draws: Float32[Tensor, "batch features"]
    mixing_draws: Float64[np.ndarray, "batch 4"]


@dataclass(frozen=True)
class Noise:
    """How many draws a net takes for every clip: one for each gate, one for each feature that may be dropped."""

    gates: int = 0
    features: int = 0

    @property
    def draws(self) -> int:
        return self.gates + self.features


NO_NOISE = Noise()


def whole(batch: Samples) -> list[Samples]:
    """A batch in one pass of one process."""
    return [batch]


class ClipSource(ABC):
    """Labelled videos of the training split, each of which gives one clip an epoch.

    With `balance` it is every class that gives as many. A clip is a function of seed, stage, epoch and sample.
    """

    balance: bool
    may_lack = False
    """Whether a batch may have fewer clips than were asked for, because a video cannot be read."""

    @abstractmethod
    def __len__(self) -> int:
        """How many videos there are."""

    @abstractmethod
    def classes(self) -> Int64[np.ndarray, " videos"]:
        """The class of every video."""

    @abstractmethod
    def epoch(self, draws: Draws, batch_size: int, noise: Noise = NO_NOISE, divide: Divide = whole) -> Iterator[Batch]:
        """Every clip once, in this epoch's order: what `divide` makes of batches of nearly equal size.

        None of them has more clips than `batch_size`, and some may have none.
        """

    @abstractmethod
    def batch(self, samples: Samples, draws: Draws, noise: Noise = NO_NOISE) -> Batch:
        """The given samples as this epoch sees them."""

    def agree(self, ranks: Ranks) -> None:  # noqa: B027
        """Lets all processes know of the videos that one of them could not read, between two epochs."""

    @property
    def left_out(self) -> int:
        """How many of its videos are known to be unreadable, and so are in no batch."""
        return 0

    def batches_an_epoch(self, batch_size: int) -> int:
        """How many batches of nearly equal size one epoch has."""
        return -(-len(self) // batch_size)

    def shuffled(self, draws: Draws, batch_size: int) -> list[Samples]:
        """The samples of each batch of an epoch."""
        order = draws.balanced(self.classes()) if self.balance else draws.order(len(self))
        return np.array_split(order, self.batches_an_epoch(batch_size))


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
    left_out: int = 0
    orders: Sequence[FrameOrder] = ()
    """The order of the frames of every video's clip; none: as they were filmed."""
    erase: float = 0.0
    """How many of the clips lose a part, as `variation.erased` does it."""
    balance: bool = False
    room: Room = field(default_factory=Room)

    def __len__(self) -> int:
        return len(self.rows)

    def classes(self) -> Int64[np.ndarray, " videos"]:
        return self.labels

    def epoch(self, draws: Draws, batch_size: int, noise: Noise = NO_NOISE, divide: Divide = whole) -> Iterator[Batch]:
        def passes(batch: Samples) -> list[Batch]:
            return [self.batch(part, draws, noise) for part in divide(batch)]

        jobs = (partial(passes, batch) for batch in self.shuffled(draws, batch_size))
        with ThreadPoolExecutor(1) as thread:
            for batches in in_order(thread, jobs, ahead=2):
                yield from batches

    def batch(self, samples: Samples, draws: Draws, noise: Noise = NO_NOISE) -> Batch:
        count = DRAWS + bool(self.short_sides)
        drawn = [draws.uniforms(int(sample), count + noise.draws) for sample in samples]
        places = samples % len(self)
        labels = [int(self.labels[place]) for place in places]
        clips = [
            random_clip(
                self.strips[self.rows[place]],
                row[:count],
                frames=self.frames,
                crop=self.crop,
                flip=self.flip and may_flip(label, self.mirrored),
                short_sides=self.short_sides,
            )
            for place, label, row in zip(places, labels, drawn, strict=True)
        ]
        pixels = self.room.take((len(samples), self.frames, self.crop, self.crop, 3))
        for row, (clip, sample, place) in enumerate(zip(clips, samples, places, strict=True)):
            order: FrameOrder = self.orders[place] if self.orders else "given"
            pixels.numpy()[row] = varied(clip, order, self.erase, int(sample), draws)
        seen = [seen_label(label, row, self.flip, self.mirrored) for label, row in zip(labels, drawn, strict=True)]
        mixing = [mixing_draws(int(sample), draws) for sample in samples]
        return _stacked(pixels, seen, [row[count:] for row in drawn], mixing, noise)


@dataclass(frozen=True, eq=False)
class DecodedClips(ClipSource):
    """Videos of the training split, decoded anew for every clip by processes of their own.

    A video that cannot be read is left out of its batch, said once and counted; the others keep their labels.
    """

    may_lack = True
    items: Sequence[Item]
    cut: Cut
    cap: Cap
    say: Callable[[str], None]
    workers: int = 1
    mirrored: Mirrored | None = None
    erase: float = 0.0
    room: Room = field(default_factory=Room)
    broken: dict[Path, str] = field(default_factory=dict)
    """Those that are known to be unreadable, and why; what is in here from the beginning has been said."""
    balance: bool = False

    def __len__(self) -> int:
        return len(self.items)

    def classes(self) -> Int64[np.ndarray, " videos"]:
        return np.array([item.label for item in self.items], dtype=np.int64)

    @property
    def left_out(self) -> int:
        return len(self.broken)

    def epoch(self, draws: Draws, batch_size: int, noise: Noise = NO_NOISE, divide: Divide = whole) -> Iterator[Batch]:
        parts = [part for batch in self.shuffled(draws, batch_size) for part in divide(batch)]
        jobs = (self._job(int(sample), draws) for part in parts for sample in part)
        if self.workers == 1:
            here = (clip_or_reason(*job) for job in jobs)
            yield from (self._batch(part, draws, noise, here) for part in parts)
            return
        of_a_batch = sum(map(len, parts)) // self.batches_an_epoch(batch_size) + 1
        ahead = 2 * of_a_batch + 2 * self.workers
        with ThreadPoolExecutor(1) as thread, clip_readers(self.workers, self._shape, ahead) as read_all:
            read = read_all(jobs)
            yield from in_order(thread, (partial(self._batch, part, draws, noise, read) for part in parts), ahead=2)

    def batch(self, samples: Samples, draws: Draws, noise: Noise = NO_NOISE) -> Batch:
        jobs = (self._job(int(sample), draws) for sample in samples)
        if self.workers == 1:
            return self._batch(samples, draws, noise, (clip_or_reason(*job) for job in jobs))
        with clip_readers(self.workers, self._shape, max(1, min(len(samples), 4 * self.workers))) as read_all:
            return self._batch(samples, draws, noise, read_all(jobs))

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        contract = self.cut.contract
        return contract.frames, contract.crop, contract.crop, 3

    def _job(self, sample: int, draws: Draws) -> Job:
        item = self.items[sample % len(self)]
        flip = self.cut.flip and may_flip(item.label, self.mirrored)
        cut = Cut(self.cut.contract, self.cut.short_sides, flip, self.cut.random_stride)
        return item.video, cut, draws.uniforms(sample, cut.draws)

    def _batch(self, samples: Samples, draws: Draws, noise: Noise, read: Iterator[Clip | str]) -> Batch:
        """What is read is copied before the next clip is asked for."""
        pixels = self.room.take((len(samples), *self._shape))
        labels: list[int] = []
        noises, mixing = [], []
        for sample, clip in zip(samples.tolist(), read, strict=False):
            item = self.items[sample % len(self)]
            if isinstance(clip, str):
                self._leave_out(item.path, clip)
                continue
            row = draws.uniforms(sample, self.cut.draws + noise.draws)
            pixels.numpy()[len(labels)] = varied(clip, item.order, self.erase, sample, draws)
            labels.append(seen_label(item.label, row, self.cut.flip, self.mirrored))
            noises.append(row[self.cut.draws :])
            mixing.append(mixing_draws(sample, draws))
        return _stacked(pixels[: len(labels)], labels, noises, mixing, noise)

    def agree(self, ranks: Ranks) -> None:
        for broken in ranks.of_all(self.broken):
            for path, reason in broken.items():
                self._leave_out(path, reason)

    def _leave_out(self, path: Path, reason: str) -> None:
        if path not in self.broken:
            self.broken[path] = reason
            self.say(f"left out: {reason}")
            self.cap.hold([Broken(path, why) for path, why in self.broken.items()], len(self.items))


def _stacked(
    clips: UInt8[Tensor, "batch frames crop crop 3"],
    labels: Sequence[int],
    draws: Sequence[Float64[np.ndarray, " draws"]],
    mixing: Sequence[Float64[np.ndarray, " 4"]],
    noise: Noise,
) -> Batch:
    numbers = np.stack(draws).astype(np.float32) if len(clips) else np.zeros((0, noise.draws), np.float32)
    gates, features = np.split(numbers, [noise.gates], axis=1)
    return Batch(
        clips[:, None],
        torch.tensor(labels, dtype=torch.int64),
        torch.from_numpy(gates),
        torch.from_numpy(features),
        np.stack(mixing) if len(clips) else np.zeros((0, 4)),
    )
