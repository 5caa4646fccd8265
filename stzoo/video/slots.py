"""Random clips, read by processes of their own into memory that they share with this one: no pixel is sent."""

from __future__ import annotations

import ctypes
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8
from rich.filesize import decimal

from stzoo.errors import DataError
from stzoo.pool import in_order, processes
from stzoo.video.augment import Cut, clip_or_reason
from stzoo.video.video import Video

Job = tuple[Video, Cut, Float64[np.ndarray, " draws"]]
"""What `augment.read_random_clip` is asked for."""

Clip = UInt8[np.ndarray, "frames crop crop 3"]

_slots: list[Clip] = []
"""Of this process, where it is one that reads."""


@contextmanager
def clip_readers(
    workers: int, shape: tuple[int, int, int, int], ahead: int
) -> Iterator[Callable[[Iterable[Job]], Iterator[Clip | str]]]:
    """Within this context, what it gives reads each job's clip, or says why there is none, in the order of the jobs.

    A clip is a view of one of `ahead` slots, and is what it is until the next one is asked for. The memory has no name
    that could outlive the processes.

    Args:
        workers: processes.
        shape: of every clip.
        ahead: how many clips are read or wait to be taken at a time, at least 1.

    Raises:
        DataError: there is no memory for so many slots, or a process has died.
    """
    size = ahead * prod(shape)
    try:
        memory = multiprocessing.get_context("spawn").RawArray(ctypes.c_ubyte, size)
    except (OSError, MemoryError) as error:
        raise DataError(
            f"{decimal(size)} of memory for clips that are read ahead cannot be had ({error}); lower compute.workers, "
            "or make room in /dev/shm or the folder of TMPDIR."
        ) from error
    with processes(workers, _take, (memory, shape)) as pool:
        yield partial(_read, pool, _laid(memory, shape))


def _laid(memory: Any, shape: tuple[int, int, int, int]) -> list[Clip]:
    return list(np.frombuffer(memory, dtype=np.uint8).reshape(-1, *shape))


def _read(pool: ProcessPoolExecutor, slots: list[Clip], jobs: Iterable[Job]) -> Iterator[Clip | str]:
    # A job is given out when that of the same slot was taken, and its taker has asked for the next one.
    placed = (partial(_read_into, number % len(slots), *job) for number, job in enumerate(jobs))
    try:
        for number, reason in enumerate(in_order(pool, placed, len(slots))):
            yield slots[number % len(slots)] if reason is None else reason
    except BrokenProcessPool as error:
        raise DataError(
            'a process that decodes training videos has died; "stzoo data check" finds the video, '
            "or there is too little memory for compute.workers"
        ) from error


def _take(memory: Any, shape: tuple[int, int, int, int]) -> None:
    _slots.extend(_laid(memory, shape))


def _read_into(slot: int, video: Video, cut: Cut, draws: Float64[np.ndarray, " draws"]) -> str | None:
    clip = clip_or_reason(video, cut, draws)
    if isinstance(clip, str):
        return clip
    _slots[slot][:] = clip
    return None
