"""Video -> clips: probe, plan, decode, resize, crop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError, unexpected
from stzoo.video.clips import plan, repeating, strip
from stzoo.video.decode import Choose, Excerpt, Transform, VideoInfo
from stzoo.video.frames import crop_at, crops_along
from stzoo.video.source import look_into
from stzoo.video.video import Video


@dataclass(frozen=True, eq=False)
class VideoClips:
    """The clips of one video, ready to be normalised."""

    clips: UInt8[np.ndarray, "views frames height width 3"]
    """A view is a crop of a clip; those of one clip stand together."""
    times_seconds: Float64[np.ndarray, "clips 2"]
    """When the first and the last frame of each clip are shown."""
    info: VideoInfo
    warnings: tuple[str, ...]
    """One sentence for everything that was not as it should be: a file that is cut off, clips that repeat frames."""
    decode_seconds: float
    """What reading took, on the clock."""


def read_clips(video: Video, contract: InputContract, clips: int | None = None) -> VideoClips:
    """Reads `clips` clips (by default `contract.clips`) spread uniformly over a video of any length, rate and size.

    Of each clip there are `contract.crops` crops. Of a damaged or cut-off video, the clips are spread over the frames
    that can be decoded, and a warning says so; another one says where clips have fewer different frames than they have
    frames, though the video is as long as they are.

    Raises:
        VideoError: nothing can be decoded; the sentence says why.
        UsageError: frames without `frame_rate`, while the contract wants frames a second.
    """
    count = contract.clips if clips is None else clips
    began = time.perf_counter()

    def choose(info: VideoInfo) -> Int64[np.ndarray, "clips frames"]:
        return plan(info.timestamps_seconds, contract, count)

    transform = partial(crops_along, contract=contract)
    pixels, info = read_chosen(video, choose, transform, contract)
    indices = choose(info)
    times = info.timestamps_seconds[indices[:, [0, -1]]]
    few = few_frames(info, contract, repeating(info.timestamps_seconds, contract, indices), len(indices))
    return VideoClips(views_of(pixels), times, info, (*damage(info), *few), time.perf_counter() - began)


def read_or_say(video: Video, contract: InputContract, clips: int | None = None) -> VideoClips | VideoError:
    """What `read_clips` reads, or why it cannot, be it an error that nobody foresaw: a list of videos goes on."""
    try:
        return read_clips(video, contract, clips)
    except (VideoError, UsageError) as error:
        return VideoError(str(error))
    except Exception as error:
        return VideoError(unexpected(video.place, error))


def views_of(
    pixels: UInt8[np.ndarray, "clips frames crops size size 3"],
) -> UInt8[np.ndarray, "views frames size size 3"]:
    """The views of clips out of the crops of their frames; those of one clip stand together."""
    views = np.ascontiguousarray(np.moveaxis(pixels, 2, 1))
    return views.reshape(-1, *views.shape[2:])


def read_strip(
    video: Video, contract: InputContract, frames: int, size: int
) -> UInt8[np.ndarray, "frames size size 3"]:
    """Reads one run of `frames` frames at the contract's rate around the video's centre, to train on.

    Short side and centre crop are `size` pixels. Errors are those of `read_clips`.
    """
    square = contract.with_short_side(size).model_copy(update={"crop": size, "crops": 1})
    transform = partial(crop_at, contract=square)
    return read_chosen(video, lambda info: strip(info.timestamps_seconds, contract, frames), transform, contract).frames


def read_chosen(video: Video, choose: Choose, transform: Transform, contract: InputContract) -> Excerpt:
    """The frames that `choose` wants; chosen again where some cannot be decoded. Errors are those of `read_clips`."""
    source = look_into(video)
    if contract.fps is not None and not source.timed:
        raise UsageError(
            f"{video.place} holds frames and not their rate, and {contract.fps:g} a second are wanted of it; say how "
            "many a second it holds (--frame-rate, in Python fps), or count frames (stride_frames in place of fps)."
        )
    return source.read(choose, transform)


def damage(info: VideoInfo) -> tuple[str, ...]:
    """A sentence for everything about a video that was not as it should be."""
    if not info.truncated:
        return info.remarks
    seconds = info.timestamps_seconds[-1] - info.timestamps_seconds[0]
    length = "" if info.counted else f" ({seconds:.1f} s)"
    return (
        f"{info.path} is cut off or damaged: only its {info.frames} decodable frames{length} were used.",
        *info.remarks,
    )


def few_frames(
    info: VideoInfo, contract: InputContract, different: Int64[np.ndarray, " repeating"], clips: int
) -> tuple[str, ...]:
    """A sentence where some of a video's clips repeat frames. `different` is what `clips.repeating` says of them.

    Of a video that is cut off or damaged the other sentence says enough.
    """
    if not len(different) or info.truncated:
        return ()
    rate = "" if info.fps is None else f"{info.fps:.4g} frames a second on average, and "
    return (
        f"{len(different)} of {clips} clip{'s' if clips > 1 else ''} of {info.path} repeat{'' if clips > 1 else 's'} "
        f"frames, down to {different.min()} different ones of {contract.frames}: the video has {rate}"
        f"{contract.fps:g} are wanted.",
    )
