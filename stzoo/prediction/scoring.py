"""Files -> scores or vectors, in the order of the files: each has its own or a reason; processes read many ahead."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.pool import processors
from stzoo.prediction.predictor import Predictor
from stzoo.video.decode import VideoInfo
from stzoo.video.frame_order import FrameOrder, reordered_views
from stzoo.video.reader import VideoClips, read_or_say
from stzoo.video.video import Video
from stzoo.video.workers import read_many

SECONDS_A_FILE = 60.0
Reads = Iterator[tuple[Video, VideoClips | VideoError]]

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
    spread: Float32[np.ndarray, " classes"] | None = None
    """The standard deviation of each score over the nets that are averaged; None where there is one."""


class Embedded(NamedTuple):
    """What a net makes of one file."""

    path: str
    vector: Float32[np.ndarray, " numbers"]
    warnings: tuple[str, ...]


class ClipScored(NamedTuple):
    """What each net says of each clip of one file, and of each of its crops."""

    path: str
    scores: Float64[np.ndarray, "nets clips classes"]


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
    return _scored(predictor, _read_ahead(predictor.contract, videos, workers, seconds_a_file), frame_order)


def embed_files(
    predictor: Predictor,
    videos: Sequence[Video],
    *,
    workers: int | None = None,
    seconds_a_file: float = SECONDS_A_FILE,
) -> Iterator[Embedded | Failed]:
    """The vector of every video, as `predictor.embed` gives it; arguments and errors are those of `score_files`."""
    return _embedded(predictor, _read_ahead(predictor.contract, videos, workers, seconds_a_file))


def clip_score_files(
    predictor: Predictor,
    videos: Sequence[Video],
    *,
    workers: int | None = None,
    seconds_a_file: float = SECONDS_A_FILE,
) -> Iterator[ClipScored | Failed]:
    """The scores of every clip of every video, by each net; arguments and errors are those of `score_files`."""
    of_views = dataclasses.replace(predictor, contract=predictor.contract.changed(crops=1))
    for video, read in _read_ahead(predictor.contract, videos, workers, seconds_a_file):
        if isinstance(read, VideoError):
            yield Failed(str(video.path), str(read))
            continue
        scores = [of_views.scores_of_each_net(view[None]) for view in read.clips]
        yield ClipScored(str(video.path), np.stack(scores, axis=1).astype(np.float64))


def _read_ahead(contract: InputContract, videos: Sequence[Video], workers: int | None, seconds_a_file: float) -> Reads:
    """Every video with its clips, read by processes where there are any."""
    count = worker_count(len(videos)) if workers is None else workers
    if count < 0:
        raise UsageError(f"{count} workers were asked for; ask for 0, to read files one after the other, or more.")
    if count:
        return read_many(videos, contract, workers=count, seconds_a_file=seconds_a_file)
    return ((video, read_or_say(video, contract)) for video in videos)


def _scored(predictor: Predictor, reads: Reads, frame_order: FrameOrder) -> Iterator[Scored | Failed]:
    for video, read in reads:
        path = str(video.path)
        if isinstance(read, VideoError):
            yield Failed(path, str(read))
            continue
        began = time.perf_counter()
        each = predictor.scores_of_each_net(reordered_views(read.clips, frame_order, video.place.name))
        seconds = time.perf_counter() - began
        spread = each.std(axis=0) if len(each) > 1 else None
        yield Scored(
            path, each.mean(axis=0), read.times_seconds, read.info, read.warnings, read.decode_seconds, seconds, spread
        )


def _embedded(predictor: Predictor, reads: Reads) -> Iterator[Embedded | Failed]:
    for video, read in reads:
        if isinstance(read, VideoError):
            yield Failed(str(video.path), str(read))
        else:
            yield Embedded(str(video.path), predictor.vector_of(read.clips), read.warnings)
