"""Wanted frames without decoding all that comes before them: from keyframe to keyframe, past what nothing needs.

Frames are visited in ascending order. Decoding goes on from one to the next, and jumps only where a keyframe lies well
ahead and not after the frame that is wanted. What is shown before that keyframe but stands behind it in the file (the
leading frames of an open group of pictures) may need frames from before it, and is dropped: each frame that is yielded
is the one that decoding from the start gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import av
import numpy as np
from jaxtyping import Int64

from stzoo.video.container import Decoder

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_WORTH_A_JUMP = 4  # frames: decoding that few costs less than seeking
_EARLIER = (0, 16)  # frames: some containers are sought by decoding times, at most so far behind the times of showing


class Shortcuts:
    """One visit of wanted frames, in a stream whose frames carry their times.

    Args:
        decoder: at the start of the stream.
        pts: when each frame is shown, in the stream's time base, ascending.
        keyframes: frames at which decoding can begin, ascending.
    """

    def __init__(
        self, decoder: Decoder, pts: Int64[np.ndarray, " frames"], keyframes: Int64[np.ndarray, " keyframes"]
    ) -> None:
        self.decoder, self.pts, self.keyframes = decoder, pts, keyframes
        # H.264 marks frames that no other needs. FFmpeg's skip is exact there, not for every codec.
        self._skips = decoder.stream.codec_context.name == "h264"

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[tuple[int, VideoFrame]]:
        """The wanted frames (ascending, each once) with their indices; one that cannot be reached is left out."""
        pending = wanted.tolist()[::-1]
        kept = frozenset(pending)
        position, shown = -1, self._shown(self.decoder.packets(), kept)
        while pending:
            key = self._keyframe_at_or_before(pending[-1])
            if key > position + _WORTH_A_JUMP:
                position, shown = key - 1, self._shown(self._packets_from(key), kept, key)
            index, frame = next(shown, (len(self.pts), None))
            while pending and pending[-1] < index:
                pending.pop()
            if pending and pending[-1] == index and frame is not None:
                pending.pop()
                yield index, frame
            position = max(position, index)

    def _shown(
        self, packets: Iterator[Packet[VideoStream]], kept: frozenset[int], key: int = 0
    ) -> Iterator[tuple[int, VideoFrame]]:
        """The frames that the packets hold, from the keyframe on; of those outside `kept` only what others need.

        None where the keyframe itself is not shown: H.264 marks so also where a clean picture only begins to build up.
        """
        begun = key == 0
        for frame in self._decoded(packets, kept):
            self._skips &= not frame.interlaced_frame  # of two fields, one alone may be marked as not needed
            index = None if frame.pts is None else self._index(frame.pts)
            if index is None or index < key:
                continue
            begun |= index == key
            if not begun:
                return
            yield index, frame

    def _decoded(self, packets: Iterator[Packet[VideoStream]], kept: frozenset[int]) -> Iterator[VideoFrame]:
        context = self.decoder.stream.codec_context
        for packet in packets:
            if self._skips and packet.size:
                dispensable = packet.pts is not None and self._index(packet.pts) not in kept
                context.skip_frame = "NONREF" if dispensable else "DEFAULT"
            yield from self.decoder.decode(packet)
        yield from self.decoder.decode(None)

    def _packets_from(self, key: int) -> Iterator[Packet[VideoStream]]:
        """The packets from a keyframe's on; none where seeking does not lead to it."""
        stream = self.decoder.stream
        for earlier in _EARLIER:
            try:
                self.decoder.container.seek(int(self.pts[max(0, key - earlier)]), stream=stream)
            except (av.FFmpegError, OverflowError):
                return
            packets = self.decoder.packets()
            for packet in packets:
                index = None if packet.pts is None else self._index(packet.pts)
                if packet.is_keyframe and index is not None and index >= key:
                    if index == key:
                        yield packet
                        yield from packets
                        return
                    break

    def _keyframe_at_or_before(self, index: int) -> int:
        place = int(np.searchsorted(self.keyframes, index, side="right"))
        return int(self.keyframes[place - 1]) if place else -1

    def _index(self, pts: int) -> int | None:
        place = int(np.searchsorted(self.pts, pts))
        return place if place < len(self.pts) and self.pts[place] == pts else None
