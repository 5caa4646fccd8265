"""Path -> clips: probe, plan, decode, resize, crop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from stzoo.contract import InputContract
from stzoo.errors import VideoError
from stzoo.video.clips import plan, strip
from stzoo.video.decode import VideoInfo, decodable, probe, read_frames
from stzoo.video.frames import crops_along


@dataclass(frozen=True, eq=False)
class VideoClips:
    """The clips of one video, ready to be normalised."""

    clips: UInt8[np.ndarray, "views frames height width 3"]
    """A view is a crop of a clip; those of one clip stand together."""
    times_seconds: Float64[np.ndarray, "clips 2"]
    """When the first and the last frame of each clip are shown."""
    info: VideoInfo
    warnings: tuple[str, ...]
    """One sentence for everything that was not as it should be: so far, a file that is cut off or damaged."""
    decode_seconds: float
    """What reading took, on the clock."""


def read_clips(path: Path | str, contract: InputContract, clips: int | None = None) -> VideoClips:
    """Reads `clips` clips (by default `contract.clips`) spread uniformly over a video of any length, rate and size.

    Of each clip there are `contract.crops` crops. Of a damaged or cut-off file, the clips are spread over the frames
    that can be decoded, and a warning says so.

    Raises:
        VideoError: nothing can be decoded; the sentence says why.
    """
    count = contract.clips if clips is None else clips
    began = time.perf_counter()

    def choose(info: VideoInfo) -> Int64[np.ndarray, "clips frames"]:
        return plan(info.timestamps_seconds, contract, count)

    pixels, info = _read(path, choose, contract.resize, contract.crop, contract.crops)
    together = np.ascontiguousarray(np.moveaxis(pixels, 2, 1)).reshape(-1, contract.frames, *pixels.shape[3:])
    times = info.timestamps_seconds[choose(info)[:, [0, -1]]]
    return VideoClips(together, times, info, _warnings(info), time.perf_counter() - began)


def read_strip(
    path: Path | str, contract: InputContract, frames: int, size: int
) -> UInt8[np.ndarray, "frames size size 3"]:
    """Reads one run of `frames` frames at the contract's rate around the video's centre, to train on.

    Short side and centre crop are `size` pixels.

    Raises:
        VideoError: nothing can be decoded; the sentence says why.
    """
    return _read(path, lambda info: strip(info.timestamps_seconds, contract, frames), size, size, 1)[0][:, 0]


def _read(
    path: Path | str,
    choose: Callable[[VideoInfo], Int64[np.ndarray, "..."]],
    short_side: int,
    crop: int,
    crops: int,
) -> tuple[UInt8[np.ndarray, "... crops size size 3"], VideoInfo]:
    """The chosen frames, stacked in the shape of the choice; chosen again where some cannot be decoded."""
    info = probe(path)
    transform = partial(crops_along, short_side=short_side, crop=crop, crops=crops, pixel_aspect=info.pixel_aspect)
    chosen = choose(info)
    found = read_frames(info, chosen.ravel(), transform)
    if len(found) < len(np.unique(chosen)):
        info = decodable(info)
        if info.frames == 0:
            raise VideoError(f"{info.path} holds no frame that can be decoded; it may be cut off or damaged.")
        chosen = choose(info)
        found = read_frames(info, chosen.ravel(), transform)
    if len(found) < len(np.unique(chosen)):
        raise VideoError(f"{info.path} decodes differently each time it is read; copy or convert it again.")
    frames = np.stack([found[index] for index in chosen.ravel().tolist()])
    return frames.reshape(*chosen.shape, *frames.shape[1:]), info


def _warnings(info: VideoInfo) -> tuple[str, ...]:
    if not info.truncated:
        return ()
    seconds = info.timestamps_seconds[-1] - info.timestamps_seconds[0]
    return (f"{info.path} is cut off or damaged: only its {info.frames} decodable frames ({seconds:.1f} s) were used.",)
