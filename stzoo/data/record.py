"""What was found of many videos, kept so that a stopped command goes on: work side by side, and a file that grows.

The file has a JSON line a video, appended as they are done. What is stopped loses nothing but the videos at hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock, Timeout

from stzoo.errors import DataError
from stzoo.pool import processes
from stzoo.video.video import Video

Job = TypeVar("Job")
Finding = TypeVar("Finding")

_AHEAD = 4  # jobs a worker that are handed out before they are asked for


@dataclass(frozen=True)
class Record(Generic[Finding]):
    """A file of findings of one kind, which is a dataclass of plain values.

    Lines of another `form`, and those that are cut off, are passed over.
    """

    path: Path
    kind: type[Finding]
    form: int = 1

    @contextlib.contextmanager
    def opened(self, doing: str) -> Iterator[tuple[dict[str, Finding], Callable[[str, Finding], None]]]:
        """State -> finding of all that is known, and a function that adds one; nobody else adds any meanwhile.

        Raises `DataError` where another process, which is `doing` the same, has it open, or it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(f"{self.path}.lock", timeout=0))
                known = self._read()
                write = stack.enter_context(_appending(self.path))
            except Timeout as error:
                raise DataError(
                    f"another process {doing} with the record {self.path}; wait until it has ended."
                ) from error
            except PermissionError as error:
                raise DataError(
                    f"the record {self.path} cannot be written ({error.strerror}); choose another place."
                ) from error
            yield known, lambda state, finding: write(self._line(state, finding))

    def _line(self, state: str, finding: Finding) -> str:
        return json.dumps({"format": self.form, "state": state, **vars(finding)})

    def _read(self) -> dict[str, Finding]:
        findings = {}
        with contextlib.suppress(FileNotFoundError), self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    form, state = entry.pop("format"), entry.pop("state")
                    if form == self.form:
                        findings[state] = self.kind(**entry)
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                    continue
        return findings


def state_of(video: Video, *more: Any) -> str:
    """A digest that changes when the file does, or `more` that decides what is found."""
    try:
        size, modified = video.size_and_time()
    except (OSError, ValueError):
        size = modified = -1
    parts = (video.place.absolute(), size, modified, video.frame_rate, *more)
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()


def side_by_side(
    work: Callable[[Job], Finding], jobs: Sequence[Job], workers: int, crashed: Callable[[Job], Finding]
) -> Iterator[tuple[Job, Finding]]:
    """What `work` finds of each job, as they are done; `crashed` says it of one that kills its process.

    A single worker is this process.
    """
    if workers == 1:
        yield from ((job, work(job)) for job in jobs)
        return
    queue = list(reversed(jobs))
    while queue:
        suspects: list[Job] = []
        with processes(min(workers, len(queue))) as pool:
            running: dict[Future[Finding], Job] = {}
            while (queue or running) and not suspects:
                while queue and len(running) < _AHEAD * workers:
                    job = queue.pop()
                    running[pool.submit(work, job)] = job
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    try:
                        yield running[future], future.result()
                    except BrokenProcessPool:
                        continue
                    del running[future]
                suspects = list(running.values()) if any(future in running for future in done) else []
        for job in suspects:
            yield job, _alone(work, job, crashed)


def _alone(work: Callable[[Job], Finding], job: Job, crashed: Callable[[Job], Finding]) -> Finding:
    with processes(1) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            return crashed(job)


@contextlib.contextmanager
def _appending(record: Path) -> Iterator[Callable[[str], None]]:
    with record.open("a+b") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
            file.write(b"\n")

        def write(line: str) -> None:
            file.write(line.encode() + b"\n")
            file.flush()

        yield write
