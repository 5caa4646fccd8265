"""A video seen through windows that move along it: the clips of each, every frame decoded once, few held at a time."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.video.clips import clips_of_window, plan, repeating
from stzoo.video.decode import VideoInfo
from stzoo.video.frames import crops_along, stacked
from stzoo.video.reader import damage, few_frames, views_of
from stzoo.video.source import open_source
from stzoo.video.video import Video

_MOST_WINDOWS = 1_000_000
TIE_SECONDS = 1e-6
_NEARLY = 0.05  # of a window, or of a hop where that is shorter


class Window(NamedTuple):
    """A part of a video and its clips; times are seconds from the video's first frame."""

    start_seconds: float
    end_seconds: float
    clips: UInt8[np.ndarray, "views frames height width 3"]


def spans(duration_seconds: float, window_seconds: float, hop_seconds: float) -> Float64[np.ndarray, "windows 2"]:
    """Where windows begin and end: one every `hop_seconds`, all of them whole, and one that ends with the video.

    That one is left out where it would be nearly the one before it: see `has_a_last`. A video no longer than a window
    has a single one, as long as itself.

    Raises:
        UsageError: a length that is not above 0, or more than a million windows.
    """
    if not (window_seconds > 0 and hop_seconds > 0 and np.isfinite([window_seconds, hop_seconds]).all()):
        raise UsageError(
            f"windows of {window_seconds:g} seconds every {hop_seconds:g} seconds were asked for; both must be above 0."
        )
    spare = duration_seconds - window_seconds
    if spare <= TIE_SECONDS:
        return np.array([[0.0, duration_seconds]])
    if spare / hop_seconds >= _MOST_WINDOWS:
        raise UsageError(
            f"a window every {hop_seconds:g} seconds of {duration_seconds:.0f} are more than {_MOST_WINDOWS:,} "
            "windows; take a longer hop."
        )
    starts = hop_seconds * np.arange(int((spare + TIE_SECONDS) / hop_seconds) + 1)
    if has_a_last(spare - starts[-1], window_seconds, hop_seconds):
        starts = np.append(starts, spare)
    return np.stack([starts, starts + window_seconds], axis=1)


def has_a_last(rest_seconds: float, window_seconds: float, hop_seconds: float) -> bool:
    """Whether a video that goes on for so long behind its last whole window has another one, which ends with it.

    It has none for less than a twentieth of a hop, or of a window, as the last frame's end is often a little behind.
    """
    return bool(rest_seconds > max(TIE_SECONDS, _NEARLY * min(window_seconds, hop_seconds)))


class Windows:
    """The windows of a video; going over them decodes it.

    A window is treated as a video of its own that holds what is shown in it: its clips are those that
    `reader.read_clips` takes of such a video, as many as are asked for. Memory holds the frames of the clips that
    overlap. Where a frame turns out to be damaged, the windows from there on are laid over the frames that can be
    decoded.

    Args:
        video: a folder of frames needs its `frame_rate`.
        contract: how clips are taken of a window.
        window_seconds: the length of a window.
        hop_seconds: how far apart windows begin.
        clips: clips a window; by default `clips_of_window`.

    Raises:
        VideoError: nothing can be decoded; the sentence says why.
        UsageError: as `spans`, or a folder of frames without `frame_rate`.
    """

    def __init__(
        self,
        video: Video,
        contract: InputContract,
        window_seconds: float,
        hop_seconds: float,
        clips: int | None = None,
    ) -> None:
        began = time.perf_counter()
        self._contract, self._lengths, self._wanted = contract, (window_seconds, hop_seconds), clips
        self._source = open_source(video)
        self._first_seconds = float(self.info.timestamps_seconds[0])
        self.decode_seconds = time.perf_counter() - began
        """What reading has taken so far, on the clock."""
        self._spans = self._laid()
        self._different, self._clips = np.zeros(0, dtype=np.int64), 0

    def __len__(self) -> int:
        """How many windows there are, as far as is known."""
        return len(self._spans)

    @property
    def info(self) -> VideoInfo:
        """What is known about the video so far."""
        return self._source.info

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for everything that was not as it should be, so far."""
        return (*damage(self.info), *few_frames(self.info, self._contract, self._different, self._clips))

    def __iter__(self) -> Iterator[Window]:
        done = yield from self._pass(0)
        if done < len(self):
            began = time.perf_counter()
            self._source = self._source.repaired()
            self._spans = self._laid()
            self.decode_seconds += time.perf_counter() - began
            done = yield from self._pass(done)
        if done < len(self):
            raise VideoError(f"{self.info.path} decodes differently each time it is read; copy or convert it again.")

    def _laid(self) -> Float64[np.ndarray, "windows 2"]:
        return spans(self._duration_seconds, *self._lengths)

    @property
    def _duration_seconds(self) -> float:
        # Where the frames before a damaged part are gone, time still counts from the file's first frame.
        gone = float(self.info.timestamps_seconds[0]) - self._first_seconds
        return gone + self.info.duration_seconds

    def _pass(self, first: int) -> Generator[Window, None, int]:
        """The windows from `first` on, up to one with a frame that is not found; returns how many are done."""
        plans = [self._plan(low, high) for low, high in self._shown()[first:].tolist()]
        if not plans:
            return first
        transform = partial(crops_along, contract=self._contract, pixel_aspect=self.info.pixel_aspect)
        frames = self._source.frames(np.unique(np.concatenate([indices.ravel() for indices in plans])))
        held: dict[int, UInt8[np.ndarray, "crops crop crop 3"]] = {}
        for number, indices in enumerate(plans, first):
            began = time.perf_counter()
            wanted, latest = set(indices.ravel().tolist()), -1
            held = {index: views for index, views in held.items() if index >= min(wanted)}
            while latest < max(wanted) and not wanted <= held.keys():
                latest, frame = next(frames, (self.info.frames, None))
                if frame is not None:
                    held[latest] = transform(frame)
            if not wanted <= held.keys():
                return number
            clips = views_of(stacked(indices, held))
            self.decode_seconds += time.perf_counter() - began
            start, end = self._spans[number].tolist()
            yield Window(start, end, clips)
        return first + len(plans)

    def _shown(self) -> Int64[np.ndarray, "windows 2"]:
        """The first frame of each window and the one after its last: at least the frame that it begins with."""
        seconds = self.info.timestamps_seconds - self._first_seconds
        shown = np.searchsorted(seconds, self._spans - TIE_SECONDS)
        if self._spans[-1, 1] >= self._duration_seconds - TIE_SECONDS:
            shown[-1, 1] = self.info.frames
        shown[:, 0] = np.where(shown[:, 0] < shown[:, 1], shown[:, 0], np.maximum(shown[:, 0] - 1, 0))
        shown[:, 1] = np.maximum(shown[:, 1], shown[:, 0] + 1)
        return shown.astype(np.int64)

    def _plan(self, low: int, high: int) -> Int64[np.ndarray, "clips frames"]:
        shown = self.info.timestamps_seconds[low:high]
        clips = self._wanted or clips_of_window(self._contract, self._lengths[0], len(shown))
        indices = plan(shown, self._contract, clips)
        self._different = np.append(self._different, repeating(shown, self._contract, indices))
        self._clips += len(indices)
        return low + indices
