"""What is inside a video file, and its frames in the order they are shown. Everything that knows PyAV is here.

PyAV does not turn frames by the file's display matrix, so this module does. Decoding starts at the first frame and
never seeks: every frame is the one that `ffmpeg` shows. A packet that cannot be decoded is skipped, like `ffmpeg` does.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import av
import numpy as np
from jaxtyping import Float64, Int64, UInt8

from stzoo.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Transformed = TypeVar("Transformed")

_OPTIONS = {"protocol_whitelist": "file"}  # a playlist must not make a prediction open the network
_NOT_VIDEO = frozenset({"tty", "hls", "concat", "dash"})


@dataclasses.dataclass(frozen=True, eq=False)
class VideoInfo:
    """What a video file holds, as found by reading all of its packets and decoding one frame."""

    path: Path
    width: int
    """Pixels, after the display matrix has turned the frame."""
    height: int
    rotation_degrees: int
    """Counterclockwise turn (0, 90, 180, 270) that shows a decoded frame upright."""
    mirrored: bool
    """Whether a decoded frame is flipped left to right before it is turned."""
    timestamps_seconds: Float64[np.ndarray, " frames"]
    """When each frame is shown, ascending."""
    counted: bool
    """The file's own timestamps cannot be trusted frame by frame (AVI): the n-th decoded frame is frame n."""
    truncated: bool
    """The file promises more frames or a longer time than it has packets for."""

    @property
    def frames(self) -> int:
        return len(self.timestamps_seconds)


def probe(path: Path | str) -> VideoInfo:
    """Reads a file's packets, without decoding them all.

    Raises:
        VideoError: no such file, a directory, an empty file, a text file, not a video, no video track, or no frame
            that can be decoded.
    """
    path = Path(path)
    with _opened(path) as (container, stream):
        decoder = _Decoder(container, stream)
        times: list[int | None] = []
        packets, end, timed, cut_off = 0, 0, container.format.name != "avi", False
        first: VideoFrame | None = None
        for packet in decoder.packets():
            if first is None:
                first = next(iter(decoder.decode(packet)), None)
            time = packet.dts if packet.pts is None else packet.pts
            if time is None and packet.size == 0:
                continue
            packets += 1
            cut_off |= packet.is_corrupt
            if packet.size and not packet.is_discard:
                timed &= packet.pts is not None
                times.append(time)
                end = max(end, (time or 0) + (packet.duration or 0))
        if first is None or not times:
            raise VideoError(f"{path} holds no frame that can be decoded; it may be cut off or damaged.")
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        known = sorted({time for time in times if time is not None})
        if stream.time_base is not None and len(known) == len(times):
            seconds = np.array([float(time * stream.time_base) for time in known])
            cut_off |= _promised_seconds(stream) > float(end * stream.time_base) + max(0.25, 2 / rate)
        else:
            timed, seconds = False, np.arange(len(times)) / rate
        rotation, mirrored = _orientation(first)
        upright = rotation % 180 == 0
        return VideoInfo(
            path=path,
            width=first.width if upright else first.height,
            height=first.height if upright else first.width,
            rotation_degrees=rotation,
            mirrored=mirrored,
            timestamps_seconds=seconds,
            counted=not timed,
            truncated=cut_off
            or decoder.broke_off
            or packets < _promised_packets(container, stream)
            or (container.format.name == "gif" and not _ends_with(path, b";")),
        )


def read_frames(
    info: VideoInfo,
    indices: Int64[np.ndarray, " wanted"],
    transform: Callable[[UInt8[np.ndarray, "height width 3"]], Transformed],
) -> dict[int, Transformed]:
    """Decodes from the start up to the last wanted frame and hands each wanted one, upright RGB, to `transform`.

    Only wanted frames are converted, one at a time, so memory holds one frame of the file's size.

    Returns:
        Index -> what `transform` made of the frame. A frame that could not be decoded is missing.
    """
    wanted = {int(index) for index in indices}
    found: dict[int, Transformed] = {}
    for index, frame in _decoded(info):
        if index in wanted:
            found[index] = transform(_upright(frame, info))
            if len(found) == len(wanted):
                break
    return found


