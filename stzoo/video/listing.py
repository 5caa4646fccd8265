"""Which frames a video holds and when they are shown, without decoding them.

An MP4, MOV or AVI file ends or begins with an index of all of its frames, and reading it takes no longer for hours of
video than for seconds. Where there is no such index, or it does not agree with the packets, all packets are read.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stzoo.video.container import Decoder
from stzoo.video.mp4 import composition_offsets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_CAN_SEEK = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts"})
_MOST_REORDERED = 16  # no codec shows more frames before the keyframe that they follow in the file
_KEYFRAME, _DISCARD = 1, 2  # flags of an index entry
_TS_PACKETS = {188: 0, 192: 4, 204: 0}  # bytes of a transport packet and where its sync byte 0x47 stands


class Listing(NamedTuple):
    """What is known about a stream's frames; times are in its time base."""

    times: list[int]
    """When each frame is shown, ascending; empty where the file does not say."""
    keyframes: list[int]
    """Those of the times at which decoding can begin; empty where only the file's start will do."""
    packets: int
    """How many packets hold a frame."""
    timed: bool
    """Whether a decoded frame carries its own time out of `times`."""
    truncated: bool
    """The file promises more frames or a longer time than it has packets for."""


def listing(path: Path, decoder: Decoder) -> tuple[Listing, VideoFrame | None]:
    """What a file says about its frames, and the first one of them that can be decoded."""
    container, stream = decoder.container, decoder.stream
    tally, first = _Tally(), None
    packets = decoder.packets()
    for packet in packets:
        tally.add(packet)
        first = next(iter(decoder.decode(packet)), None)
        if first is not None:
            break
    first = first or next(iter(decoder.decode(None)), None)
    if first is None:
        return Listing([], [], 0, False, True), None
    listed = _indexed(path, container, stream, tally)
    if listed is None:
        for packet in packets:
            tally.add(packet)
        cut_off = decoder.broke_off or _ends_early(path, container, stream, tally)
        listed = tally.listing(container, stream, cut_off)
    return _from_first(listed, first, tally.keys[0]), first


class _Tally:
    """What the packets that were read say, one after another."""

    def __init__(self) -> None:
        self.times: list[int | None] = []
        self.keys: list[bool] = []
        self.packets, self.end = 0, 0
        self.timed, self.corrupt = True, False
        self.restarted, self._decoded_at = False, float("-inf")
        """Times start over where files were written one behind the other; they do not tell frames apart then."""

    def add(self, packet: Packet[VideoStream]) -> None:
        time = packet.dts if packet.pts is None else packet.pts
        if time is None and packet.size == 0:
            return
        self.packets += 1
        self.corrupt |= packet.is_corrupt
        if packet.size and not packet.is_discard:
            self.timed &= packet.pts is not None
            if packet.dts is not None:
                self.restarted |= packet.dts < self._decoded_at
                self._decoded_at = packet.dts
            self.times.append(time)
            self.keys.append(packet.is_keyframe)
            self.end = max(self.end, (time or 0) + (packet.duration or 0))

    def listing(self, container: InputContainer, stream: VideoStream, cut_off: bool) -> Listing:
        known = [time for time in self.times if time is not None]
        if stream.time_base is None or self.restarted or len(known) < len(self.times):
            return Listing([], [], len(self.times), False, cut_off)
        timed = self.timed and (container.format.name != "avi" or _in_order(stream, known))
        sound = timed and not cut_off and container.format.name in _CAN_SEEK
        keyframes = {time for time, key in zip(known, self.keys, strict=True) if key and sound}
        return Listing(sorted(set(known)), sorted(keyframes), len(known), timed, cut_off)


def _indexed(path: Path, container: InputContainer, stream: VideoStream, tally: _Tally) -> Listing | None:
    """The listing out of the file's own index; `None` where it has none that is complete and agrees with `tally`."""
    entries = stream.index_entries
    if tally.corrupt or not tally.timed or stream.time_base is None or not len(entries) == stream.frames > 0:
        return None
    rows = np.array([(entry.timestamp, entry.pos, entry.size, entry.flags) for entry in entries], dtype=np.int64)
    times, positions, sizes, flags = rows.T
    if (positions + sizes).max() > path.stat().st_size or (flags & _DISCARD).any() or (sizes <= 0).any():
        return None
    if container.format.name == "avi":
        if not _in_order(stream, times.tolist()):
            return None
    else:
        offsets = composition_offsets(path, stream.id, len(times)) if "mp4" in container.format.name else None
        if offsets is None:
            return None
        times = times + offsets
    times = times + ((tally.times[0] or 0) - times[0])
    shown = np.unique(times)
    if len(shown) < len(times) or tally.times != times[: len(tally.times)].tolist():
        return None
    return Listing(shown.tolist(), np.sort(times[(flags & _KEYFRAME) > 0]).tolist(), len(times), True, False)


def _in_order(stream: VideoStream, times: list[int]) -> bool:
    """Whether frames are shown in the order they stand in the file: AVI has no times of showing to tell otherwise."""
    return not stream.codec_context.has_b_frames and all(before < after for before, after in pairwise(times))


def _from_first(listed: Listing, first: VideoFrame, starts_with_keyframe: bool) -> Listing:
    """Without the frames before the first that can be decoded: a file may begin amid the frames of a keyframe it lacks.

    Nothing is missing then that the file could have given; if it does begin with a keyframe, it is damaged.
    """
    if not listed.timed or first.pts not in listed.times:
        return listed
    before = listed.times.index(first.pts)
    damaged = starts_with_keyframe and before > _MOST_REORDERED
    keyframes = [time for time in listed.keyframes if time >= first.pts]
    return listed._replace(times=listed.times[before:], keyframes=keyframes, truncated=listed.truncated or damaged)


def _ends_early(path: Path, container: InputContainer, stream: VideoStream, tally: _Tally) -> bool:
    kind = container.format.name
    promised = len(stream.index_entries) if "mp4" in kind else stream.frames
    early = tally.corrupt or tally.packets < promised
    if stream.time_base is not None:
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        early |= _promised_seconds(stream) > float(tally.end * stream.time_base) + max(0.25, 2 / rate)
    if kind == "gif":
        early |= not _ends_with(path, b";")
    if kind == "mpegts":
        early |= _breaks_a_transport_packet(path)
    return early


def _promised_seconds(stream: VideoStream) -> float:
    """When the track ends according to the text that Matroska and WebM files carry; 0 where there is none."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3]) if match else 0.0


def _ends_with(path: Path, end: bytes) -> bool:
    """Whether a file ends with these bytes; a GIF that is whole ends with a semicolon."""
    with path.open("rb") as file:
        file.seek(-len(end), os.SEEK_END)
        return file.read() == end


def _breaks_a_transport_packet(path: Path) -> bool:
    """Whether an MPEG-TS file ends amid one of its packets of constant size: nothing else in it tells its end."""
    with path.open("rb") as file:
        head = file.read(4096)
    for size, sync in _TS_PACKETS.items():
        marks = head[sync::size]
        if marks and set(marks) == {0x47}:
            return path.stat().st_size % size > 0
    return False
