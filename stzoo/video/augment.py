"""What training varies from epoch to epoch: which frames, which part of them, and whether a clip is mirrored.

Every number is drawn once for a clip, so all of its frames are treated alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64, UInt8

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError, unexpected
from stzoo.video.clips import random_run
from stzoo.video.frames import bilinear_window, resize_square, resized
from stzoo.video.reader import read_chosen
from stzoo.video.video import Video

DRAWS = 4
"""Draws of a clip with nothing but a random run, crop and mirroring: first frame, top, left, mirrored."""

_SIDES = {"left": "right", "right": "left", "clockwise": "counterclockwise", "counterclockwise": "clockwise"}
_SIDE = re.compile(rf"(?<![^\W_])({'|'.join(_SIDES)})(?![^\W_])")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_AGAINST_THE_CLOCK = re.compile(r"(counter|anti)[ _-]?clockwise")


@dataclass(frozen=True)
class Cut:
    """How a clip is cut out of a video."""

    contract: InputContract
    short_sides: tuple[int, ...] = ()
    """Short sides of the frame before the crop, one of which is drawn; none: always `contract.resize`."""
    flip: bool = False
    """Mirror left and right for half of the draws."""
    random_stride: bool = False
    """Draw every step from 1 to `contract.stride_frames` frames."""

    @property
    def draws(self) -> int:
        """How many uniform numbers a clip takes."""
        many = self.random_stride or self.contract.sampling == "segments"
        return DRAWS + bool(self.short_sides) + (self.contract.frames - 1 if many else 0)


def read_random_clip(
    video: Video, cut: Cut, draws: Float64[np.ndarray, " draws"]
) -> UInt8[np.ndarray, "frames crop crop 3"]:
    """One clip from anywhere in a video: a random run of frames, and a random window of them.

    Args:
        video: as in `stzoo.video.reader.read_clips`.
        cut: how it is cut.
        draws: `cut.draws` uniform numbers in [0, 1).

    Raises:
        VideoError: nothing can be decoded.
        UsageError: as `read_clips`.
    """
    contract = cut.contract
    rest = DRAWS + bool(cut.short_sides)
    temporal = np.concatenate([draws[:1], draws[rest:]])
    clip = read_chosen(
        video,
        lambda info: random_run(info.timestamps_seconds, contract, temporal, random_stride=cut.random_stride),
        partial(_seen_window, draws=draws, contract=contract, short_sides=cut.short_sides or (contract.short_side,)),
        contract,
    ).frames
    return _mirrored(clip, draws) if cut.flip else clip


def clip_or_reason(
    video: Video, cut: Cut, draws: Float64[np.ndarray, " draws"]
) -> UInt8[np.ndarray, "frames crop crop 3"] | str:
    """What `read_random_clip` reads, or why it cannot: a process hands back both."""
    try:
        return np.ascontiguousarray(read_random_clip(video, cut, draws))
    except VideoError as error:
        return str(error)
    except UsageError:
        raise
    except Exception as error:
        return unexpected(video.place, error)


def random_clip(
    strip: UInt8[np.ndarray, "strip_frames size size 3"],
    draws: Float64[np.ndarray, " draws"],
    *,
    frames: int,
    crop: int,
    flip: bool,
    short_sides: tuple[int, ...] = (),
) -> UInt8[np.ndarray, "frames crop crop 3"]:
    """One clip of a strip: the same crop for all of its frames.

    Args:
        strip: consecutive frames at the contract's rate, wider and longer than a clip. Where it ends on copies of its
            last frame, the clip ends on the first of them at the latest: they stand for what the video lacks.
        draws: uniform numbers in [0, 1) that choose first frame, top, left, mirroring, and the short side if there is
            a choice.
        frames: frames of the clip.
        crop: side of the clip in pixels.
        flip: mirror left and right for half of the draws.
        short_sides: what the frame's short side is before the crop, one of them drawn; none: the strip's own.
    """
    first = int(np.floor(draws[0] * (max(_last_change(strip), frames) - frames + 1)))
    sides = short_sides or (strip.shape[1],)
    side = _drawn(sides, draws)
    clip = [_window(frame, draws, crop, side) for frame in strip[first : first + frames]]
    return _mirrored(np.stack(clip), draws) if flip else np.stack(clip)


def is_mirrored(draws: Float64[np.ndarray, " draws"]) -> bool:
    """Whether these draws mirror a clip that may be."""
    return bool(draws[3] < 0.5)


def mirrored_classes(classes: Sequence[str]) -> tuple[int | None, ...]:
    """The class that a mirrored video of each class belongs to, by words such as left and clockwise in its name.

    Words may be joined as in `turn_left` and `TurnLeft`. `None` where there is no such class: a video of it must not be
    mirrored.
    """
    names = [_AGAINST_THE_CLOCK.sub("counterclockwise", _HUMP.sub(" ", name).casefold()) for name in classes]
    indices = {name: index for index, name in enumerate(names)}
    return tuple(indices.get(_SIDE.sub(lambda word: _SIDES[word[0]], name)) for name in names)


def _seen_window(
    frame: UInt8[np.ndarray, "height width 3"],
    pixel_aspect: float = 1.0,
    *,
    draws: Float64[np.ndarray, " draws"],
    contract: InputContract,
    short_sides: tuple[int, ...],
) -> UInt8[np.ndarray, "crop crop 3"]:
    """A random crop of the frame as the contract resizes it, but for its short side, of which there is a choice."""
    short_side = _drawn(short_sides, draws)
    if contract.interpolation == "area":
        return _window(frame, draws, contract.crop, short_side, pixel_aspect)
    size = resized(frame, contract.with_short_side(short_side), pixel_aspect)
    top, left = np.floor(draws[1:3] * (np.array(size) - contract.crop + 1)).astype(int).tolist()
    return bilinear_window(frame, size, top, left, contract.crop)


def _drawn(short_sides: tuple[int, ...], draws: Float64[np.ndarray, " draws"]) -> int:
    return short_sides[int(draws[DRAWS] * len(short_sides))] if len(short_sides) > 1 else short_sides[0]


def _window(
    frame: UInt8[np.ndarray, "height width 3"],
    draws: Float64[np.ndarray, " draws"],
    crop: int,
    short_side: int,
    pixel_aspect: float = 1.0,
) -> UInt8[np.ndarray, "crop crop 3"]:
    """The window that is a random crop after the short side is scaled, cut before: only what is kept is scaled."""
    height, width = frame.shape[:2]
    side = min(height, width * pixel_aspect) * crop / short_side
    tall, wide = max(1, min(round(side), height)), max(1, min(round(side / pixel_aspect), width))
    top, left = np.floor(draws[1:3] * (np.array([height - tall, width - wide]) + 1)).astype(int)
    return resize_square(frame[top : top + tall, left : left + wide], crop)


def _last_change(strip: UInt8[np.ndarray, "strip_frames size size 3"]) -> int:
    """How many frames there are up to the first of those that equal the last one and end the strip."""
    last = len(strip) - 1
    while last > 0 and np.array_equal(strip[last - 1], strip[-1]):
        last -= 1
    return last + 1


def _mirrored(
    clip: UInt8[np.ndarray, "frames crop crop 3"], draws: Float64[np.ndarray, " draws"]
) -> UInt8[np.ndarray, "frames crop crop 3"]:
    return clip[:, :, ::-1] if is_mirrored(draws) else clip