def decodable(info: VideoInfo) -> VideoInfo:
    """The same video with only those frames that can really be decoded; reads the whole file."""
    seen = [index for index, _ in _decoded(info)]
    counted = info.counted or seen != sorted(set(seen))
    timestamps = info.timestamps_seconds[: len(seen)] if counted else info.timestamps_seconds[seen]
    truncated = info.truncated or len(timestamps) < info.frames
    return dataclasses.replace(info, counted=counted, truncated=truncated, timestamps_seconds=timestamps)


def _decoded(info: VideoInfo) -> Iterator[tuple[int, VideoFrame]]:
    """Every frame that can be decoded, with its index in `info.timestamps_seconds`."""
    index_at = {seconds: index for index, seconds in enumerate(info.timestamps_seconds.tolist())}
    with _opened(info.path) as (container, stream):
        for count, frame in enumerate(_Decoder(container, stream).frames()):
            if info.counted or frame.pts is None or stream.time_base is None:
                index: int | None = count
            else:
                index = index_at.get(float(frame.pts * stream.time_base))
            if index is not None and index < info.frames:
                yield index, frame


class _Decoder:
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
        for packet in self.packets():
            yield from self.decode(packet)
        yield from self.decode(None)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its picture track, closed afterwards."""
    _check_is_media(path)
    try:
        container = av.open(str(path.absolute()), mode="r", options=dict(_OPTIONS), metadata_errors="ignore")
    except PermissionError as error:
        raise VideoError(f"{path} may not be read; check its permissions.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{path} is not a video that can be read, or its beginning is damaged; play it to check."
        ) from error
    with container:
        if container.format.name in _NOT_VIDEO:
            raise VideoError(f"{path} is not a video but {container.format.long_name}; give a video file.")
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            kinds = " and ".join(sorted({s.type for s in container.streams}))
            raise VideoError(f"{path} has no video track{kinds and f', only {kinds}'}; give a file with pictures.")
        yield container, streams[0]


def _check_is_media(path: Path) -> None:
    try:
        if path.is_dir():
            raise VideoError(f"{path} is a directory; give a video file inside it.")
        if path.exists() and not path.is_file():
            raise VideoError(f"{path} is a pipe or device, which cannot be read twice; give a video file.")
        with path.open("rb") as file:
            head = file.read(4096)
    except FileNotFoundError as error:
        raise VideoError(f"{path} does not exist; check the path.") from error
    except (OSError, ValueError) as error:
        raise VideoError(
            f"{path} cannot be opened ({getattr(error, 'strerror', None) or error}); check the path."
        ) from error
    if not head:
        raise VideoError(f"{path} is empty (0 bytes); copy or download it again.")
    text = re.sub(rb"[\x80-\xff]{1,3}\Z", b"", head) if len(head) == 4096 else head
    try:
        is_text = "\0" not in text.decode("utf-8")
    except UnicodeDecodeError:
        is_text = False
    if is_text:
        raise VideoError(f"{path} is a text file, not a video; give a video file.")


def _orientation(frame: VideoFrame) -> tuple[int, bool]:
    """(counterclockwise degrees, mirrored first) out of the frame's display matrix, to the nearest quarter turn.

    The matrix sends a decoded point (x, y) to (a x + c y, b x + d y) on the screen, y pointing down.
    """
    matrices = [bytes(data) for data in _side_data(frame) if data.type.name == "DISPLAYMATRIX"]
    if not matrices:
        return 0, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(matrices[0], dtype=np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return round(math.degrees(math.atan2(-b, a)) / 90) % 4 * 90, mirrored


def _side_data(frame: VideoFrame) -> list[SideData]:
    """PyAV types the container as a mapping, but going through it gives the values."""
    return cast("list[SideData]", list(frame.side_data))


def _upright(frame: VideoFrame, info: VideoInfo) -> UInt8[np.ndarray, "height width 3"]:
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    if info.mirrored:
        pixels = pixels[:, ::-1]
    return np.rot90(pixels, info.rotation_degrees // 90)


def _ends_with(path: Path, end: bytes) -> bool:
    """Whether a file ends with these bytes; a GIF that is whole ends with a semicolon."""
    with path.open("rb") as file:
        file.seek(-len(end), os.SEEK_END)
        return file.read() == end


def _promised_packets(container: InputContainer, stream: VideoStream) -> int:
    """How many packets the file's own index lists; 0 where there is none."""
    return len(stream.index_entries) if "mp4" in container.format.name else stream.frames


def _promised_seconds(stream: VideoStream) -> float:
    """When the track ends according to the text that Matroska and WebM files carry; 0 where there is none."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3]) if match else 0.0
