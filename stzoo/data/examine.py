"""What is in one video, found by decoding all of it; many videos side by side, with a record that a later call reads.

The record is a file of JSON lines, one a video, appended as they are found. A call that is stopped loses nothing but
the videos at hand; a video that has changed since is looked at again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from stzoo.errors import DataError, VideoError, unexpected
from stzoo.pool import processes
from stzoo.video.decode import decodable, probe
from stzoo.video.images import FrameFolder, find_frames, read_bytes, read_picture
from stzoo.video.kinds import why_no_frames
from stzoo.video.video import Video

Problem = Literal["missing", "empty", "unreadable", "damaged"]

_FORMAT = 1
_CHUNK_BYTES = 2**20
_AHEAD = 4  # videos a worker that are handed out before they are asked for


@dataclass(frozen=True)
class Finding:
    """What decoding a whole video showed."""

    frames: int = 0
    """Frames that can be decoded."""
    seconds: float | None = None
    """From the first of them to the last; `None` where the rate is not known."""
    content: str | None = None
    """Digest of the file's bytes, or of its pictures': equal for two copies."""
    problem: Problem | None = None
    reason: str | None = None


def examine(video: Video) -> Finding:
    """Decodes a whole video. Raises nothing of its own."""
    path = video.place
    if not video.exists:
        return Finding(problem="missing", reason=f"{path} does not exist.")
    try:
        folder = find_frames(video)
        if folder is not None:
            return _examine_pictures(folder)
        if path.is_dir():
            why = why_no_frames(os.listdir(path)) or "is a folder without frames."
            return Finding(problem="empty", reason=f"{path} {why}")
        if path.stat().st_size == 0:
            return Finding(problem="empty", reason=f"{path} is empty (0 bytes).")
        info = decodable(probe(path))
        content = _digest(_chunks(path))
    except (VideoError, OSError) as error:
        return Finding(problem="unreadable", reason=str(error))
    except Exception as error:
        return Finding(problem="unreadable", reason=unexpected(path, error))
    if info.frames == 0:
        return Finding(problem="unreadable", reason=f"{path} holds no frame that can be decoded.")
    seconds = float(info.timestamps_seconds[-1] - info.timestamps_seconds[0])
    if info.truncated:
        reason = f"{path} is cut off or damaged: of its frames {info.frames} can be decoded."
        return Finding(info.frames, seconds, content, "damaged", reason)
    return Finding(info.frames, seconds, content)


def examine_all(
    videos: Iterable[Video],
    record: Path,
    *,
    workers: int = 1,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[Video, Finding]:
    """The finding of every video, from the record where it is there.

    Args:
        videos: twice the same is examined once.
        record: the file of findings, which grows.
        workers: processes; a single one decodes in this process.
        advance: told how many videos are done, as they are.

    Raises:
        DataError: another process writes the record, or it cannot be written.
    """
    states = {video: _state(video) for video in dict.fromkeys(videos)}
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{record}.lock", timeout=0):
            known = _read_record(record)
            findings = {video: known[state] for video, state in states.items() if state in known}
            advance(len(findings))
            with _appending(record) as write:
                pending = [video for video in states if video not in findings]
                for video, finding in _in_processes(pending, workers):
                    write(json.dumps({"format": _FORMAT, "state": states[video], **asdict(finding)}))
                    findings[video] = finding
                    advance(1)
    except Timeout as error:
        raise DataError(f"another process checks with the record {record}; wait until it has ended.") from error
    except PermissionError as error:
        raise DataError(f"the record {record} cannot be written ({error.strerror}); choose another place.") from error
    return {video: findings[video] for video in states}


def _examine_pictures(folder: FrameFolder) -> Finding:
    rows = range(len(folder.names))
    good = [row for row in rows if read_picture(folder, row) is not None]
    if not good:
        return Finding(problem="unreadable", reason=f"{folder.path} holds no frame that can be decoded.")
    seconds = float(folder.places[good[-1]] - folder.places[good[0]]) / folder.rate if folder.rate else None
    content = _digest(read_bytes(folder, row) or b"" for row in rows)
    bad = [folder.names[row] for row in sorted(set(rows) - set(good))]
    if bad or folder.truncated:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        what = f"{bad[0]}{more} cannot be decoded" if bad else "the numbers of its frames have gaps"
        return Finding(len(good), seconds, content, "damaged", f"{folder.path} is damaged: {what}.")
    return Finding(len(good), seconds, content)


def _in_processes(videos: list[Video], workers: int) -> Iterator[tuple[Video, Finding]]:
    """Findings as they are done. A video that kills its process is unreadable, and the others go on."""
    if workers == 1:
        yield from ((video, examine(video)) for video in videos)
        return
    queue = list(reversed(videos))
    while queue:
        suspects: list[Video] = []
        with processes(min(workers, len(queue))) as pool:
            running: dict[Future[Finding], Video] = {}
            while (queue or running) and not suspects:
                while queue and len(running) < _AHEAD * workers:
                    video = queue.pop()
                    running[pool.submit(examine, video)] = video
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    try:
                        yield running[future], future.result()
                    except BrokenProcessPool:
                        continue
                    del running[future]
                suspects = list(running.values()) if any(future in running for future in done) else []
        for video in suspects:
            yield video, _alone(video)


def _alone(video: Video) -> Finding:
    with processes(1) as pool:
        try:
            return pool.submit(examine, video).result()
        except BrokenProcessPool:
            return Finding(problem="unreadable", reason=f"{video.place} makes the decoder crash.")


def _state(video: Video) -> str:
    """Changes when the file does."""
    try:
        size, modified = video.size_and_time()
    except OSError:
        size = modified = -1
    text = f"{video.place.absolute()}\0{size}\0{modified}\0{video.frame_rate}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _read_record(record: Path) -> dict[str, Finding]:
    """State -> finding; a line that is cut off or from another version of the record is passed over."""
    findings = {}
    with contextlib.suppress(FileNotFoundError), record.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line)
                form, state = entry.pop("format"), entry.pop("state")
                if form == _FORMAT:
                    findings[state] = Finding(**entry)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
    return findings


@contextlib.contextmanager
def _appending(record: Path) -> Iterator[Callable[[str], None]]:
    with record.open("a+b") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
            file.write(b"\n")

        def write(line: str) -> None:
            file.write(line.encode() + b"\n")
            file.flush()

        yield write


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
