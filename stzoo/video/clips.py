"""Which frames of a video make its clips: pure functions of the frames' timestamps and the input contract."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError

_TIE_SECONDS = 1e-6  # a wished time half-way between two frames takes the earlier one, whatever the rounding


def plan(
    timestamps_seconds: Float64[np.ndarray, " n"], contract: InputContract, clips: int
) -> Int64[np.ndarray, "clips frames"]:
    """The frames of `clips` clips, spread uniformly over the video.

    A single clip lies in the middle; of several, the first starts at the first frame and the last ends at the last
    frame. With `contract.fps` a clip takes the nearest frame to each wished time, whatever the file's rate, constant or
    not; with `contract.stride_frames` it counts frames. A video shorter than a clip follows `contract.short_video`.
    Of segments, every clip takes one frame out of each, and all clips stand evenly spread within a segment.

    Args:
        timestamps_seconds: presentation time of every frame, ascending.
        contract: frames of a clip, their distance, and the policy for short videos.
        clips: how many clips, at least 1.

    Returns:
        Indices into `timestamps_seconds`; every row ascends.

    Raises:
        UsageError: `clips` is below 1.
        VideoError: there is no frame.
    """
    number: object = clips
    if not isinstance(number, int | np.integer) or clips < 1:
        raise UsageError(f"{clips} clips were asked for; ask for at least 1.")
    _require_frames(timestamps_seconds)
    if contract.sampling == "segments":
        within = (np.arange(clips)[:, None] + 0.5) / clips
        return _of_segments(len(timestamps_seconds), np.repeat(within, contract.frames, axis=1))
    if contract.fps is not None:
        return _by_time(timestamps_seconds, contract.frames, contract.fps, contract.short_video == "stretch", clips)
    assert contract.stride_frames is not None
    return _by_count(
        len(timestamps_seconds), contract.frames, contract.stride_frames, contract.short_video == "stretch", clips
    )


def clips_of_window(contract: InputContract, window_seconds: float, frames: int) -> int:
    """How many clips a window is given: as many as it is clips long, one at least, at most the contract's.

    More would show nearly the same frames again. Clips out of segments are as long as the window, and stand between
    each other's frames: they are as many as the contract says.

    Args:
        contract: how clips are taken.
        window_seconds: the length that windows were asked to have.
        frames: how many are shown in this one.
    """
    if contract.sampling == "segments":
        return contract.clips
    if contract.fps is not None:
        clips_long = window_seconds * contract.fps / contract.frames
    else:
        assert contract.stride_frames is not None
        clips_long = frames / (contract.frames * contract.stride_frames)
    return min(contract.clips, max(1, round(clips_long)))


def repeating(
    timestamps_seconds: Float64[np.ndarray, " n"], contract: InputContract, indices: Int64[np.ndarray, "clips frames"]
) -> Int64[np.ndarray, " repeating"]:
    """How many different frames those clips have that repeat some though the video is as long as they are.

    That is so where the video has fewer frames a second than the contract wants, or gaps between them. Shorter videos
    repeat frames by the contract's own policy, and are not counted.
    """
    span = float(timestamps_seconds[-1] - timestamps_seconds[0])
    if contract.fps is None or span < (contract.frames - 1) / contract.fps:
        return np.zeros(0, dtype=np.int64)
    different = 1 + np.count_nonzero(np.diff(indices, axis=1), axis=1)
    return np.asarray(different[different < indices.shape[1]], dtype=np.int64)


def strip(
    timestamps_seconds: Float64[np.ndarray, " n"], contract: InputContract, frames: int
) -> Int64[np.ndarray, " frames"]:
    """One run of `frames` frames at the contract's rate around the centre of the video: wider than a clip, to train on.

    Any `contract.frames` neighbours in a strip are a clip of the contract. Of a shorter video, the strip begins with
    all of it, at the contract's rate, or with one clip where the video is shorter than even that, and goes on with
    copies of the last frame.
    """
    if frames < 1:
        raise UsageError(f"a strip of {frames} frames was asked for; ask for at least 1.")
    held = contract.model_copy(update={"short_video": "repeat-last"})
    clip, held_clip = (plan(timestamps_seconds, each, 1)[0] for each in (contract, held))
    if frames >= contract.frames and (clip != held_clip).any():  # stretched, as the video is shorter than a clip
        return np.pad(clip, (0, frames - contract.frames), mode="edge")
    return plan(timestamps_seconds, held.model_copy(update={"frames": frames}), 1)[0]


def random_run(
    timestamps_seconds: Float64[np.ndarray, " n"],
    contract: InputContract,
    draws: Float64[np.ndarray, " draws"],
    *,
    random_stride: bool = False,
) -> Int64[np.ndarray, " frames"]:
    """The frames of one clip anywhere in a video, to train on. Every place where it fits is equally likely.

    Args:
        timestamps_seconds: presentation time of every frame, ascending.
        contract: as in `plan`.
        draws: uniform numbers in [0, 1): `contract.frames` of them for segments and with `random_stride`, else one.
        random_stride: every step is 1 to `contract.stride_frames` frames, drawn anew, in place of that many.

    Raises:
        VideoError: there is no frame.
    """
    _require_frames(timestamps_seconds)
    n, frames = len(timestamps_seconds), contract.frames
    if contract.sampling == "segments":
        return _of_segments(n, draws[:frames])
    if contract.fps is not None:
        first, last = float(timestamps_seconds[0]), float(timestamps_seconds[-1])
        spare = last - first - (frames - 1) / contract.fps
        if spare < 0:
            return strip(timestamps_seconds, contract, frames)
        return _nearest(timestamps_seconds, first + draws[0] * spare + np.arange(frames) / contract.fps)
    assert contract.stride_frames is not None
    steps = np.full(frames - 1, float(contract.stride_frames))
    if random_stride:
        steps = np.floor(draws[1:frames] * contract.stride_frames) + 1
    offsets = np.concatenate([[0.0], np.cumsum(steps)])
    spare_frames = n - 1 - offsets[-1]
    if spare_frames >= 0:
        offsets += np.floor(draws[0] * (spare_frames + 1))
    elif contract.short_video == "stretch":
        offsets = np.floor(np.linspace(0, n - 1, frames) + 0.5)
    return np.minimum(offsets, n - 1).astype(np.int64)


def _require_frames(timestamps_seconds: Float64[np.ndarray, " n"]) -> None:
    if len(timestamps_seconds) == 0:
        raise VideoError("the video has no frame to take a clip from; give one with at least one frame.")


def _of_segments(n: int, within: Float64[np.ndarray, "*clips frames"]) -> Int64[np.ndarray, "*clips frames"]:
    """One frame of each segment of `n` frames, `within` [0, 1) of it."""
    frames = within.shape[-1]
    segments = np.arange(frames)
    last = -(-(segments + 1) * n // frames) - 1  # exact, where the product below may round up to the next segment
    return np.minimum(np.floor((segments + within) * n / frames), last).astype(np.int64)


def _nearest(
    timestamps_seconds: Float64[np.ndarray, " n"], wished: Float64[np.ndarray, "*shape"]
) -> Int64[np.ndarray, "*shape"]:
    between = (timestamps_seconds[1:] + timestamps_seconds[:-1]) / 2
    return np.asarray(np.searchsorted(between, wished - _TIE_SECONDS, side="left"), dtype=np.int64)


def _by_time(
    timestamps_seconds: Float64[np.ndarray, " n"], frames: int, fps: float, stretch: bool, clips: int
) -> Int64[np.ndarray, "clips frames"]:
    first, last = float(timestamps_seconds[0]), float(timestamps_seconds[-1])
    span = (frames - 1) / fps
    if span > last - first:
        offsets = np.linspace(0.0, last - first, frames) if stretch else np.arange(frames) / fps
        starts = np.full(clips, first)
    else:
        offsets = np.arange(frames) / fps
        starts = _spread(first, last - span, clips)
    return _nearest(timestamps_seconds, starts[:, None] + offsets[None, :])


def _by_count(n: int, frames: int, stride: int, stretch: bool, clips: int) -> Int64[np.ndarray, "clips frames"]:
    last_start = n - 1 - (frames - 1) * stride
    if last_start >= 0:
        starts = np.floor(_spread(0.0, float(last_start), clips) + 0.5)
        offsets = np.arange(frames, dtype=np.float64) * stride
    else:
        starts = np.zeros(clips)
        offsets = np.linspace(0, n - 1, frames) if stretch else np.minimum(np.arange(frames) * stride, n - 1)
    return np.floor(starts[:, None] + offsets[None, :] + 0.5).astype(np.int64)


def _spread(first: float, last: float, count: int) -> Float64[np.ndarray, " count"]:
    """`count` values from `first` to `last`; the middle if there is only one."""
    return np.array([(first + last) / 2]) if count == 1 else np.linspace(first, last, count)
