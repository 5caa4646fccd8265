"""A track of pictures in a file that is written, each of them at its own time."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from jaxtyping import UInt8

from stzoo.video.decode import VideoInfo

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

H264 = "libx264"
_MOST_ASPECT_TERM = 255


def can_encode(codec: str) -> bool:
    """Whether the installed FFmpeg has the encoder."""
    return codec in av.codecs_available


class Track:
    """Pictures that are encoded one after the other.

    Args:
        target: the file, before anything has been written.
        info: the video whose pictures they are: its rate and the shape of its pixels are kept.
        size: width and height in pixels, both even.
        ticks: of the track's clock, in a second; times are rounded to them.
        codec: of FFmpeg.
        options: of the codec.
    """

    def __init__(
        self,
        target: OutputContainer,
        info: VideoInfo,
        size: tuple[int, int],
        *,
        ticks: int,
        codec: str = H264,
        options: dict[str, str] | None = None,
    ) -> None:
        rate = max(Fraction(info.fps or 25).limit_denominator(1001), Fraction(1, 1001))
        self.stream = cast("VideoStream", target.add_stream(codec, rate=rate, options=options))
        self.stream.width, self.stream.height = size
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = Fraction(1, ticks)
        self.stream.sample_aspect_ratio = Fraction(info.pixel_aspect).limit_denominator(_MOST_ASPECT_TERM)
        self.rate = float(rate)
        self.pictures = 0
        self._target, self._ticks = target, ticks
        self._tick = -1
        self._lasting: dict[int, int] = {}

    def add(self, pixels: UInt8[np.ndarray, "height width 3"], start_seconds: float, end_seconds: float) -> None:
        """One more RGB picture, shown from and to a time that counts from the first one's; a tick at least."""
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
        self._tick = max(self._tick + 1, round(self._ticks * start_seconds))
        frame.pts, frame.time_base = self._tick, Fraction(1, self._ticks)
        frame.duration = max(1, round(self._ticks * end_seconds) - self._tick)
        self._lasting[self._tick] = frame.duration
        self.pictures += 1
        self._write(self.stream.encode(frame))

    def finish(self) -> None:
        """Writes what the encoder still holds."""
        self._write(self.stream.encode(None))

    def _write(self, packets: list[Packet[VideoStream]]) -> None:
        """With the lengths of the pictures, which an encoder forgets and a container needs of the last one."""
        for packet in packets:
            packet.duration = self._lasting.pop(packet.pts or 0, 0)
        self._target.mux(packets)
