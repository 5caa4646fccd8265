"""Processes that work side by side, and how many there may be."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import FrameType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that leave an interrupt to this one, and end at once where an exception ends the block.

    They end with this one, also when it is killed. They are spawned, because a forked process would share open files
    and their positions with this one.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    pool = _Pool(workers, context, _begin, (theirs,))
    try:
        yield pool
    except BaseException:
        ours.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def no_interrupt() -> Iterator[None]:
    """Processes that are started here never see Ctrl-C, which reaches all of a terminal's processes."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    with _later():
        resource_tracker.ensure_running()  # it starts with the first process, and then lets interrupts through
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _later() -> Iterator[None]:
    """An interrupt waits until the block has ended, whichever thread the system gives it to.

    A process whose start is interrupted half-way has no work to read, and complains.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            handler(*came[0])


class _Pool(ProcessPoolExecutor):
    """Starts its processes when there is work for them."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with no_interrupt():
            return super().submit(fn, *args, **kwargs)


def _begin(parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    """Nothing is ever sent: what can be read is that the other end is closed."""
    try:
        parent.poll(None)
    finally:
        os._exit(1)


def processors() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
