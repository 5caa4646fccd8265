"""What is inside a video file, and its frames in the order they are shown.

PyAV does not turn frames by the file's display matrix, so this module does. Frames are exact: each is the one that
decoding the whole file in order gives. A packet that cannot be decoded is skipped, like `ffmpeg` does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import Float64, Int64, UInt8

from stzoo.errors import VideoError
from stzoo.video.container import Decoder, opened, picture_tracks
from stzoo.video.held import HeldFile, Place
from stzoo.video.listing import Listing, listing
from stzoo.video.orientation import orientation, upright
from stzoo.video.shortcuts import Shortcuts

if TYPE_CHECKING:
    from fractions import Fraction

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Transformed = TypeVar("Transformed")

_PLAUSIBLE_ASPECTS = (1 / 8, 8.0)  # a pixel that is wider or higher than this is a damaged header
_NONE = np.zeros(0, dtype=np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class VideoInfo:
    """What a video file holds, as found in its index or packets and by decoding one frame."""

    path: Path
    width: int
    """Pixels, after the display matrix has turned the frame."""
    height: int
    rotation_degrees: int
    """Counterclockwise turn (0, 90, 180, 270) that shows a decoded frame upright."""
    mirrored: bool
    """Whether a decoded frame is flipped left to right before it is turned."""
    timestamps_seconds: Float64[np.ndarray, " frames"]
    """When each frame is shown, ascending."""
    counted: bool
    """The file's own timestamps cannot be trusted frame by frame: the n-th decoded frame is frame n.

    AVI has no others, and they start over where MPEG-TS files were written one behind the other.
    """
    truncated: bool
    """The file promises more frames or a longer time than it has packets for."""
    stamps: Int64[np.ndarray, " stamps"] = dataclasses.field(default_factory=_NONE.copy)
    """The time that each decoded frame carries, in the track's time base, in the order of showing; none if counted."""
    keyframes: Int64[np.ndarray, " keyframes"] = dataclasses.field(default_factory=_NONE.copy)
    """The frames at which decoding can begin, ascending; none where it can begin only at the file's start."""
    pixel_aspect: float = 1.0
    """How much wider than high a pixel is shown, after the display matrix has turned the frame."""
    last_seconds: float | None = None
    """How long the last frame is shown; None where the file does not say."""
    remarks: tuple[str, ...] = ()
    """One sentence for everything about the file that a user may not expect."""

    @property
    def frames(self) -> int:
        return len(self.timestamps_seconds)

    @property
    def fps(self) -> float | None:
        """Frames a second on average; None where all frames are shown at once, as a single one is."""
        seconds = float(self.timestamps_seconds[-1] - self.timestamps_seconds[0])
        return (self.frames - 1) / seconds if seconds > 0 else None

    @property
    def duration_seconds(self) -> float:
        """From the first frame's beginning to the last one's end.

        Where the file does not say how long the last frame is shown, it is as long as frames are on average, and 0
        where all frames are shown at once.
        """
        last = self.last_seconds
        if last is None:
            last = 1 / self.fps if self.fps is not None else 0.0
        return float(self.timestamps_seconds[-1] - self.timestamps_seconds[0]) + last


class Excerpt(NamedTuple):
    """Some frames of a video, and what is known about it when they are read."""

    frames: UInt8[np.ndarray, "... size size 3"]
    """By a `Transform`, in the shape of the choice."""
    info: VideoInfo


Choose = Callable[[VideoInfo], Int64[np.ndarray, "..."]]
"""Which frames are wanted of a video: their indices, in any shape."""

Transform = Callable[..., UInt8[np.ndarray, "... size size 3"]]
"""What is kept of a frame; takes, as `pixel_aspect`, how much wider than high its pixels are shown."""


def probe(path: Path | HeldFile | str) -> VideoInfo:
    """Reads a file's index, or its packets where it has none, and decodes the first frame.

    Raises:
        VideoError: no such file, not a regular file, an empty file, a text file, not a video, no video track, pictures
            of more than `container.MAX_PIXELS`, or no frame that can be decoded.
    """
    place, path = (path if isinstance(path, HeldFile) else Path(path)), Path(str(path))
    with opened(place) as (container, stream):
        listed, first = listing(place, Decoder(container, stream))
        if first is None or listed.packets == 0:
            raise VideoError(f"{path} holds no frame that can be decoded; it may be cut off or damaged.")
        if listed.times and stream.time_base is not None:
            seconds = _seconds(listed.times, stream.time_base)
        else:
            seconds = np.arange(listed.packets) / float(stream.average_rate or stream.guessed_rate or 25)
        rotation, mirrored = orientation(first)
        upright = rotation % 180 == 0
        aspect = float(stream.sample_aspect_ratio or 1)
        if not _PLAUSIBLE_ASPECTS[0] <= aspect <= _PLAUSIBLE_ASPECTS[1]:
            aspect = 1.0
        return VideoInfo(
            path=path,
            width=first.width if upright else first.height,
            height=first.height if upright else first.width,
            rotation_degrees=rotation,
            mirrored=mirrored,
            timestamps_seconds=seconds,
            counted=not listed.stamps,
            truncated=listed.truncated,
            stamps=np.array(listed.stamps, dtype=np.int64),
            keyframes=np.searchsorted(listed.times, listed.keyframes).astype(np.int64),
            pixel_aspect=aspect if upright else 1 / aspect,
            last_seconds=_last_seconds(listed, stream),
            remarks=_remarks(path, container, stream),
        )


