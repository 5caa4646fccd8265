"""A camera, an address or a pipe: frames as they come, and a new connection where one breaks off."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from stzoo.errors import VideoError
from stzoo.video.container import MAX_PIXELS, Decoder, picture_tracks
from stzoo.video.held import BinaryFile
from stzoo.video.orientation import orientation, upright

_ADDRESS = re.compile(r"(rtsps?|rtmps?|https?|udp|rtp|srt)://", re.IGNORECASE)
_DEVICE = re.compile(r"/dev/video\d+")
# No file is among them: nobody vouches for what a server sends.
_PROTOCOLS = "rtsp,rtsps,rtmp,rtmps,rtp,srt,udp,tcp,tls,http,https,httpproxy,crypto"
_SECONDS_TO_ANSWER = 10.0
_LONGEST_WAIT_SECONDS, _MOST_TRIES = 30, 10
_JUMP_SECONDS = 1.0  # of a clock, that is no mere disorder of frames


class LiveFrame(NamedTuple):
    """A frame, upright, and when it was shown, in seconds from the first one."""

    seconds: float
    pixels: UInt8[np.ndarray, "height width 3"]
    pixel_aspect: float
    is_first: bool
    """Whether it is the first of a connection."""


def is_live(word: str) -> bool:
    """Whether a word is the address of a stream or the name of a camera, and no file."""
    return _ADDRESS.match(word) is not None or _DEVICE.fullmatch(word) is not None


def live_frames(
    place: str | BinaryFile,
    say: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[LiveFrame]:
    """Frames as they come, one in memory at a time.

    Where an address or a camera breaks off, `say` is told and it is opened again, after a second, two, four and so on;
    times go on as the clock says. A pipe, and an address whose length the server says, have an end.

    Raises:
        VideoError: it cannot be opened, or not again ten times in a row; or a pipe holds no video.
    """
    started, offset, failures = None, 0.0, 0
    while True:
        try:
            for frame in _connection(place):
                if frame.is_first:
                    offset = 0.0 if started is None else clock() - started
                    started = clock() if started is None else started
                failures = 0
                yield frame._replace(seconds=offset + frame.seconds)
            return
        except VideoError as error:
            failures += 1
            if started is None or not isinstance(place, str):
                raise
            if failures > _MOST_TRIES:
                raise VideoError(f"{error}; it was tried {_MOST_TRIES} times") from error
            wait = min(2 ** (failures - 1), _LONGEST_WAIT_SECONDS)
        say(f"{place} broke off; it is opened again in {wait} s.")
        sleep(wait)


def _connection(place: str | BinaryFile) -> Iterator[LiveFrame]:
    """The frames of one connection, in the order of time. Raises `VideoError` where it is none, or breaks off."""
    name = place if isinstance(place, str) else "standard input"
    reformatter = VideoReformatter()
    first, latest = None, -np.inf
    turn: tuple[int, bool] | None = None
    with _opened(place, name) as container:
        tracks = picture_tracks(container)
        if not tracks:
            raise VideoError(f"{name} has no video track; give a stream of pictures")
        decoder = Decoder(container, tracks[0])
        tracks[0].codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        aspect = float(tracks[0].sample_aspect_ratio or 1)
        for frame in decoder.frames():
            if frame.time is None:
                continue
            first = frame.time if first is None else first
            seconds = frame.time - first
            if seconds < latest - _JUMP_SECONDS:
                raise VideoError(f"the clock of {name} jumps back; it has begun anew")
            if seconds > latest:
                if turn is None:
                    turn = orientation(frame)
                    aspect = aspect if turn[0] % 180 == 0 else 1 / aspect
                pixels = np.asarray(reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), dtype=np.uint8)
                yield LiveFrame(seconds, upright(pixels, *turn), aspect, is_first=latest == -np.inf)
                latest = seconds
        if first is None:
            raise VideoError(f"{name} holds no frame that can be decoded; play it to check")
        if isinstance(place, str) and (decoder.broke_off or container.size <= 0):
            raise VideoError(f"{name} broke off")


def _opened(place: str | BinaryFile, name: str) -> av.container.InputContainer:
    options = {"max_pixels": str(MAX_PIXELS)}
    try:
        if not isinstance(place, str):
            return av.open(place, mode="r", options=options | {"protocol_whitelist": "none"}, metadata_errors="ignore")
        if _DEVICE.fullmatch(place):
            return av.open(place, mode="r", format="v4l2" if sys.platform == "linux" else None, options=options)
        options["protocol_whitelist"] = _PROTOCOLS
        return av.open(place, mode="r", options=options, timeout=_SECONDS_TO_ANSWER, metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        hint = "check the address" if isinstance(place, str) else "a file whose index is at its end is read by its name"
        raise VideoError(f"{name} cannot be opened as a video ({why}); {hint}") from error
