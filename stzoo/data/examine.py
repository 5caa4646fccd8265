"""What is in one video, found by decoding all of it; many videos side by side, with a record that a later call reads.

A video that has changed since is looked at again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stzoo.data.record import Record, side_by_side, state_of
from stzoo.errors import VideoError, unexpected
from stzoo.video.decode import decodable, probe
from stzoo.video.images import FrameFolder, find_frames, read_bytes, read_picture
from stzoo.video.kinds import why_no_frames
from stzoo.video.video import Video

Problem = Literal["missing", "empty", "unreadable", "damaged"]

_CHUNK_BYTES = 2**20


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
    states = {video: state_of(video) for video in dict.fromkeys(videos)}
    with Record(record, Finding).opened("checks") as (known, add):
        findings = {video: known[state] for video, state in states.items() if state in known}
        advance(len(findings))
        pending = [video for video in states if video not in findings]
        for video, finding in side_by_side(examine, pending, workers, _crashed):
            add(states[video], finding)
            findings[video] = finding
            advance(1)
    return {video: findings[video] for video in states}


def _crashed(video: Video) -> Finding:
    return Finding(problem="unreadable", reason=f"{video.place} makes the decoder crash.")


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


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
