"""What a caller in Python may give as a video: the door between that and `Video`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeGuard

import numpy as np

from stzoo.errors import UsageError
from stzoo.video.held import ArrayFrames, BinaryFile, DecodedFrames, Decoder, HeldFile, HeldFrames, Tensor
from stzoo.video.video import Video

MOST_BYTES = 4 * 2**30
"""The largest video file that is held in memory: one on disk is read from there, whatever its size."""

Channels = Literal["rgb", "bgr"]

Fps = float | None
"""Frames a second of frames; None where the video says its own, or nobody asks."""

Frames = np.ndarray[Any, np.dtype[Any]] | Tensor
"""Frames of one video, or one frame."""

VideoLike = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile | Frames | Sequence[Frames] | Decoder
"""One video: a path (a file, a folder of frames, or either in a zip file); the bytes of a file; a binary file that is
open, from where it stands to its end; frames as uint8 [frames, height, width, 3] or [frames, 3, height, width], in an
array or a tensor of torch, or a list of single ones; or an object that decodes, as torchcodec's `VideoDecoder`."""

VideosLike = VideoLike | Sequence[VideoLike]
"""One video, or a list of several of any kind."""


def are_several(given: VideosLike) -> TypeGuard[Sequence[VideoLike]]:
    """Whether a sequence (a list, a tuple, a column of `datasets`) is one of videos, and not of one video's frames.

    Raises `UsageError` for an empty one.
    """
    if not isinstance(given, Sequence) or isinstance(given, str | bytes | bytearray | memoryview):
        return False
    if len(given) == 0:
        raise UsageError("an empty list was given; give one or more videos, or the frames of one")
    return not all(isinstance(item, np.ndarray | Tensor) and item.ndim == 3 for item in given)


def given_videos(given: VideosLike, fps: Fps = None, channels: Channels = "rgb") -> Iterator[Video]:
    """The videos that were given, or the one; each is made when its turn comes. Errors are those of `given_video`."""
    if not are_several(given):
        one: Any = given
        yield given_video(one, fps, channels)
        return
    for number, each in enumerate(given, 1):
        yield given_video(each, fps, channels, number)


def given_video(given: VideoLike, fps: Fps = None, channels: Channels = "rgb", number: int = 0) -> Video:
    """The video that was given.

    Args:
        given: a path or a video in memory.
        fps: frames a second of frames that do not say it.
        channels: the order of colours in frames; `bgr` is OpenCV's.
        number: which one of a list it is, counted from 1, for sentences.

    Raises:
        UsageError: it is no video, or a number is out of range; the sentence says why.
        VideoError: a decoder that fails, or holds nothing.
    """
    order: object = channels
    if order not in ("rgb", "bgr"):
        raise UsageError(f'channels are "rgb" or "bgr", and {order!r:.40} was given')
    rate: Any = fps
    held = _held(given, f" {number}" if number else "", bgr=order == "bgr")
    if held is None:
        place: Any = given
        return Video(place, rate)
    return Video(held.name, rate, held)


def _held(given: VideoLike, number: str, *, bgr: bool) -> HeldFile | HeldFrames | None:
    """What is in memory; None for anything else."""
    if isinstance(given, np.ndarray | Tensor) or (isinstance(given, list | tuple) and given):
        frames: Any = given
        if isinstance(given, list | tuple) and not all(isinstance(item, np.ndarray | Tensor) for item in given):
            kinds = ", ".join(sorted({type(item).__name__ for item in given}))
            raise UsageError(f"a list in a list holds the frames of one video, and this one holds {kinds:.80}")
        return ArrayFrames(f"<frames{number}>", frames, bgr=bgr)
    if bgr:
        raise UsageError("channels are about frames in memory; leave them out, where a file or decoder says its own")
    if isinstance(given, bytes | bytearray | memoryview):
        return HeldFile(f"<bytes{number}>", bounded(bytes(given), f"<bytes{number}>"))
    if isinstance(given, Decoder):
        return DecodedFrames(f"<decoder{number}>", given)
    if isinstance(given, BinaryFile):
        return read_file(given, f"<file{number}>")
    return None


def read_file(file: Any, name: str) -> HeldFile:
    """A binary file from where it stands to its end.

    Raises `UsageError` for one that is closed, gives text or cannot be read, and beyond `MOST_BYTES`.
    """
    own = getattr(file, "name", None)
    name = own if isinstance(own, str) and own else name
    try:
        content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise UsageError(f"{name} cannot be read ({error}); open it with mode 'rb'.") from error
    if not isinstance(content, bytes):
        raise UsageError(f"{name} gives {type(content).__name__} and not bytes; open it with mode 'rb'.")
    if not content and file.seekable() and file.tell() > 0:
        raise UsageError(f"{name} stands at its end, behind byte {file.tell()}; call seek(0) first.")
    return HeldFile(name, bounded(content, name))


def bounded(content: bytes, name: str) -> bytes:
    """The bytes of a file. Raises `UsageError` beyond `MOST_BYTES`."""
    if len(content) > MOST_BYTES:
        raise UsageError(f"{name} holds more than {MOST_BYTES // 2**30} GiB; write it to disk and give its path.")
    return content
