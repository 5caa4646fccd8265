"""Opening a file with PyAV, and a decoder that survives what is damaged in it."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import av

from stzoo.errors import VideoError
from stzoo.video.held import HeldFile, Place
from stzoo.video.kinds import HEAD, is_text, unsupported_kind, why_no_video
from stzoo.video.mp4 import lacks_index

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_PIXELS = 2**26
"""The largest picture that is decoded, 8192 x 8192: twice the pixels of 8K. A header may claim any size."""

_OPTIONS = {
    "protocol_whitelist": "file",  # a playlist must not make a prediction open the network
    "max_pixels": str(MAX_PIXELS),
}
_WEB = re.compile(r"(https?|ftp|s3|gs|rtsp|rtmp):/+", re.ASCII)  # of the two slashes a path keeps one
_NOT_VIDEO = frozenset({"tty", "hls", "concat", "dash"})


@contextmanager
def opened(path: Place) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its picture track, closed afterwards; the other tracks are not read.

    Of several it is the one that FFmpeg takes for the best.

    Raises:
        VideoError: no such file, not a regular file, empty, a text file, not a video, no pictures or too large ones.
    """
    _check_is_media(path)
    try:
        container = _container(path)
    except PermissionError as error:
        raise VideoError(f"{path} may not be read; check its permissions.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        if lacks_index(path):
            raise VideoError(
                f"{path} is cut off: the index at the end of this MP4 is missing; copy or download it again."
            ) from error
        raise VideoError(
            f"{path} is not a video that can be read, or its beginning is damaged; play it to check."
        ) from error
    with container:
        if container.format.name in _NOT_VIDEO:
            raise VideoError(f"{path} is not a video but {container.format.long_name}; give a video file.")
        tracks = picture_tracks(container)
        if not tracks:
            kinds = " and ".join(sorted({s.type for s in container.streams}))
            raise VideoError(f"{path} has no video track{kinds and f', only {kinds}'}; give a file with pictures.")
        best = container.streams.best("video")
        stream = best if best in tracks else tracks[0]
        if stream.codec_context is None:
            raise VideoError(f"{path} holds pictures of a kind that cannot be decoded; convert it to H.264.")
        if stream.width * stream.height > MAX_PIXELS:
            raise VideoError(
                f"{path} claims pictures of {stream.width}x{stream.height} pixels, and at most {MAX_PIXELS} pixels are "
                "decoded; convert it to a smaller size."
            )
        stream.codec_context.options = {"max_pixels": _OPTIONS["max_pixels"]}
        for other in container.streams:
            if other.index != stream.index:
                other.discard = av.stream.Discard.all
        yield container, stream


def picture_tracks(container: InputContainer) -> list[VideoStream]:
    """The tracks that are films; a picture of the cover is none."""
    return [track for track in container.streams.video if not track.disposition & av.stream.Disposition.attached_pic]


@contextmanager
def opened_sound(path: Place) -> Iterator[tuple[InputContainer, AudioStream] | None]:
    """The container and its first sound track, closed afterwards; None where there is none that can be read."""
    try:
        container = _container(path)
    except (av.FFmpegError, OSError, ValueError):
        yield None
        return
    with container:
        stream = next(iter(container.streams.audio), None)
        for other in container.streams:
            if stream is not None and other.index != stream.index:
                other.discard = av.stream.Discard.all
        yield None if stream is None else (container, stream)


class Decoder:
    """One pass over a stream that survives damaged packets and a missing end."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.container, self.stream = container, stream
        self.broke_off = False

    def packets(self) -> Iterator[Packet[VideoStream]]:
        try:
            yield from self.container.demux(self.stream)
        except (av.FFmpegError, IndexError):  # IndexError: a damaged stream announces a track that was not there
            self.broke_off = True

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """The frames that a packet sets free; `None` or an empty packet sets free what the decoder still holds."""
        try:
            return self.stream.decode(packet)
        except (av.FFmpegError, EOFError):
            return []

    def frames(self) -> Iterator[VideoFrame]:
        """Every frame that can be decoded from here on, in the order they are shown."""
        for packet in self.packets():
            yield from self.decode(packet)
        yield from self.decode(None)


def _container(path: Place) -> InputContainer:
    if isinstance(path, HeldFile):
        options = _OPTIONS | {"protocol_whitelist": "none"}  # bytes must not open any file either
        return av.open(path.open(), mode="r", options=options, metadata_errors="ignore")
    return av.open(str(path.absolute()), mode="r", options=dict(_OPTIONS), metadata_errors="ignore")


def _check_is_media(path: Place) -> None:
    head = path.content[:HEAD] if isinstance(path, HeldFile) else _head(path)
    if not head:
        raise VideoError(f"{path} is empty (0 bytes); copy or download it again.")
    if (kind := unsupported_kind(head)) is not None:
        raise VideoError(f"{path} is {kind}.")
    if is_text(head):
        raise VideoError(f"{path} is a text file, not a video; give a video file.")


def _head(path: Path) -> bytes:
    """The first bytes of a file. Raises `VideoError` for what is none, or cannot be opened."""
    try:
        if path.is_dir():
            raise VideoError(why_no_video(path))
        if path.exists() and not path.is_file():
            raise VideoError(f"{path} is not a regular file but a pipe, socket or device; give a video file.")
        with path.open("rb") as file:
            return file.read(HEAD)
    except FileNotFoundError as error:
        if address := _WEB.match(str(path)):
            rest = str(path)[address.end() :]
            raise VideoError(
                f"{address[1]}://{rest} is an address on the web; download the video and give its file."
            ) from error
        pattern = ", and no file matches it as a pattern" if glob.has_magic(str(path)) else ""
        raise VideoError(f"{path} does not exist{pattern}; check the path.") from error
    except (OSError, ValueError) as error:
        raise VideoError(
            f"{path} cannot be opened ({getattr(error, 'strerror', None) or error}); check the path."
        ) from error
