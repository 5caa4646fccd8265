"""Which frames a video holds and when they are shown, without decoding them.

An MP4, MOV or AVI file ends or begins with an index of all of its frames, and reading it takes no longer for hours of
video than for seconds. Where there is no such index, or it does not agree with the packets, all packets are read.

Not every time that a file gives is believed. A frame is shown at most some frames after its turn to be decoded, so one
that claims to be shown much later has its time from its turn. Where times jump by more than ten seconds in a container
that may be cut and joined (MPEG-TS), what follows is moved up to what was before, as `ffmpeg` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int64

from stzoo.video.container import Decoder
from stzoo.video.endings import ends_early
from stzoo.video.held import Place, size_of
from stzoo.video.mp4 import composition_offsets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_CAN_SEEK = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts"})
_NEARBY = sorted(range(-16, 17), key=abs)
_MOST_REORDERED = 16  # no codec shows more frames before the keyframe that they follow in the file
_KEYFRAME, _DISCARD = 1, 2  # flags of an index entry
_MAY_JUMP = 0x0200  # a container's flag, AVFMT_TS_DISCONT
_LATEST_SECONDS = 10.0  # how long after its turn a frame may be shown
_JUMP_SECONDS = 10.0  # ffmpeg's dts_delta_threshold
_BACK_SECONDS = 0.1  # how far ffmpeg lets times go back before it takes that for a jump
_SEAM = 4  # frames before a jump, of which some packets were not whole when it came


class Listing(NamedTuple):
    """What is known about a stream's frames, in the order of their showing; times are in its time base."""

    times: list[int]
    """When each frame is shown, ascending; empty where the file does not say."""
    stamps: list[int]
    """The time that each decoded frame carries; empty where it carries none that tells it from the others."""
    keyframes: list[int]
    """Those of the times at which decoding can begin; empty where only the file's start will do."""
    packets: int
    """How many packets hold a frame."""
    truncated: bool
    """The file promises more frames or a longer time than it has packets for."""
    last_ticks: int | None = None
    """How long the last frame is shown, where the file says so."""


def listing(path: Place, decoder: Decoder) -> tuple[Listing, VideoFrame | None]:
    """What a file says about its frames, and the first one of them that can be decoded."""
    container, stream = decoder.container, decoder.stream
    tally, first = _Tally(container, stream), None
    packets = decoder.packets()
    for packet in packets:
        tally.add(packet)
        first = next(iter(decoder.decode(packet)), None)
        if first is not None:
            break
    first = first or next(iter(decoder.decode(None)), None)
    if first is None:
        return Listing([], [], [], 0, True), None
    indexed = _indexed(path, container, stream, tally)
    if indexed is not None:
        return _from_first(indexed, first, tally.keys[0]), first
    for packet in packets:
        tally.add(packet)
    early = decoder.broke_off or ends_early(path, container.format.name, stream, tally.packets, tally.end_seconds)
    return _from_first(tally.listing(early), first, tally.keys[0]), first


class _Tally:
    """What the packets that were read say, one after another."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._kind, self._stream = container.format.name, stream
        self._may_jump = bool(container.format.flags & _MAY_JUMP)
        self.stamps: list[int | None] = []
        self.keys: list[bool] = []
        self.packets = 0
        self.timed = True
        self.corrupt: list[int] = []
        """How many frames were read before each packet that is damaged or came after a gap."""
        self._turns: list[int | None] = []
        self._durations: list[int] = []
        self._end = 0

    @property
    def end_seconds(self) -> float:
        """When the frames that were read end."""
        return float(self._end * (self._stream.time_base or 0))

    def add(self, packet: Packet[VideoStream]) -> None:
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None and packet.size == 0:
            return
        self.packets += 1
        if packet.is_corrupt:
            self.corrupt.append(len(self.stamps))
        if packet.size and not packet.is_discard:
            self.timed &= packet.pts is not None
            self.stamps.append(stamp)
            self.keys.append(packet.is_keyframe)
            self._turns.append(packet.dts)
            self._durations.append(packet.duration or 0)
            self._end = max(self._end, (stamp or 0) + (packet.duration or 0))

    def listing(self, ends_early: bool) -> Listing:
        """What all packets say together, of a file that `ends_early` or does not."""
        time_base = float(self._stream.time_base or 0)
        stamps = np.array([stamp for stamp in self.stamps if stamp is not None], dtype=np.int64)
        turns = self._all_turns()
        if not time_base or len(stamps) < len(self.stamps):
            return Listing([], [], [], len(self.stamps), ends_early or bool(self.corrupt))
        times = stamps
        jumps: list[int] = []
        if len(turns) == len(stamps):
            if self._may_jump:
                shifts = self._shifts(turns, time_base)
                times, turns = times + shifts, turns + shifts
                jumps = np.flatnonzero(np.diff(shifts, prepend=0)).tolist()
            times = _believed(times, turns, time_base, self._durations)
        # Where files were joined the packets before the seam are marked, though nothing is missing.
        broken = [place for place in self.corrupt if not any(place < jump <= place + _SEAM for jump in jumps)]
        truncated = ends_early or bool(broken)
        if (np.diff(turns) < 0).any():  # times start over in a container that must not jump
            return Listing([], [], [], len(stamps), truncated)
        order = np.argsort(times, kind="stable")
        shown, keys = stamps[order], np.array(self.keys)[order]
        timed = self.timed and len(np.unique(stamps)) == len(stamps)
        if self._kind == "avi" and not _in_order(self._stream, stamps.tolist()):
            timed, times = False, turns  # which frame has which turn is not known, when the turns are is
        can_seek = timed and not truncated and self._kind in _CAN_SEEK and np.array_equal(times, stamps)
        last = self._durations[int(order[-1])]
        return Listing(
            times[order].tolist(),
            shown.tolist() if timed else [],
            shown[keys].tolist() if can_seek else [],
            len(stamps),
            truncated,
            last if last > 0 else None,
        )

    def _all_turns(self) -> Int64[np.ndarray, " frames"]:
        """Every frame's decoding time; fewer where some are not known. Matroska leaves the first ones out."""
        known = [turn for turn in self._turns if turn is not None]
        lacking = len(self._turns) - len(known)
        if known and self._turns[lacking] is not None:
            known = [known[0] - sum(self._durations[place:lacking]) for place in range(lacking)] + known
        return np.array(known, dtype=np.int64)

    def _shifts(self, turns: Int64[np.ndarray, " frames"], tick: float) -> Int64[np.ndarray, " frames"]:
        """What every time is moved by, so that decoding times go on where they jump."""
        shift, shifts = 0, [0]
        for (before, turn), duration in zip(pairwise(turns.tolist()), self._durations, strict=False):
            ahead = turn - before - duration
            if abs(ahead) * tick > _JUMP_SECONDS or (before - turn) * tick > _BACK_SECONDS:
                shift -= ahead
            shifts.append(shift)
        return np.array(shifts, dtype=np.int64)


