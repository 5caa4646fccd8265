"""A video that is open, whether it is a file, a folder of pictures or in memory: its frames, wanted or all."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from stzoo.errors import UsageError, VideoError
from stzoo.video.decode import (
    Choose,
    Excerpt,
    Transform,
    VideoInfo,
    decodable,
    probe,
    read_frames,
    stream_frames,
)
from stzoo.video.frames import stacked
from stzoo.video.held import HeldFile, HeldFrames, Place
from stzoo.video.images import FrameFolder, describe, find_frames, read_picture, read_pictures
from stzoo.video.video import Video

Frame = UInt8[np.ndarray, "height width 3"]

_TIE_SECONDS = 1e-6
_BEYOND_SECONDS = 0.5
"""How much later than its video a part may end: annotations are rounded."""


@dataclasses.dataclass(frozen=True, eq=False)
class Source(ABC):
    """A video, and the two ways to its frames: straight to a few, or from its beginning to its end."""

    info: VideoInfo

    @property
    def timed(self) -> bool:
        """Whether it is known when its frames are shown."""
        return True

    @abstractmethod
    def read(self, choose: Choose, transform: Transform) -> Excerpt:
        """The frames that `choose` wants; chosen again where some cannot be decoded.

        Raises `VideoError` where none can.
        """

    @abstractmethod
    def in_order(self) -> Source:
        """The same video, ready for `frames`; one that is known to be cut off has only what can be decoded.

        Raises `VideoError` where nothing can.
        """

    @abstractmethod
    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[tuple[int, Frame]]:
        """The wanted frames (ascending, each once), upright RGB, with their indices; those not found are left out.

        One of them is in memory at a time.
        """

    @abstractmethod
    def repaired(self) -> Source:
        """The same video with only those frames that can really be decoded; reads all of it.

        Raises `VideoError` where none can.
        """


def look_into(video: Video) -> Source:
    """Opens a video, whatever it is kept as. Raises `VideoError` where that cannot be; the sentence says why."""
    if isinstance(video.held, HeldFrames):
        return _Held.of(video.held, video.frame_rate)
    if isinstance(video.held, HeldFile):
        return _File(probe(video.held), video.held)
    folder = find_frames(video)
    whole = (
        _File(probe(video.place), video.place) if folder is None else _Pictures.of(folder, np.arange(len(folder.names)))
    )
    return whole if video.part is None else _Part.of(whole, video.part)


def open_source(video: Video) -> Source:
    """Opens a video to go from its beginning to its end.

    Raises:
        VideoError: nothing can be decoded; the sentence says why.
        UsageError: frames without `frame_rate`.
    """
    source = look_into(video)
    if not source.timed:
        raise UsageError(
            f"{video.place} holds frames and not their rate; say how many a second it holds (--frame-rate, in Python "
            "fps)."
        )
    return source.in_order()


@dataclasses.dataclass(frozen=True, eq=False)
class _File(Source):
    place: Place
    from_start: bool = False
    """Decode the file from its start, which finds frames that the shortest way misses."""

    def read(self, choose: Choose, transform: Transform) -> Excerpt:
        indices = choose(self.info)
        upright = partial(transform, pixel_aspect=self.info.pixel_aspect)
        frames = read_frames(self.info, indices.ravel(), upright, place=self.place)
        if len(frames) == len(np.unique(indices)):
            return Excerpt(stacked(indices, frames), self.info)
        if self.from_start:
            raise VideoError(f"{self.info.path} decodes differently each time it is read; copy or convert it again.")
        return self.repaired().read(choose, transform)

    def in_order(self) -> Source:
        return self.repaired() if self.info.truncated else self

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[tuple[int, Frame]]:
        return stream_frames(self.info, wanted, in_order=self.from_start, place=self.place)

    def repaired(self) -> Source:
        info = decodable(self.info, self.place)
        if info.frames == 0:
            raise VideoError(f"{info.path} holds no frame that can be decoded; it may be cut off or damaged.")
        return _File(info, self.place, from_start=True)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pictures(Source):
    folder: FrameFolder
    rows: Int64[np.ndarray, " frames"]

    @classmethod
    def of(cls, folder: FrameFolder, rows: Int64[np.ndarray, " frames"], size: tuple[int, int] = (0, 0)) -> _Pictures:
        """The pictures in some of the folder's rows."""
        return cls(describe(folder, rows, size), folder, rows)

    @property
    def timed(self) -> bool:
        return self.folder.rate is not None

    def read(self, choose: Choose, transform: Transform) -> Excerpt:
        return read_pictures(self.folder, choose, transform)

    def in_order(self) -> Source:
        """Its size is that of the first picture that can be decoded."""
        pictures = (read_picture(self.folder, row) for row in self.rows.tolist())
        size = next((picture.shape[:2] for picture in pictures if picture is not None), None)
        if size is None:
            raise VideoError(f"{self.folder.path} holds no frame that can be decoded; its pictures are damaged.")
        return self.of(self.folder, self.rows, size)

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[tuple[int, Frame]]:
        for index in wanted.tolist():
            picture = read_picture(self.folder, int(self.rows[index]))
            if picture is not None:
                yield index, picture

    def repaired(self) -> Source:
        good = [row for row in self.rows.tolist() if read_picture(self.folder, row) is not None]
        return self.of(self.folder, np.array(good, dtype=np.int64)).in_order()


