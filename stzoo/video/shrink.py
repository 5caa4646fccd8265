"""A video written anew to train on: smaller pictures, often a keyframe, no sound.

A frame is shown at the time at which it was, so a clip that is chosen by times or by numbers has the same frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from stzoo.errors import VideoError
from stzoo.files import replacing
from stzoo.video.decode import VideoInfo
from stzoo.video.source import Source, open_source
from stzoo.video.track import Track
from stzoo.video.video import Video

SHORT_SIDE = 256
OPTIONS = {"preset": "veryfast", "tune": "fastdecode", "crf": "20", "g": "16", "bf": "0", "threads": "1"}
"""Of x264. Without frames that look ahead, times in the file are those of the frames, and seeking skips at most 15."""

_TICKS = 360_000
"""A second: whole numbers for the usual frame rates, thousandths, and the 90,000ths of MPEG-TS."""


class Shrunk(NamedTuple):
    """What has become of a video."""

    frames: int
    """All that can be decoded."""
    truncated: bool
    """Whether there should be more."""


def shrink(video: Video, output: Path, short_side: int = SHORT_SIDE) -> Shrunk:
    """Writes a video as MP4 with H.264. Until the file is complete it has another name.

    Rotation is applied, pixels keep their aspect, the last frame is shown as long as before. What cannot be decoded is
    left out.

    Args:
        video: a folder of frames needs its `frame_rate`.
        output: a file that is there is replaced.
        short_side: pixels, as they are shown; smaller pictures keep their size, but for an odd row or column.

    Raises:
        VideoError: nothing can be decoded.
        UsageError: frames without `frame_rate`.
        OSError: it cannot be written.
    """
    source = open_source(video)
    with replacing(output) as temporary:
        if _write(source, temporary, short_side) < source.info.frames:
            source = source.repaired()
            if _write(source, temporary, short_side) < source.info.frames:
                raise VideoError(f"{video.place} decodes differently each time it is read; copy or convert it again.")
    return Shrunk(source.info.frames, source.info.truncated)


def shrunk_size(info: VideoInfo, short_side: int) -> tuple[int, int]:
    """Width and height in pixels, both even and neither larger than before, unless that is one pixel."""
    factor = min(1.0, short_side / min(info.width * info.pixel_aspect, info.height))
    width, height = (max(2, min(2 * round(side * factor / 2), side - side % 2)) for side in (info.width, info.height))
    return width, height


def _write(source: Source, path: Path, short_side: int) -> int:
    """Writes the frames that can be decoded; returns how many these are."""
    info = source.info
    size = shrunk_size(info, short_side)
    times = info.timestamps_seconds - info.timestamps_seconds[0]
    ends = np.append(times[1:], info.duration_seconds)
    with av.open(str(path), "w", format="mp4") as target:
        track = Track(target, info, size, ticks=_TICKS, options=OPTIONS)
        for index, pixels in source.frames(np.arange(info.frames)):
            track.add(_resized(pixels, size), float(times[index]), float(ends[index]))
        track.finish()
    return track.pictures


def _resized(pixels: UInt8[np.ndarray, "_ _ 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "height width 3"]:
    pixels = np.ascontiguousarray(pixels)
    if pixels.shape[1::-1] == size:
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
