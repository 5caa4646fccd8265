"""All clips of a list, decoded once and kept on disk as uint8: what training and evaluation read instead of videos.

A cache is a folder of its own, named after a digest of everything that decides its pixels (the files with their sizes
and times, the contract, what is read). Labels do not, so two questions about the same videos share one cache:

    frames.u8        the pixels, one row a video
    done.u8          while it is built: 1 for each row that is written
    complete.json    written last: the cache can be used; names the videos that were left out

A build that is killed goes on where it stopped. Two processes never build at once: the second waits and then reads.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from jaxtyping import Int64, UInt8
from rich.filesize import decimal

from stzoo.contract import InputContract
from stzoo.data.broken import Broken, Cap
from stzoo.data.datasets import Item, common_rate
from stzoo.errors import DataError, StzooError, UsageError, VideoError, unexpected
from stzoo.files import replacing, write_json
from stzoo.pool import processors
from stzoo.terminal.progress import counting
from stzoo.video.frame_order import reordered_views
from stzoo.video.reader import read_clips, read_strip

_FORMAT = 1
_ROWS_A_FLUSH = 64


@dataclass(frozen=True, eq=False)
class ClipCache:
    """The pixels of every video that could be read, in the order of the list."""

    folder: Path
    clips: UInt8[np.ndarray, "videos ..."]
    """[videos, views, frames, crop, crop, 3] or [videos, strip frames, size, size, 3].

    A map of the file; what is written to it stays in this process."""
    items: tuple[Item, ...]
    broken: tuple[Broken, ...]

    @property
    def labels(self) -> Int64[np.ndarray, " videos"]:
        return np.array([item.label for item in self.items], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.items)


def open_clips(
    folder: Path | str,
    items: Sequence[Item],
    contract: InputContract,
    *,
    clips: int | None = None,
    workers: int | None = None,
    max_broken: float = 0.01,
    part_of: int | None = None,
    progress: bool = True,
) -> ClipCache:
    """The clips of every listed video (`read_clips`), built first if they are not in `folder` yet: to evaluate on.

    Args:
        folder: where caches are kept; this one gets a folder of its own in there.
        items: the list.
        contract: how clips are taken.
        clips: clips a video; by default `contract.clips`.
        workers: decoding threads; by default one a processor, at most 16.
        max_broken: the largest part of the list that may be left out because it cannot be read.
        part_of: how many videos the whole list has where `items` are a part of it: `max_broken` is a part of that.
        progress: draw a bar with rate and time left on standard error, and name each broken video there.

    Raises:
        DataError: the list is empty, more of it than `max_broken` is broken, or the disk has no room.
    """
    count = contract.clips if clips is None else clips
    decisive = {
        **_timing(contract, items),
        "clips": count,
        "crops": contract.crops,
        "frames": contract.frames,
        "resize": contract.model_dump(mode="json")["resize"],
        "crop": contract.crop,
    }

    def read(item: Item) -> UInt8[np.ndarray, "views frames height width 3"]:
        return reordered_views(read_clips(item.video, contract, count).clips, item.order, item.path.name)

    shape = (count * contract.crops, contract.frames, contract.crop, contract.crop, 3)
    cap = Cap(max_broken, part_of or len(items))
    return _open(Path(folder), items, _Content("clips", decisive, shape, read), workers, cap, progress)


def open_strips(
    folder: Path | str,
    items: Sequence[Item],
    contract: InputContract,
    *,
    frames: int,
    size: int,
    workers: int | None = None,
    max_broken: float = 0.01,
    part_of: int | None = None,
    progress: bool = True,
) -> ClipCache:
    """One strip of `frames` frames of `size` pixels of every listed video (`read_strip`): to train on.

    A strip's frames are in their own order; those of a clip that is cut out of it are put into the item's.

    The other arguments and errors are those of `open_clips`.
    """
    decisive = {**_timing(contract, items), "frames": frames, "size": size}
    if contract.short_video == "stretch":
        decisive["clip"] = contract.frames
    if not isinstance(contract.resize, int):
        decisive["resize"] = list(contract.resize)

    def read(item: Item) -> UInt8[np.ndarray, "frames size size 3"]:
        return read_strip(item.video, contract=contract, frames=frames, size=size)

    cap = Cap(max_broken, part_of or len(items))
    content = _Content("strips", decisive, (frames, size, size, 3), read)
    return _open(Path(folder), items, content, workers, cap, progress)


@dataclass(frozen=True)
class _Content:
    """What a cache keeps of every video."""

    kind: str
    decisive: dict[str, Any]
    """Everything but the videos that decides the pixels."""
    shape: tuple[int, ...]
    """Of one video."""
    read: Callable[[Item], UInt8[np.ndarray, "..."]]


def _timing(contract: InputContract, items: Sequence[Item]) -> dict[str, Any]:
    timing = contract.model_dump(include={"fps", "stride_frames", "short_video", "interpolation", "decoder"})
    if contract.sampling != "dense":
        timing["sampling"] = contract.sampling
    if any(item.frame_rate is not None for item in items):
        timing["frame_rate"] = common_rate(items)
    return timing


def _open(
    folder: Path, items: Sequence[Item], content: _Content, workers: int | None, cap: Cap, progress: bool
) -> ClipCache:
    kind, shape = content.kind, content.shape
    if min(shape) < 1:
        raise UsageError(f"a cache of {kind} of shape {shape} was asked for; every size must be at least 1.")
    if not items:
        raise DataError(f"there is no video to put into a cache of {kind} in {folder}; give a list with at least one.")
    folder = folder / f"{kind}-{_digest(content, items)}"
    folder.mkdir(parents=True, exist_ok=True)
    reasons = _finished(folder, len(items), shape)
    if reasons is None:
        with FileLock(folder / "lock"):
            reasons = _finished(folder, len(items), shape)
            if reasons is None:
                reasons = _build(folder, items, content, workers or min(processors(), 16), cap, progress)
    broken = tuple(Broken(items[index].path, reason) for index, reason in reasons.items())
    cap.hold(broken, len(items))
    good = tuple(item for index, item in enumerate(items) if index not in reasons)
    pixels = np.memmap(folder / "frames.u8", dtype=np.uint8, mode="c", shape=(len(good), *shape))
    return ClipCache(folder, pixels, good, broken)


def _finished(folder: Path, videos: int, shape: tuple[int, ...]) -> dict[int, str] | None:
    """Index -> reason of the videos that a finished cache leaves out; `None` where it is not finished, or damaged."""
    try:
        recorded = json.loads((folder / "complete.json").read_text(encoding="utf-8"))
        size = (folder / "frames.u8").stat().st_size
        reasons = {int(index): str(reason) for index, reason in recorded["broken"].items()}
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return reasons if size == (videos - len(reasons)) * prod(shape) else None


def _build(
    folder: Path, items: Sequence[Item], content: _Content, workers: int, cap: Cap, progress: bool
) -> dict[int, str]:
    """Reads what is not there yet; returns index -> reason of the videos that cannot be read."""
    shape = (len(items), *content.shape)
    if not _has_size(folder / "frames.u8", shape):
        (folder / "done.u8").unlink(missing_ok=True)
    pixels = _allocated(folder / "frames.u8", shape)
    done = _allocated(folder / "done.u8", (len(items),))
    pending = np.flatnonzero(done == 0).tolist()
    reasons: dict[int, str] = {}

    def fill(index: int) -> tuple[int, str | None]:
        try:
            pixels[index] = content.read(items[index])
        except VideoError as error:
            return index, str(error)
        except StzooError:
            raise
        except Exception as error:
            return index, unexpected(items[index].path, error)
        return index, None

    already = len(items) - len(pending)
    with (
        counting(f"Decoding {content.kind}", len(items), unit="videos", completed=already, show=progress) as bar,
        ThreadPoolExecutor(workers) as pool,
    ):
        for start in range(0, len(pending), _ROWS_A_FLUSH):
            chunk = pending[start : start + _ROWS_A_FLUSH]
            for index, reason in pool.map(fill, chunk):
                bar.advance()
                if reason is not None:
                    reasons[index] = reason
                    bar.say(f"left out: {reason}")
            pixels.flush()
            done[[index for index in chunk if index not in reasons]] = 1
            cap.hold([Broken(items[index].path, reason) for index, reason in reasons.items()], len(items))
        done.flush()
    if reasons:
        _leave_out(folder / "frames.u8", pixels, sorted(reasons))
    write_json(folder / "complete.json", {"format": _FORMAT, "videos": len(items) - len(reasons), "broken": reasons})
    (folder / "done.u8").unlink()
    return reasons


def _has_size(path: Path, shape: tuple[int, ...]) -> bool:
    return path.exists() and path.stat().st_size == prod(shape)


def _allocated(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """A writable map of a file of that shape: as it is if it is there in full, otherwise of zeros."""
    if not _has_size(path, shape):
        size, free = prod(shape), shutil.disk_usage(path.parent).free
        try:
            if free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with replacing(path) as temporary, temporary.open("r+b") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
        except OSError as error:
            raise DataError(
                f"cannot write the cache {path.parent} ({error.strerror}): it needs {decimal(size)} and its disk "
                f"has {decimal(free)} free; make room, or keep it on another disk."
            ) from error
    return np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)


def _leave_out(path: Path, pixels: np.memmap[Any, np.dtype[np.uint8]], rows: list[int]) -> None:
    """Writes the file again without those rows."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        for start, stop in zip([-1, *rows], [*rows, len(pixels)], strict=True):
            for row in range(start + 1, stop):
                file.write(pixels[row].tobytes())


def _digest(content: _Content, items: Sequence[Item]) -> str:
    digest = hashlib.sha256(json.dumps([_FORMAT, content.kind, content.decisive], sort_keys=True).encode())
    for item in items:
        try:
            size, modified_ns = item.video.size_and_time()
            state = f"{item.path.absolute()}\0{size}\0{modified_ns}\n"
        except OSError:
            state = f"{item.path.absolute()}\0missing\n"
        if content.kind == "clips" and item.order != "given":
            state = f"{item.order}\0{state}"
        digest.update(state.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]
