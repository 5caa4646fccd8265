"""Processes that work side by side, and how many there may be."""

from __future__ import annotations

import collections
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def processes(
    workers: int, begin: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Processes that leave an interrupt to this one, and end at once where an exception ends the block.

    Each calls `begin` first, with the given arguments. They end with this one, also when it is killed. They are
    spawned, because a forked process would share open files and their positions with this one.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    pool = _Pool(workers, context, _begin, (theirs, begin, arguments))
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


def in_order(pool: Executor, jobs: Iterable[Callable[[], T]], ahead: int) -> Iterator[T]:
    """What each job returns, in their order, with at most `ahead` of them under way or waiting to be taken."""
    running: collections.deque[Future[T]] = collections.deque()
    for job in jobs:
        running.append(pool.submit(job))
        if len(running) >= ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _begin(parent: Connection, begin: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if begin is not None:
        begin(*arguments)


def _end_with(parent: Connection) -> None:
    """Nothing is ever sent: what can be read is that the other end is closed."""
    try:
        parent.poll(None)
    finally:
        os._exit(1)


def processors() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
