"""Whether a file ends before it should, as far as its container can tell."""

from __future__ import annotations

import os
import re
import struct
from io import BufferedIOBase
from typing import TYPE_CHECKING

from stzoo.video.held import Place, size_of

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_TS_PACKETS = {188: 0, 192: 4, 204: 0}  # bytes of a transport packet and where its sync byte 0x47 stands
_MOST_BLOCKS = 10_000_000  # of a GIF: a file of nothing but empty ones must not keep anybody busy


def ends_early(path: Place, kind: str, stream: VideoStream, packets: int, end_seconds: float) -> bool:
    """Whether a file of a `kind` of container ends before its track does.

    Of the track, `packets` up to `end_seconds` could be read.


    MP4 and MOV say how many frames there are, Matroska and WebM until when they last. AVI says how long its lists of
    chunks are (the number in its header counts empty chunks, which only hold a frame for longer). A GIF has a trailer,
    after which anything may stand. MPEG-TS consists of packets of one size.
    """
    if kind == "avi":
        return _breaks_a_riff_chunk(path)
    if kind == "gif":
        return not _has_a_trailer(path)
    if kind == "mpegts":
        return _breaks_a_transport_packet(path)
    promised = len(stream.index_entries) if "mp4" in kind else stream.frames
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    return packets < promised or _promised_seconds(stream) > end_seconds + max(0.25, 2 / rate)


def _promised_seconds(stream: VideoStream) -> float:
    """When the track ends according to the text that Matroska and WebM files carry; 0 where there is none."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3]) if match else 0.0


def _breaks_a_riff_chunk(path: Place) -> bool:
    """Whether the list of frames in an AVI file's last RIFF list ends beyond the file, or was never closed."""
    with path.open("rb") as file:
        end = size_of(path)
        start = 0
        while start + 12 <= end:
            kind, size = struct.unpack("<4sI", _read(file, start, 8))
            if kind != b"RIFF":
                return False  # something else stands behind a whole file
            if size == 0 or start + 8 + size > end:
                return _breaks_frames(file, start + 12, end)
            start += 8 + size + size % 2
    return False


def _breaks_frames(file: BufferedIOBase, start: int, end: int) -> bool:
    """Whether the list of frames among the chunks between two bytes is missing, not closed, or ends too late."""
    while start + 12 <= end:
        kind, size, name = struct.unpack("<4sI4s", _read(file, start, 12))
        if (kind, name) == (b"LIST", b"movi"):
            return size == 0 or start + 8 + size > end
        start += 8 + size + size % 2
    return True


def _has_a_trailer(path: Place) -> bool:
    """Whether the blocks of a GIF end with a trailer, the byte 0x3B."""
    with path.open("rb") as file:
        header = file.read(13)
        if len(header) < 13:
            return False
        file.seek(_colours(header[10]), os.SEEK_CUR)
        for _ in range(_MOST_BLOCKS):
            introducer = file.read(1)
            if introducer == b"\x3b":
                return True
            if introducer == b"\x2c":
                descriptor = file.read(9)
                if len(descriptor) < 9:
                    return False
                file.seek(_colours(descriptor[8]) + 1, os.SEEK_CUR)
            elif introducer == b"\x21":
                file.seek(1, os.SEEK_CUR)
            else:
                return False
            while length := file.read(1):
                if length == b"\0":
                    break
                file.seek(length[0], os.SEEK_CUR)
            else:
                return False
    return False


def _colours(flags: int) -> int:
    """Bytes of the colour table that follows a GIF's header or a picture's descriptor, by their flags."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _breaks_a_transport_packet(path: Place) -> bool:
    """Whether an MPEG-TS file ends amid one of its packets of constant size: nothing else in it tells its end."""
    with path.open("rb") as file:
        head = file.read(4096)
    for size, sync in _TS_PACKETS.items():
        marks = head[sync::size]
        if marks and set(marks) == {0x47}:
            return size_of(path) % size > 0
    return False


def _read(file: BufferedIOBase, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)
