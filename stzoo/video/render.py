"""A video written anew with labels on its pictures: upright, at its own times, with its sound if that can be copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from stzoo.errors import UsageError, VideoError
from stzoo.files import replacing
from stzoo.video.container import opened_sound
from stzoo.video.decode import VideoInfo
from stzoo.video.held import HeldFrames
from stzoo.video.overlay import Lines, Overlay
from stzoo.video.source import Source, open_source
from stzoo.video.track import H264, Track, can_encode
from stzoo.video.video import Video

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
_TICKS = 60_000  # a second: MPEG-4 takes at most 65,535
_MPEG4_BITS_A_PIXEL = 0.25


def render_format(path: Path | str) -> str:
    """What FFmpeg calls the container that the suffix of a path says. Raises `UsageError` for another suffix."""
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise UsageError(f'{path} has the suffix "{suffix}"; videos are written as {", ".join(_FORMATS)}')
    return _FORMATS[suffix]


def render(
    video: Video,
    output: Path | str,
    lines_at: Callable[[float], Lines],
    *,
    advance: Callable[[int, int], None] = lambda done, frames: None,
) -> tuple[str, ...]:
    """Writes a video with labels on it, H.264 where the encoder is there, else MPEG-4; one frame in memory at a time.

    Rotation is applied, pixels keep their aspect, frames keep their times, and a picture of odd size gets one more row
    or column. The first sound track is copied as it is. Until the file is complete it has another name.

    Args:
        video: a folder of frames needs its `frame_rate`.
        output: a path that ends in .mp4, .mov or .mkv; a file that is there is replaced.
        lines_at: seconds from the first frame -> the labels to show, with their scores.
        advance: is told after every frame how many are done, and how many there are.

    Returns:
        A sentence about a sound track that the container does not take.

    Raises:
        VideoError: nothing can be decoded, or the result cannot be written; the sentence says why.
        UsageError: another suffix, or a folder of frames without `frame_rate`.
    """
    output, container = Path(output), render_format(output)
    source = open_source(video)
    try:
        with replacing(output) as temporary, ExitStack() as stack:
            target = stack.enter_context(av.open(str(temporary), "w", format=container))
            track = _add_pictures(target, source.info)
            sound = _Sound(stack.enter_context(_sound_of(video)), target, source.info)
            for seconds, end_seconds, pixels in _labelled(source, lines_at, advance):
                track.add(pixels, seconds, end_seconds)
                sound.copy(seconds)
            if not track.pictures:
                raise VideoError(
                    f"{source.info.path} decodes differently each time it is read; copy or convert it again."
                )
            track.finish()
            sound.copy(source.info.duration_seconds)
    except av.FFmpegError as error:
        raise VideoError(f"{output} cannot be written ({error.strerror}); check the disk, or try .mkv.") from error
    if sound.refused is None:
        return ()
    return (f"{output} has no sound: {sound.refused} cannot be copied into {output.suffix}; .mkv takes more kinds.",)


def _sound_of(video: Video) -> AbstractContextManager[tuple[InputContainer, AudioStream] | None]:
    """The sound of a video, where it has any; frames in memory have none."""
    if isinstance(video.held, HeldFrames):
        return nullcontext()
    return opened_sound(video.held or video.place)


def _add_pictures(target: OutputContainer, info: VideoInfo) -> Track:
    """A track for the frames of a video."""
    size = info.width + info.width % 2, info.height + info.height % 2
    if can_encode(H264):
        return Track(target, info, size, ticks=_TICKS, options={"crf": "20", "preset": "veryfast"})
    track = Track(target, info, size, ticks=_TICKS, codec="mpeg4")
    track.stream.bit_rate = round(_MPEG4_BITS_A_PIXEL * size[0] * size[1] * track.rate)
    return track


def _labelled(
    source: Source, lines_at: Callable[[float], Lines], advance: Callable[[int, int], None]
) -> Iterator[tuple[float, float, UInt8[np.ndarray, "even_height even_width 3"]]]:
    """From and to when each frame is shown, and the frame with its labels."""
    info = source.info
    times = info.timestamps_seconds - info.timestamps_seconds[0]
    ends = np.append(times[1:], info.duration_seconds)
    overlay = Overlay(info.width + info.width % 2, info.height + info.height % 2)
    for index, pixels in source.frames(np.arange(info.frames)):
        seconds = float(times[index])
        yield seconds, float(ends[index]), overlay.put(_fitted(pixels, info), lines_at(seconds))
        advance(index + 1, info.frames)


def _fitted(
    pixels: UInt8[np.ndarray, "height width 3"], info: VideoInfo
) -> UInt8[np.ndarray, "even_height even_width 3"]:
    """A frame in the size of the first, its last row and column doubled where that is odd."""
    if pixels.shape[:2] != (info.height, info.width):
        pixels = np.asarray(cv2.resize(np.ascontiguousarray(pixels), (info.width, info.height)), dtype=np.uint8)
    more = ((0, info.height % 2), (0, info.width % 2), (0, 0))
    return np.pad(pixels, more, mode="edge") if info.height % 2 or info.width % 2 else np.array(pixels)


class _Sound:
    """A sound track that is copied packet by packet beside the pictures.

    Args:
        track: what is open, if there is one.
        target: what it is copied into, before anything has been written.
        info: the video; its first frame is time 0.
    """

    def __init__(
        self, track: tuple[InputContainer, AudioStream] | None, target: OutputContainer, info: VideoInfo
    ) -> None:
        self.refused: str | None = None
        """The kind of sound that `target` does not take."""
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None
        self._target, self._first_seconds = target, float(info.timestamps_seconds[0])
        if track is None:
            return
        container, stream = track
        kind = getattr(stream.codec_context, "name", "its kind")
        if kind not in target.supported_codecs:
            self.refused = kind
            return
        self._copied = target.add_stream_from_template(stream)
        self._packets = self._from_the_first_frame(container.demux(stream))

    def copy(self, until_seconds: float) -> None:
        """Copies what is heard until a time, counted from the first frame."""
        if self._next is None:
            self._next = next(self._packets, None)
        while self._next is not None and self._heard(self._next) <= until_seconds:
            self._target.mux(self._next)
            self._next = next(self._packets, None)

    def _heard(self, packet: Packet[AudioStream]) -> float:
        assert packet.pts is not None
        assert packet.time_base is not None
        return float(packet.pts * packet.time_base)

    def _from_the_first_frame(self, packets: Iterator[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
        """The packets from the first frame on, their times counted from it; until the track's end or damage."""
        try:
            for packet in packets:
                if packet.pts is None or packet.dts is None or packet.time_base is None:
                    continue
                shift = round(self._first_seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                if packet.pts >= 0 and packet.dts >= 0:
                    packet.stream = self._copied
                    yield packet
        except (av.FFmpegError, IndexError):
            return
