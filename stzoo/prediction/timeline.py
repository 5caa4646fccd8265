"""Scores over time: what a net says of a window that moves along a video."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from stzoo.contract import InputContract
from stzoo.video.decode import VideoInfo
from stzoo.video.video import Video, split_part
from stzoo.video.windows import Windows

ScoresOf = Callable[[UInt8[np.ndarray, "views frames height width 3"]], Float32[np.ndarray, " classes"]]

_SHORTEST_CAPTION_MS = 1


class Caption(NamedTuple):
    """A time with one best class; times are seconds from the video's first frame."""

    start_seconds: float
    end_seconds: float
    label: str
    score: float
    """The mean over its windows."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """The scores of every window of one video, in the order of time.

    Windows may overlap or leave gaps. Where one answer is needed for an instant, it is that of the window whose middle
    is nearest.
    """

    path: str
    labels: tuple[str, ...]
    spans_seconds: Float64[np.ndarray, "windows 2"]
    """When each window begins and ends, in seconds from the video's first frame."""
    scores: Float32[np.ndarray, "windows classes"]
    info: VideoInfo
    warnings: tuple[str, ...]
    """One sentence for everything that was not as it should be."""
    decode_seconds: float
    compute_seconds: float

    def window_at(self, seconds: float) -> int:
        """The window whose middle is nearest to a time; of two, the earlier one."""
        return int(np.searchsorted(self._borders, seconds, side="left"))

    def captions(self) -> list[Caption]:
        """One caption for each run of windows with the same best class; together they cover the video."""
        return self._runs(self.scores)

    def events(self) -> list[Caption]:
        """The captions of what all windows that show an instant say of it on average; together they cover the video.

        So a window that shows the end of one event and the beginning of another is no event of its own. Where windows
        do not overlap, these are the captions.
        """
        return self._runs(self._averaged())

    def _averaged(self) -> Float32[np.ndarray, "windows classes"]:
        """For the middle of the time that each window answers for, the mean over the windows that show it."""
        starts, ends = self.spans_seconds.T
        middles = np.convolve([0.0, *self._borders, ends[-1]], [0.5, 0.5], mode="valid")
        rows = np.arange(len(middles))
        first = np.minimum(rows, np.searchsorted(ends, middles, side="left"))
        stop = np.maximum(rows + 1, np.searchsorted(starts, middles, side="right"))
        sums = np.vstack([np.zeros(len(self.labels)), self.scores.astype(np.float64).cumsum(axis=0)])
        return ((sums[stop] - sums[first]) / (stop - first)[:, None]).astype(np.float32)

    def _runs(self, scores: Float32[np.ndarray, "windows classes"]) -> list[Caption]:
        best = scores.argmax(axis=1)
        starts = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist()]
        ends = [*starts[1:], len(best)]
        times = [0.0, *self._borders[np.array(starts[1:], dtype=np.int64) - 1].tolist(), self.spans_seconds[-1, 1]]
        return [
            Caption(
                times[run],
                float(times[run + 1]),
                self.labels[best[start]],
                float(scores[start:end, best[start]].mean()),
            )
            for run, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]

    def to_srt(self) -> str:
        """The captions as SubRip subtitles."""
        return srt(self.captions())

    @property
    def _borders(self) -> Float64[np.ndarray, " borders"]:
        """When the nearest window changes: half-way between the middles of neighbours."""
        middles = self.spans_seconds.mean(axis=1)
        return np.asarray((middles[:-1] + middles[1:]) / 2)


def follow(
    video: Video,
    contract: InputContract,
    labels: Sequence[str],
    scores_of: ScoresOf,
    window_seconds: float = 2.0,
    hop_seconds: float = 1.0,
    clips: int | None = None,
    advance: Callable[[int, int], None] = lambda done, windows: None,
) -> Timeline:
    """Scores every window of a video as if it were a video of its own.

    The video is decoded once and held in part: memory does not grow with its length, time grows with its windows.

    Args:
        video: a folder of frames needs its `frame_rate`.
        contract: how clips are taken of a window, and how many at most.
        labels: the classes in the order of the scores.
        scores_of: uint8 clips -> the scores of a video that consists of them.
        window_seconds: the length of a window; a shorter video is one window. A window shorter than a clip is treated
            like a video that short (`contract.short_video`).
        hop_seconds: how far apart windows begin; the last one ends with the video.
        clips: clips a window; by default as many as it is clips long (`stzoo.video.clips.clips_of_window`).
        advance: is told after every window how many are done, and how many there are.

    Raises:
        VideoError: nothing can be decoded; the sentence says why.
        UsageError: a length that is not above 0, more than a million windows, or a folder without `frame_rate`.
    """
    windows = Windows(video, contract, window_seconds, hop_seconds, clips)
    spans, scores, compute_seconds = [], [], 0.0
    for window in windows:
        began = time.perf_counter()
        scores.append(scores_of(window.clips))
        compute_seconds += time.perf_counter() - began
        spans.append((window.start_seconds, window.end_seconds))
        advance(len(spans), max(len(spans), len(windows)))
    return Timeline(
        str(video.path),
        tuple(labels),
        np.array(spans),
        np.stack(scores),
        windows.info,
        windows.warnings,
        windows.decode_seconds,
        compute_seconds,
    )


def srt(captions: Sequence[Caption]) -> str:
    """Captions as SubRip subtitles, each with label and score in per cent."""
    return "\n".join(
        f"{number}\n{_srt_times(caption)}\n{_one_line(caption.label)} ({100 * caption.score:.0f} %)\n"
        for number, caption in enumerate(captions, 1)
    )


def events_table(timelines: Sequence[Timeline], folder: Path) -> str:
    """The events of several videos: a CSV of path, start, end, label and score.

    In a file of that folder it is a list of parts of videos, which `stzoo finetune` and `stzoo evaluate` read.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("path", "start", "end", "label", "score"))
    for timeline in timelines:
        whole, part = split_part(os.path.abspath(timeline.path))
        began = 0.0 if part is None else part[0]
        path = Path(whole).relative_to(folder) if Path(whole).is_relative_to(folder) else whole
        for start, end, label, score in timeline.events():
            lines.writerow((path, f"{began + start:.3f}", f"{began + end:.3f}", label, f"{score:.4f}"))
    return text.getvalue()


def _srt_times(caption: Caption) -> str:
    start, end = (round(1000 * seconds) for seconds in (caption.start_seconds, caption.end_seconds))
    return f"{_clock(start)} --> {_clock(max(end, start + _SHORTEST_CAPTION_MS))}"


def _clock(milliseconds: int) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02},{thousandths:03}"


def _one_line(label: str) -> str:
    """A label as a line of a subtitle: nothing in it ends the caption or looks like its times."""
    return " ".join(label.split()).replace("-->", "→")