def _believed(
    times: Int64[np.ndarray, " frames"], turns: Int64[np.ndarray, " frames"], tick: float, durations: Sequence[int]
) -> Int64[np.ndarray, " frames"]:
    """Times of showing, but for those that are far from the frame's turn to be decoded.

    Such a frame is shown as long after its turn as others are, at the nearest place where no other frame is.
    """
    delays = times - turns
    usual = int(np.median(delays))
    far = np.flatnonzero(np.abs(delays - usual) * tick > _LATEST_SECONDS)
    if not len(far):
        return times
    believed = times.copy()
    others = np.sort(np.delete(times, far))
    for place in far.tolist():
        step = max(1, durations[place])
        places = turns[place] + usual + step * np.array(_NEARBY)
        free = [time for time in places.tolist() if not _is_near(others, time, step / 2)]
        believed[place] = free[0] if free else places[0]
        others = np.insert(others, np.searchsorted(others, believed[place]), believed[place])
    return believed


def _is_near(times: Int64[np.ndarray, " times"], time: int, distance: float) -> bool:
    """Whether one of ascending times is closer than a distance."""
    low, high = np.searchsorted(times, [time - distance, time + distance], side="right")
    return bool(high > low)


def _indexed(path: Place, container: InputContainer, stream: VideoStream, tally: _Tally) -> Listing | None:
    """The listing out of the file's own index; `None` where it has none that is complete and agrees with `tally`."""
    entries, kind = stream.index_entries, container.format.name
    if tally.corrupt or not tally.timed or stream.time_base is None or not len(entries):
        return None
    if ends_early(path, kind, stream, len(entries), 0.0) if kind == "avi" else len(entries) != stream.frames:
        return None
    rows = np.array([(entry.timestamp, entry.pos, entry.size, entry.flags) for entry in entries], dtype=np.int64)
    times, positions, sizes, flags = rows.T
    if (positions + sizes).max() > size_of(path) or (flags & _DISCARD).any() or (sizes <= 0).any():
        return None
    if kind == "avi":
        if not _in_order(stream, times.tolist()):
            return None
    else:
        offsets = composition_offsets(path, stream.id, len(times)) if "mp4" in kind else None
        if offsets is None:
            return None
        if (np.abs(offsets - np.median(offsets)) * float(stream.time_base) > _LATEST_SECONDS).any():
            return None
        times = times + offsets
    times = times + ((tally.stamps[0] or 0) - times[0])
    shown = np.unique(times)
    if len(shown) < len(times) or tally.stamps != times[: len(tally.stamps)].tolist():
        return None
    last = (stream.start_time or 0) + (stream.duration or 0) - int(shown[-1])
    keyframes = np.sort(times[(flags & _KEYFRAME) > 0]).tolist()
    return Listing(shown.tolist(), shown.tolist(), keyframes, len(times), False, last if last > 0 else None)


def _in_order(stream: VideoStream, times: list[int]) -> bool:
    """Whether frames are shown in the order they stand in the file: AVI has no times of showing to tell otherwise."""
    return not stream.codec_context.has_b_frames and all(before < after for before, after in pairwise(times))


def _from_first(listed: Listing, first: VideoFrame, starts_with_keyframe: bool) -> Listing:
    """Without the frames before the first that can be decoded: a file may begin amid the frames of a keyframe it lacks.

    Nothing is missing then that the file could have given; if it does begin with a keyframe, it is damaged.
    """
    if first.pts not in listed.stamps:
        return listed
    before = listed.stamps.index(first.pts)
    damaged = starts_with_keyframe and before > _MOST_REORDERED
    return listed._replace(
        times=listed.times[before:],
        stamps=listed.stamps[before:],
        keyframes=[time for time in listed.keyframes if time >= listed.times[before]],
        truncated=listed.truncated or damaged,
    )
