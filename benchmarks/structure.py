"""Where a video file says how it is built: sizes, tables, rates, times and dimensions, for `fuzz_video.py --structure`.

`fields_of` walks the boxes, elements, chunks, packets or pages of a good file. What it yields is a place and a name,
such as `stts.count`, so that every kind of field can be drawn as often as any other, however rare it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np


class Field(NamedTuple):
    """An unsigned number of a file."""

    name: str
    start: int
    size: int
    """Bytes."""
    order: Literal["big", "little"] = "big"


def mutated(content: bytes, fields: list[Field], rng: np.random.Generator) -> bytes:
    """The file with one to three fields changed; each kind of field is as likely as any other."""
    data = bytearray(content)
    names = sorted({field.name for field in fields})
    for _ in range(rng.integers(1, 4)):
        name = names[rng.integers(len(names))]
        ones = [field for field in fields if field.name == name]
        for field in ones if rng.random() < 0.25 else [ones[rng.integers(len(ones))]]:
            held = int.from_bytes(data[field.start : field.start + field.size], field.order)
            top = 1 << 8 * field.size
            new = (0, 1, top - 1, top // 2, top // 2 - 1, held + 1, held - 1, 2 * held, held // 2, held * 1000)
            value = int(rng.choice(len(new) + 2))
            chosen = new[value] if value < len(new) else int.from_bytes(rng.bytes(field.size), "big")
            data[field.start : field.start + field.size] = (chosen % top).to_bytes(field.size, field.order)
    return bytes(data)


def fields_of(kind: str, content: bytes) -> list[Field]:
    """All fields of a file by its suffix."""
    walk = {
        **dict.fromkeys(("mp4", "mov", "3gp"), boxes),
        **dict.fromkeys(("mkv", "webm"), elements),
        "avi": chunks,
        "ts": packets,
        "gif": blocks,
        "flv": tags,
        "ogv": pages,
        "wmv": objects,
        "mpg": codes,
    }
    return list(walk[kind](content, 0, len(content)))


_INSIDE = {b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl"}
_ENTRIES = {  # bytes before the entries and the sizes of an entry's parts: ISO/IEC 14496-12
    b"elst": (8, {"duration": 4, "time": 4, "rate": 4}),
    b"stts": (8, {"count": 4, "delta": 4}),
    b"ctts": (8, {"count": 4, "offset": 4}),
    b"stss": (8, {"number": 4}),
    b"stsc": (8, {"first": 4, "samples": 4, "description": 4}),
    b"stsz": (12, {"size": 4}),
    b"stco": (8, {"offset": 4}),
}
_PLACES = {  # (offset in the body, bytes, name), version 0
    b"mvhd": ((12, 4, "timescale"), (16, 4, "duration"), (20, 4, "rate")),
    b"mdhd": ((12, 4, "timescale"), (16, 4, "duration")),
    b"tkhd": (
        *((0, 4, "flags"), (12, 4, "track"), (20, 4, "duration"), (76, 4, "width"), (80, 4, "height")),
        *((40 + 4 * part, 4, "matrix") for part in range(9)),
    ),
    b"hdlr": ((8, 4, "handler"),),
    b"stsd": (
        (4, 4, "entries"),
        (8, 4, "size"),
        (12, 4, "codec"),
        (40, 2, "width"),
        (42, 2, "height"),
        (82, 2, "depth"),
    ),
}


def boxes(content: bytes, start: int, end: int) -> Iterator[Field]:
    """MP4 and QuickTime."""
    while start + 8 <= end:
        size, kind = int.from_bytes(content[start : start + 4], "big"), content[start + 4 : start + 8]
        body, stop = start + 8, min(end, start + size)
        name = kind.decode("latin1")
        yield Field("box.size", start, 4)
        yield Field(f"{name}.box", start, 4)
        yield Field(f"{name}.type", start + 4, 4)
        if kind in _INSIDE:
            yield from boxes(content, body, stop)
        for offset, length, part in _PLACES.get(kind, ()):
            if body + offset + length <= stop:
                yield Field(f"{name}.{part}", body + offset, length)
        if kind in _ENTRIES:
            before, parts = _ENTRIES[kind]
            yield from (Field(f"{name}.head", body + place, 4) for place in range(0, before, 4))
            place = body + before
            while place + sum(parts.values()) <= stop:
                for part, length in parts.items():
                    yield Field(f"{name}.{part}", place, length)
                    place += length
        if size < 8:
            return
        start = stop


_MASTERS = {
    0x18538067,
    0x1549A966,
    0x1654AE6B,
    0xAE,
    0xE0,
    0x1F43B675,
    0xA0,
    0x1C53BB6B,
    0xBB,
    0xB7,
    0x114D9B74,
    0x4DBB,
}


def elements(content: bytes, start: int, end: int) -> Iterator[Field]:
    """Matroska and WebM: the identifier, the size and the value of each element."""
    while start < end:
        width = 9 - content[start].bit_length()
        identifier = int.from_bytes(content[start : start + width], "big")
        place = start + width
        if width > 4 or place >= end:
            return
        length = 9 - content[place].bit_length()
        size = int.from_bytes(content[place : place + length], "big") - (1 << 7 * length)
        body = place + length
        stop = min(end, body + size) if size < (1 << 7 * length) - 1 else end
        yield Field(f"{identifier:x}.identifier", start, width)
        yield Field(f"{identifier:x}.size", place, length)
        if identifier in _MASTERS:
            yield from elements(content, body, stop)
        elif stop > body:
            yield Field(f"{identifier:x}.value", body, min(stop - body, 8))
        start = stop


def chunks(content: bytes, start: int, end: int) -> Iterator[Field]:
    """AVI: the words of its headers and of its index."""
    while start + 8 <= end:
        kind, size = content[start : start + 4], int.from_bytes(content[start + 4 : start + 8], "little")
        name = kind.decode("latin1")
        yield Field(f"{name}.kind", start, 4)
        yield Field(f"{name}.size", start + 4, 4, "little")
        body, stop = start + 8, min(end, start + 8 + size)
        if kind in (b"RIFF", b"LIST"):
            yield from chunks(content, body + 4, stop)
        elif kind in (b"avih", b"strh", b"strf"):
            yield from (Field(f"{name}.{place - body}", place, 4, "little") for place in range(body, stop - 3, 4))
        elif kind == b"idx1":
            parts = ("kind", "flags", "offset", "bytes")
            yield from (Field(f"idx1.{parts[i % 4]}", body + 4 * i, 4, "little") for i in range((stop - body) // 4))
        start = stop + size % 2


def packets(content: bytes, start: int, end: int) -> Iterator[Field]:
    """MPEG-TS: packet heads, sections and the times of elementary streams."""
    for head in range(start, end - 187, 188):
        yield Field("packet.sync", head, 1)
        yield Field("packet.pid", head + 1, 2)
        yield Field("packet.control", head + 3, 1)
        body = head + 4
        if content[head + 3] & 0x20:
            yield Field("adaptation.length", body, 1)
            yield Field("adaptation.flags", body + 1, 1)
            yield Field("adaptation.clock", body + 2, 4)
            body += 1 + content[body]
        if not content[head + 1] & 0x40 or body + 14 > head + 188:
            continue
        if content[body : body + 3] == b"\0\0\1":
            yield Field("stream.code", body + 3, 1)
            yield Field("stream.length", body + 4, 2)
            yield Field("stream.flags", body + 7, 1)
            yield Field("stream.time", body + 9, 5)
        else:
            yield from (Field(f"section.{place - body}", place, 1) for place in range(body, body + 14))


def blocks(content: bytes, start: int, end: int) -> Iterator[Field]:
    """GIF: its screen, the delays, and the places and sizes of its pictures."""
    yield from (Field(f"screen.{place}", place, 2, "little") for place in (6, 8))
    yield Field("screen.flags", 10, 1)
    place = start + 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    while place + 10 < end and content[place] in (0x21, 0x2C):
        yield Field("block.kind", place, 1)
        if content[place] == 0x21:
            if content[place + 1] == 0xF9:
                yield Field("control.flags", place + 3, 1)
                yield Field("control.delay", place + 4, 2, "little")
            place += 2
        else:
            yield from (Field(f"picture.{part}", place + 1 + 2 * part, 2, "little") for part in range(4))
            yield Field("picture.flags", place + 9, 1)
            place += 10 + (3 << (content[place + 9] & 7) + 1 if content[place + 9] & 0x80 else 0)
            yield Field("picture.bits", place, 1)
            place += 1
        while place < end and content[place]:
            yield Field("block.size", place, 1)
            place += 1 + content[place]
        place += 1


def tags(content: bytes, start: int, end: int) -> Iterator[Field]:
    """FLV."""
    yield Field("file.flags", 4, 1)
    yield Field("file.offset", 5, 4)
    place = start + 13
    while place + 16 <= end:
        size = int.from_bytes(content[place + 1 : place + 4], "big")
        parts = {"kind": 1, "size": 3, "time": 4, "stream": 3, "codec": 1, "packet": 1}
        for part, length in parts.items():
            yield Field(f"tag.{part}", place, length)
            place += length
        place += size - 2
        yield Field("tag.back", place, 4)
        place += 4


def pages(content: bytes, start: int, end: int) -> Iterator[Field]:
    """Ogg."""
    place = start
    while place + 27 <= end and content[place : place + 4] == b"OggS":
        parts = {"mark": 4, "version": 1, "flags": 1, "granule": 8, "serial": 4, "number": 4, "sum": 4, "segments": 1}
        for part, length in parts.items():
            yield Field(f"page.{part}", place, length, "little")
            place += length
        count = content[place - 1]
        yield from (Field("page.lacing", place + segment, 1) for segment in range(count))
        body = place + count
        yield Field("page.body", body, 8)
        place = body + sum(content[place:body])


def objects(content: bytes, start: int, end: int) -> Iterator[Field]:
    """ASF (WMV): objects of the header, word by word, and the heads of packets behind it."""
    place = start
    while place + 24 <= end:
        size = int.from_bytes(content[place + 16 : place + 24], "little")
        yield Field("object.kind", place, 4)
        yield Field("object.size", place + 16, 8, "little")
        header = content[place : place + 4] == b"\x30\x26\xb2\x75"
        if header:
            yield Field("header.objects", place + 24, 4, "little")
            yield from objects(content, place + 30, min(end, place + size))
        else:
            limit = min(place + size, end - 4, place + 160)
            yield from (Field(f"object.{at - place}", at, 4, "little") for at in range(place + 24, limit, 4))
        if size < 24:
            return
        place += size


def codes(content: bytes, start: int, end: int) -> Iterator[Field]:
    """MPEG-PS: what follows each start code."""
    place = content.find(b"\0\0\1", start)
    while 0 <= place < end - 16:
        code = content[place + 3]
        yield Field("start.code", place + 3, 1)
        if code == 0xBA:
            yield Field("pack.clock", place + 4, 6)
            yield Field("pack.rate", place + 10, 3)
        elif code >= 0xBB:
            yield Field("packet.length", place + 4, 2)
            yield Field("packet.flags", place + 6, 2)
            yield Field("packet.time", place + 9, 5)
        elif code == 0xB3:
            yield Field("sequence.size", place + 4, 3)
            yield Field("sequence.rate", place + 7, 1)
        else:
            yield Field("picture.head", place + 4, 4)
        place = content.find(b"\0\0\1", place + 3)
