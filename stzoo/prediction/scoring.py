"""Files -> scores, in the order of the files: each has scores or a reason, and many are read ahead by processes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError, unexpected
from stzoo.pool import processors
from stzoo.prediction.predictor import Predictor
from stzoo.video.decode import VideoInfo
from stzoo.video.frame_order import FrameOrder, reordered_views
from stzoo.video.reader import VideoClips, read_clips
from stzoo.video.video import Video
from stzoo.video.workers import read_many

SECONDS_A_FILE = 60.0
_FILES_A_WORKER, _MOST_WORKERS = 8, 16


@dataclass(frozen=True, eq=False)
class Scored:
    """What a net says of one file, and what it saw."""

    path: str
    scores: Float32[np.ndarray, " classes"]
    times_seconds: Float64[np.ndarray, "clips 2"]
    """When the first and the last frame of each clip are shown."""
    info: VideoInfo
    warnings: tuple[str, ...]
    decode_seconds: float
    compute_seconds: float


class Failed(NamedTuple):
    """A file that cannot be read, and why."""

    path: str
    reason: str


def worker_count(files: int) -> int:
    """How many processes read so many files: none for one alone, which is read before a process has started."""
    return max(1, min(processors(), _MOST_WORKERS, files // _FILES_A_WORKER)) if files > 1 else 0


def score_files(
    predictor: Predictor,
    videos: Sequence[Video],
    *,
    workers: int | None = None,
    seconds_a_file: float = SECONDS_A_FILE,
    frame_order: FrameOrder = "given",
) -> Iterator[Scored | Failed]:
    """The scores of every video, as `predictor.scores` gives them, or the reason why there are none.

    Args:
        predictor: net and contract.
        videos: few of them are held at a time; a folder of frames that lacks a needed `frame_rate` is a reason.
        workers: processes that read ahead; 0 reads in this one, without a time limit; by default `worker_count`.
        seconds_a_file: after how long a worker gives a file up.
        frame_order: in which the net sees the frames of every clip.

    Raises:
        UsageError: an argument is out of range.
    """
    count = worker_count(len(videos)) if workers is None else workers
    if count < 0:
        raise UsageError(f"{count} workers were asked for; ask for 0, to read files one after the other, or more.")
    if count:
        reads = read_many(videos, predictor.contract, workers=count, seconds_a_file=seconds_a_file)
        return _scored(predictor, reads, frame_order)
    return _scored(predictor, _one_by_one(videos, predictor.contract), frame_order)


def _one_by_one(videos: Sequence[Video], contract: InputContract) -> Iterator[tuple[Video, VideoClips | VideoError]]:
    for video in videos:
        try:
            yield video, read_clips(video, contract)
        except (VideoError, UsageError) as error:
            yield video, VideoError(str(error))
        except Exception as error:
            yield video, VideoError(unexpected(video.place, error))


def _scored(
    predictor: Predictor, reads: Iterator[tuple[Video, VideoClips | VideoError]], frame_order: FrameOrder
) -> Iterator[Scored | Failed]:
    for video, read in reads:
        path = str(video.path)
        if isinstance(read, VideoError):
            yield Failed(path, str(read))
            continue
        began = time.perf_counter()
        scores = predictor.scores_of(reordered_views(read.clips, frame_order, video.place.name))
        seconds = time.perf_counter() - began
        yield Scored(path, scores, read.times_seconds, read.info, read.warnings, read.decode_seconds, seconds)
