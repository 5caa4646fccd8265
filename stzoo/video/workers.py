"""Clips of many files, read ahead by processes of their own: what a file does to its reader ends with its process."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import cv2

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.pool import no_interrupt
from stzoo.video.reader import VideoClips, read_or_say
from stzoo.video.video import Video

How = tuple[InputContract, int | None]

_SPAWN = multiprocessing.get_context("spawn")
_AHEAD = 2  # files a worker that are read or being read before their turn has come
_MOST_STILLBORN = 10  # one after the other, while no video is read
_READY = "ready"


def read_many(
    videos: Iterable[Video],
    contract: InputContract,
    clips: int | None = None,
    *,
    workers: int = 2,
    seconds_a_file: float = 60.0,
) -> Iterator[tuple[Video, VideoClips | VideoError]]:
    """Each video with its clips, or with the reason why there are none, in the order of the videos.

    They are asked for as they are needed. At most two a worker are held, however many there are. A worker that dies or
    takes too long over a file is replaced, and the file gets an error. When the iterator is closed or interrupted, its
    workers are ended. A script that calls this needs `if __name__ == "__main__":` around its work, because workers
    begin by importing it.

    Args:
        videos: a folder of frames that lacks a needed `frame_rate` gets an error.
        contract: how clips are taken.
        clips: clips a video; by default `contract.clips`.
        workers: processes, at least 1.
        seconds_a_file: the time limit for one file, above 0.

    Raises:
        UsageError: an argument is out of range, or workers cannot start.
    """
    if workers < 1 or seconds_a_file <= 0:
        raise UsageError(
            f"{workers} workers with {seconds_a_file:g} seconds a file were asked for; ask for at least 1 worker and "
            "for more than 0 seconds."
        )
    return _read(iter(videos), (contract, clips), workers, seconds_a_file)


class Reader:
    """A process that reads one video after another, and is replaced where a video ends it or takes too long."""

    def __init__(self, contract: InputContract, seconds_a_file: float) -> None:
        self._how: How = (contract, None)
        self._seconds = seconds_a_file
        self._pool: list[_Worker] = []

    def read(self, video: Video) -> VideoClips | VideoError:
        """The clips of the video, or the reason why there are none. Raises `UsageError` where no process starts."""
        if self._pool and not self._pool[0].process.is_alive():
            self.close()  # it was killed while it waited
        reading = _read(iter([video]), self._how, 1, self._seconds, self._pool)
        _, result = next(reading)
        return result

    def close(self) -> None:
        """Ends the process."""
        while self._pool:
            self._pool.pop().end()


@dataclass
class _Job:
    video: Video
    result: VideoClips | VideoError | None = None


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    ready: bool = False
    job: _Job | None = None
    deadline: float = field(default=float("inf"))

    @classmethod
    def start(cls, how: How) -> _Worker:
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_serve, args=(theirs, *how), daemon=True)
        with no_interrupt():
            process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, job: _Job, seconds: float) -> None:
        self.job, self.deadline = job, time.monotonic() + seconds
        self.connection.send(job.video)

    def take(self) -> bool:
        """Receives what the worker has sent; false if it is dead."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            return False
        if answer == _READY:
            self.ready = True
        elif self.job is not None:
            self.job.result = answer
            self.job, self.deadline = None, float("inf")
        return True

    def end(self) -> int | None:
        """Kills the process and gives its exit code: minus the signal's number where a signal ended it."""
        self.connection.close()
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        self.process.close()
        return code


def _read(
    videos: Iterator[Video], how: How, workers: int, seconds: float, kept: list[_Worker] | None = None
) -> Iterator[tuple[Video, VideoClips | VideoError]]:
    """`kept` are workers of before, which outlive this."""
    pool = [] if kept is None else kept
    unread: deque[_Job] = deque()
    jobs: deque[_Job] = deque()
    more, stillborn = True, 0
    try:
        while True:
            while more and len(jobs) < _AHEAD * workers:
                video = next(videos, None)
                more = video is not None
                if video is not None:
                    unread.append(_Job(video))
                    jobs.append(unread[-1])
            while len(pool) < min(workers, sum(job.result is None for job in jobs)):
                pool.append(_Worker.start(how))
            for worker in pool:
                if worker.ready and worker.job is None and unread:
                    worker.give(unread.popleft(), seconds)
            while jobs and (result := jobs[0].result) is not None:
                yield jobs.popleft().video, result
                stillborn = 0
            if not jobs and not more:
                return
            if jobs:
                stillborn += _hear(pool, seconds)
            if stillborn > _MOST_STILLBORN:
                raise UsageError(
                    "processes that read videos are killed before they have begun, perhaps for want of memory; read in "
                    "this one (--workers 0; in Python workers=0)."
                )
    finally:
        if kept is None:
            for worker in pool:
                worker.end()


def _hear(pool: list[_Worker], seconds: float) -> int:
    """Waits until a worker answers, dies or has taken too long; those that do not live on leave the pool.

    Gives the number of those that a signal ended before they had begun.
    """
    stillborn = 0
    nearest = min(worker.deadline for worker in pool)
    timeout = None if nearest == float("inf") else max(0.0, nearest - time.monotonic())
    news = wait([worker.connection for worker in pool], timeout)
    for worker in list(pool):
        job = worker.job
        if worker.connection in news:
            if worker.take():
                continue
            worker.process.join(1)  # a process that is dying has closed its pipe before it has an exit code
            pool.remove(worker)
            code = worker.end()
            if not worker.ready and code is not None and code < 0:
                stillborn += 1
            elif not worker.ready:
                raise UsageError(
                    f"a process that reads videos ended with exit code {code} before it had begun; put your script's "
                    'work under `if __name__ == "__main__":`.'
                )
            if job is not None:
                job.result = VideoError(f"{job.video.place} {_end(code)} the process that read it; convert it again.")
        elif job is not None and worker.deadline <= time.monotonic():
            pool.remove(worker)
            worker.end()
            job.result = VideoError(
                f"{job.video.place} was not read within {seconds:g} seconds; convert it, or read it by itself, where "
                "nothing limits the time (--workers 0; in Python seconds_a_file sets the limit)."
            )
    return stillborn


def _end(code: int | None) -> str:
    if code is not None and code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    return f"ended (exit code {code})"


def _serve(connection: Connection, contract: InputContract, clips: int | None) -> None:
    """A worker: answers every video with its clips or with a sentence, until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    try:
        connection.send(_READY)
        while True:
            connection.send(read_or_say(connection.recv(), contract, clips))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
