"""Scores over time of frames that come one at a time: a camera's, or those of somebody else's loop."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from jaxtyping import Float32

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.prediction.timeline import ScoresOf
from stzoo.video.given import Channels, Fps, Frames, given_video
from stzoo.video.held import HeldFrames
from stzoo.video.live import LiveFrame
from stzoo.video.stream import MovingWindows
from stzoo.video.windows import Window


@dataclass(frozen=True, eq=False)
class WindowScores:
    """What a net says of one window; times are seconds from the first frame."""

    start_seconds: float
    end_seconds: float
    labels: tuple[str, ...]
    scores: Float32[np.ndarray, " classes"]

    @property
    def label(self) -> str:
        """The best class."""
        return self.labels[int(self.scores.argmax())]


def follow_live(
    contract: InputContract,
    labels: Sequence[str],
    scores_of: ScoresOf,
    frames: Iterable[LiveFrame],
    window_seconds: float,
    hop_seconds: float,
    clips: int | None = None,
) -> Iterator[WindowScores]:
    """The windows of frames that come with their times; after a new connection they begin anew.

    The first window of each begins with its first frame. Times are seconds from the first frame of all.
    """
    stream: Stream | None = None
    offset = 0.0

    def placed(answers: Iterable[WindowScores]) -> Iterator[WindowScores]:
        for answer in answers:
            times = answer.start_seconds + offset, answer.end_seconds + offset
            yield WindowScores(*times, answer.labels, answer.scores)

    for frame in frames:
        if stream is None or frame.is_first:
            yield from placed(() if stream is None else stream.finish())
            lengths = window_seconds, hop_seconds
            stream = Stream(contract, labels, scores_of, None, *lengths, pixel_aspect=frame.pixel_aspect, clips=clips)
            offset = frame.seconds
        yield from placed(stream.push(frame.pixels, frame.seconds))
    yield from placed(() if stream is None else stream.finish())


class Stream:
    """Takes frames one at a time, and answers whenever a window is full. `stzoo.load(...).stream(...)` makes one.

    The windows, and their scores, are those of `timeline` of the same frames. Memory holds the crops of the frames of
    one window, however long the stream is.

    Args:
        contract: how clips are taken of a window.
        labels: the classes in the order of the scores.
        scores_of: uint8 clips -> the scores of a video that consists of them.
        fps: frames a second; None where every frame comes with its time.
        window_seconds: the length of a window.
        hop_seconds: how far apart windows begin.
        channels: `bgr` where frames have OpenCV's order of colours.
        pixel_aspect: how much wider than high a pixel is shown.
        clips: clips a window; by default as many as it is clips long (`stzoo.video.clips.clips_of_window`).

    Raises:
        UsageError: a length or a rate that is not above 0.
    """

    def __init__(
        self,
        contract: InputContract,
        labels: Sequence[str],
        scores_of: ScoresOf,
        fps: Fps = None,
        window_seconds: float = 2.0,
        hop_seconds: float = 1.0,
        channels: Channels = "rgb",
        pixel_aspect: float = 1.0,
        clips: int | None = None,
    ) -> None:
        for what, value in (("window_seconds", window_seconds), ("hop_seconds", hop_seconds)):
            _refuse_no_number(what, value)
        if fps is not None and not (_is_number(fps) and fps > 0):
            raise UsageError(f"fps are frames a second, above 0, and {fps!r:.40} was given")
        self._labels, self._scores_of, self._fps, self._channels = tuple(labels), scores_of, fps, channels
        self._windows = MovingWindows(contract, window_seconds, hop_seconds, pixel_aspect, clips)
        self._frames, self._first, self._begins, self._ends = 0, 0.0, 0.0, 0.0

    def push(self, frame: Frames, seconds: float | None = None) -> list[WindowScores]:
        """Takes the next frame; gives the windows that are whole now: none, one, or several where hops are short.

        Args:
            frame: uint8 [height, width, 3] or [3, height, width], an array or a tensor of torch.
            seconds: when it is shown, on any clock that only goes forward; by default `fps` says it. A window is whole
                then when a frame comes that is shown after it.

        Raises:
            UsageError: it is no frame, comes before the last one, or has neither a time nor a rate.
        """
        begins, ends = self._times(seconds)
        held = given_video([frame], channels=self._channels).held
        assert isinstance(held, HeldFrames)
        ((_, pixels),) = held.pictures(np.array([0]))
        answers = [self._answer(window) for window in self._windows.push(pixels, begins, ends)]
        self._frames, self._begins, self._ends = self._frames + 1, begins, ends
        return answers

    def finish(self) -> list[WindowScores]:
        """Ends the stream; gives the window that ends with it, where it was not given yet.

        Without a rate the last frame is taken to be shown as long as frames are on average.
        """
        ends = self._ends if self._fps is not None else self._begins + self._begins / max(1, self._frames - 1)
        return [self._answer(window) for window in self._windows.finish(ends)]

    def over(self, frames: Iterable[Frames]) -> Iterator[WindowScores]:
        """The windows of all frames that an iterable gives, each as soon as it is whole."""
        for frame in frames:
            yield from self.push(frame)
        yield from self.finish()

    def _times(self, seconds: float | None) -> tuple[float, float]:
        """When the next frame begins, and until when what was shown is known."""
        if seconds is None:
            if self._fps is None:
                raise UsageError("a frame without a time needs a rate; give stream fps=, or push seconds=")
            return self._frames / self._fps, (self._frames + 1) / self._fps
        _refuse_no_number("seconds", seconds)
        if self._frames == 0:
            self._first = seconds
        begins = seconds - self._first
        return begins, begins if self._fps is None else begins + 1 / self._fps

    def _answer(self, window: Window) -> WindowScores:
        scores = self._scores_of(window.clips)
        return WindowScores(window.start_seconds, window.end_seconds, self._labels, scores)


def _is_number(value: object) -> bool:
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)  # type: ignore[arg-type]


def _refuse_no_number(what: str, value: object) -> None:
    if not _is_number(value):
        raise UsageError(f"{what} is a finite number, and not {value!r:.40}")
