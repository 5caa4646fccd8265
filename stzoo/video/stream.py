"""Windows over frames that come one at a time, without an end: those of `windows`, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import UInt8

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.video.clips import clips_of_window, plan
from stzoo.video.frames import crops_along, stacked
from stzoo.video.reader import views_of
from stzoo.video.windows import TIE_SECONDS, Window, has_a_last, spans


class MovingWindows:
    """Takes frames in the order of time and gives the windows that they complete.

    Of every frame the crops that the contract sees are held, as long as a window may need them.

    Args:
        contract: how clips are taken of a window.
        window_seconds: the length of a window.
        hop_seconds: how far apart windows begin.
        pixel_aspect: how much wider than high a pixel is shown.
        clips: clips a window; by default `clips_of_window`.

    Raises:
        UsageError: a length that is not above 0.
    """

    def __init__(
        self,
        contract: InputContract,
        window_seconds: float,
        hop_seconds: float,
        pixel_aspect: float = 1.0,
        clips: int | None = None,
    ) -> None:
        spans(0.0, window_seconds, hop_seconds)
        self._contract, self._window, self._hop = contract, window_seconds, hop_seconds
        self._pixel_aspect, self._clips = pixel_aspect, clips
        self._held: deque[tuple[float, UInt8[np.ndarray, "crops crop crop 3"]]] = deque()
        self._done = 0
        """How many windows were given."""

    def push(
        self, frame: UInt8[np.ndarray, "height width 3"], begins_seconds: float, ends_seconds: float
    ) -> Iterator[Window]:
        """The windows that are whole when a frame has been shown, from the first frame's beginning on counted."""
        if self._held and begins_seconds <= self._held[-1][0]:
            raise UsageError(
                f"a frame at {begins_seconds:g} s came after one at {self._held[-1][0]:g} s; give them in their order"
            )
        self._held.append((begins_seconds, crops_along(frame, self._contract, self._pixel_aspect)))
        yield from self._whole(ends_seconds)
        self._forget(ends_seconds)

    def finish(self, ends_seconds: float) -> Iterator[Window]:
        """The window that ends with the last frame, where none nearly does; one as long as all, if that is less.

        There is none where no frame came.
        """
        if not self._held:
            return
        yield from self._whole(ends_seconds)
        spare = ends_seconds - self._window
        last = self._hop * (self._done - 1)
        if self._done == 0:
            yield self._cut(0.0, ends_seconds, to_the_end=True)
        elif has_a_last(spare - last, self._window, self._hop):
            yield self._cut(spare, ends_seconds, to_the_end=True)

    def _whole(self, ends_seconds: float) -> Iterator[Window]:
        """The windows that end by then and were not given yet."""
        while self._hop * self._done + self._window <= ends_seconds + TIE_SECONDS:
            start = self._hop * self._done
            yield self._cut(start, start + self._window)
            self._done += 1

    def _forget(self, now_seconds: float) -> None:
        """Lets frames go that neither the next window nor the last one, which ends no earlier than now, can want."""
        oldest = min(self._hop * self._done, now_seconds - self._window) - TIE_SECONDS
        # The frame before a window's first one is what a window without a frame of its own sees.
        while len(self._held) > 1 and self._held[1][0] < oldest:
            self._held.popleft()

    def _cut(self, start: float, end: float, *, to_the_end: bool = False) -> Window:
        """The window from `start` to `end`: what is shown in it, at least the frame that it begins with."""
        times = np.array([seconds for seconds, _ in self._held])
        low, high = np.searchsorted(times, np.array([start, end]) - TIE_SECONDS).tolist()
        high = len(times) if to_the_end else high
        low = low if low < high else max(low - 1, 0)
        high = max(high, low + 1)
        clips = self._clips or clips_of_window(self._contract, self._window, high - low)
        indices = low + plan(times[low:high], self._contract, clips)
        crops: dict[int, Any] = {index: self._held[index][1] for index in np.unique(indices).tolist()}
        return Window(start, end, views_of(stacked(indices, crops)))