@dataclasses.dataclass(frozen=True, eq=False)
class _Held(Source):
    """Frames in memory: nothing about them is damaged."""

    held: HeldFrames
    timed: bool = True

    @classmethod
    def of(cls, held: HeldFrames, rate: float | None) -> _Held:
        """Frames that know their times, or have a rate."""
        times = held.times_seconds()
        timed = times is not None or rate is not None
        info = VideoInfo(
            path=Path(held.name),
            width=held.size[1],
            height=held.size[0],
            rotation_degrees=0,
            mirrored=False,
            timestamps_seconds=np.arange(held.count) / (rate or 1.0) if times is None else times,
            counted=not timed,
            truncated=False,
            pixel_aspect=held.pixel_aspect,
            last_seconds=None if rate is None or times is not None else 1 / rate,
        )
        return cls(info, held, timed)

    def read(self, choose: Choose, transform: Transform) -> Excerpt:
        indices = choose(self.info)
        upright = partial(transform, pixel_aspect=self.info.pixel_aspect)
        kept = {index: upright(frame) for index, frame in self.frames(np.unique(indices))}
        return Excerpt(stacked(indices, kept), self.info)

    def in_order(self) -> Source:
        return self

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[tuple[int, Frame]]:
        return self.held.pictures(wanted)

    def repaired(self) -> Source:
        return self


@dataclasses.dataclass(frozen=True, eq=False)
class _Part(Source):
    """What is shown of a video from one time to another, in seconds from its first frame."""

    whole: Source
    span: tuple[float, float]

    @classmethod
    def of(cls, whole: Source, span: tuple[float, float]) -> _Part:
        """Raises `VideoError` where the video ends before, and `UsageError` where its frames have no times."""
        if not whole.timed:
            raise UsageError(
                f"{whole.info.path} holds frames and not their rate, and a part of it is wanted in seconds; say how "
                "many a second it holds (--frame-rate, in Python fps)."
            )
        return cls(_cut(whole.info, span)[0], whole, span)

    def read(self, choose: Choose, transform: Transform) -> Excerpt:
        def chosen(info: VideoInfo) -> Int64[np.ndarray, "..."]:
            part, first = _cut(info, self.span)
            return np.asarray(choose(part) + first)

        frames, info = self.whole.read(chosen, transform)
        return Excerpt(frames, _cut(info, self.span)[0])

    def in_order(self) -> Source:
        return self.of(self.whole.in_order(), self.span)

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[tuple[int, Frame]]:
        first = _cut(self.whole.info, self.span)[1]
        return ((index - first, frame) for index, frame in self.whole.frames(wanted + first))

    def repaired(self) -> Source:
        return self.of(self.whole.repaired(), self.span)


def ends_behind(span: tuple[float, float], seconds: float) -> bool:
    """Whether a part of a video begins or ends behind a video that is so long; where it has no end, begins."""
    start, end = span
    return start >= seconds or (math.isfinite(end) and end > seconds + _BEYOND_SECONDS)


def _cut(info: VideoInfo, span: tuple[float, float]) -> tuple[VideoInfo, int]:
    """What is known of a part of a video, and which of the whole video's frames is its first.

    That is the frame which is shown when the part begins.
    """
    times = info.timestamps_seconds - info.timestamps_seconds[0]
    start, end = span
    if ends_behind(span, info.duration_seconds):
        raise VideoError(
            f"{info.path} is {info.duration_seconds:.2f} s long, and the part from {start:g} to {end:g} s of it was "
            "asked for; correct the times."
        )
    first = max(0, int(np.searchsorted(times, start + _TIE_SECONDS, side="right")) - 1)
    stop = max(first + 1, int(np.searchsorted(times, end - _TIE_SECONDS, side="left")))
    keyframes = info.keyframes[(info.keyframes >= first) & (info.keyframes < stop)] - first
    part = dataclasses.replace(
        info,
        timestamps_seconds=info.timestamps_seconds[first:stop],
        stamps=info.stamps[first:stop],
        keyframes=keyframes,
        last_seconds=info.last_seconds if stop == info.frames else float(times[stop] - times[stop - 1]),
    )
    return part, first
