"""What PyAV does not say of an MP4 or MOV file: how far each frame is shown after its turn, and that it was cut off.

An index gives decoding times. A file with B-frames shows its frames in another order, and its `ctts` box (ISO/IEC
14496-12, section 8.6.1.3) holds the distance from decoding to showing for every sample in file order.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from io import BufferedIOBase
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from stzoo.video.held import Place, size_of

_MAX_BOXES = 10_000  # a file of nothing but empty boxes must not keep anybody busy


class _Box(NamedTuple):
    kind: bytes
    start: int
    """Byte at which the content begins."""
    end: int


def composition_offsets(path: Place, track: int, samples: int) -> Int64[np.ndarray, " samples"] | None:
    """Distance from decoding to showing of every sample of a track, in the track's time base.

    Args:
        path: the file.
        track: the track's number in the file.
        samples: how many samples the track has.

    Returns:
        Zeros for a track without the box; `None` for a file in fragments and for one whose boxes make no sense.
    """
    try:
        with path.open("rb") as file:
            top = list(_boxes(file, 0, size_of(path)))
            if any(box.kind == b"moof" for box in top):
                return None
            for movie in (box for box in top if box.kind == b"moov"):
                for candidate in _inside(file, [movie], b"trak"):
                    if _track_number(file, candidate) == track:
                        return _offsets(file, candidate, samples)
    except (OSError, ValueError, struct.error):
        pass
    return None


def lacks_index(path: Place) -> bool:
    """Whether a file begins as an MP4 or MOV file does and ends before its index, the `moov` box, is whole."""
    kinds = []
    with contextlib.suppress(OSError, ValueError, struct.error), path.open("rb") as file:
        for box in _boxes(file, 0, size_of(path)):
            kinds.append(box.kind)
    return kinds[:1] == [b"ftyp"] and not {b"moov", b"meta"} & {*kinds}  # a still picture has `meta` instead


def _offsets(file: BufferedIOBase, track: _Box, samples: int) -> Int64[np.ndarray, " samples"] | None:
    level = [track]
    for kind in (b"mdia", b"minf", b"stbl"):
        level = _inside(file, level, kind)
    tables = _inside(file, level, b"ctts")
    if len(level) != 1 or len(tables) > 1:
        return None
    if not tables:
        return np.zeros(samples, dtype=np.int64)
    file.seek(tables[0].start + 4)
    (runs,) = struct.unpack(">I", file.read(4))
    if runs > samples or 8 + 8 * runs > tables[0].end - tables[0].start:
        return None
    table = np.frombuffer(file.read(8 * runs), dtype=[("samples", ">u4"), ("offset", ">i4")])
    lengths = table["samples"].astype(np.int64)
    if lengths.sum() != samples:
        return None
    return np.repeat(table["offset"].astype(np.int64), lengths)


def _track_number(file: BufferedIOBase, track: _Box) -> int | None:
    for header in _inside(file, [track], b"tkhd"):
        file.seek(header.start)
        version = file.read(1)
        file.seek(header.start + (20 if version == b"\x01" else 12))
        return int(struct.unpack(">I", file.read(4))[0])
    return None


def _inside(file: BufferedIOBase, parents: list[_Box], kind: bytes) -> list[_Box]:
    return [box for parent in parents for box in _boxes(file, parent.start, parent.end) if box.kind == kind]


def _boxes(file: BufferedIOBase, start: int, end: int) -> Iterator[_Box]:
    """The boxes that lie one after another between two bytes of the file."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            header = 16
        stop = end if size == 0 else start + size
        if not start + header <= stop <= end:
            raise ValueError("a box ends outside its parent")
        yield _Box(kind, start + header, stop)
        start = stop
    raise ValueError("too many boxes")