def read_frames(
    info: VideoInfo,
    indices: Int64[np.ndarray, " wanted"],
    transform: Callable[[UInt8[np.ndarray, "height width 3"]], Transformed],
    *,
    place: Place | None = None,
) -> dict[int, Transformed]:
    """Decodes what the wanted frames need and hands each of them, upright RGB, to `transform`, in ascending order.

    Only wanted frames are converted, one at a time, so memory holds one frame of the file's size. The `place` is where
    the video is, if not at `info.path`.

    Returns:
        Index -> what `transform` made of the frame. A frame that could not be decoded is missing.
    """
    wanted = np.unique(indices)
    frames = {index: transform(frame) for index, frame in stream_frames(info, wanted, place=place)}
    missing = wanted[[index not in frames for index in wanted.tolist()]]
    if len(missing) and not (info.counted or info.truncated):
        rest = stream_frames(info, missing, in_order=True, place=place)
        frames |= {index: transform(frame) for index, frame in rest}
    return frames


def stream_frames(
    info: VideoInfo, wanted: Int64[np.ndarray, " wanted"], *, in_order: bool = False, place: Place | None = None
) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
    """The wanted frames, upright RGB, each with its index, one at a time; one that is not found is left out.

    Args:
        info: the video.
        wanted: indices, ascending, each once.
        in_order: decode the file from its start; this finds frames of damaged files that the shortest way misses.
        place: where the video is, if not at `info.path`.
    """
    reformatter = VideoReformatter()
    if in_order or info.counted or info.truncated or (np.diff(info.stamps) <= 0).any():
        missing = set(wanted.tolist())
        for index, frame in _decoded(info, place) if missing else ():
            if index in missing:
                missing.remove(index)
                yield index, _upright(frame, info, reformatter)
                if not missing:
                    return
        return
    with opened(place or info.path) as (container, stream):
        shortcuts = Shortcuts(Decoder(container, stream), info.stamps, info.keyframes)
        for index, frame in shortcuts.frames(wanted):
            yield index, _upright(frame, info, reformatter)


def decodable(info: VideoInfo, place: Place | None = None) -> VideoInfo:
    """The same video with only those frames that can really be decoded, in order; reads the whole file.

    The `place` is where the video is, if not at `info.path`.
    """
    seen = [index for index, _ in _decoded(info, place)]
    counted = info.counted or seen != sorted(set(seen))
    timestamps = info.timestamps_seconds[: len(seen)] if counted else info.timestamps_seconds[seen]
    return dataclasses.replace(
        info,
        counted=counted,
        truncated=info.truncated or len(timestamps) < info.frames,
        timestamps_seconds=timestamps,
        stamps=_NONE if counted else info.stamps[seen],
        keyframes=_NONE,
        last_seconds=info.last_seconds if len(timestamps) == info.frames else None,
    )


def _decoded(info: VideoInfo, place: Place | None) -> Iterator[tuple[int, VideoFrame]]:
    """Every frame that can be decoded from the start on, with its index in `info.timestamps_seconds`."""
    with opened(place or info.path) as (container, stream):
        index_at = {stamp: index for index, stamp in enumerate(info.stamps.tolist())}
        for count, frame in enumerate(Decoder(container, stream).frames()):
            index = count if info.counted or frame.pts is None else index_at.get(frame.pts)
            if index is not None and index < info.frames:
                yield index, frame


def _seconds(times: list[int], time_base: Fraction) -> Float64[np.ndarray, " times"]:
    return np.array([time * time_base.numerator / time_base.denominator for time in times], dtype=np.float64)


def _last_seconds(listed: Listing, stream: VideoStream) -> float | None:
    ticks = listed.last_ticks
    return None if ticks is None or stream.time_base is None else float(ticks * stream.time_base)


def _remarks(path: Path, container: InputContainer, stream: VideoStream) -> tuple[str, ...]:
    others = len(picture_tracks(container)) - 1
    if others == 0:
        return ()
    number = picture_tracks(container).index(stream) + 1
    return (f"{path} has {others + 1} video tracks; number {number} was read, which ffmpeg takes as well.",)


def _upright(frame: VideoFrame, info: VideoInfo, reformatter: VideoReformatter) -> UInt8[np.ndarray, "height width 3"]:
    # One thread: a pool of threads for every frame costs more than it gives.
    pixels = np.asarray(reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), dtype=np.uint8)
    return upright(pixels, info.rotation_degrees, info.mirrored)
