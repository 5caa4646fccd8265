"""Several processes that train one run: how they meet, and how all of them stop when one of them is gone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import NoReturn

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from stzoo.errors import StzooError, TrainingError
from stzoo.ranks import ALONE, Ranks

BEAT_SECONDS = 3.0
SILENT_SECONDS = 40.0
COLLECTIVE = timedelta(days=1)
"""Decoding on another machine may take long; that a process is gone is found out by its silence, not by waiting."""

GONE = "the same command goes on from the last checkpoint"


@contextlib.contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """The place of this process among those that torchrun started, on a recipe's `device`; alone where there are none.

    Within this context a process that is killed, or that does not answer for 40 seconds, ends all of them with exit
    code 1 and one sentence. A `StzooError` that several raise is told by the first.

    Raises `TrainingError` when there are more processes than GPUs on this machine.
    """
    count = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if count == 1:
        yield ALONE
        return
    ranks = Ranks(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_WORLD_SIZE", count)))
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        _take_gpu(device, ranks)
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=COLLECTIVE)
    watch = Watch(ranks)
    dist.barrier()  # everybody's first beat is there
    watch.start()
    try:
        yield ranks
        dist.barrier()
    except StzooError as error:
        if not watch.speaks_first():
            raise SystemExit(error.exit_code) from None
        raise
    watch.stop()
    dist.destroy_process_group()


def _take_gpu(device: str, ranks: Ranks) -> None:
    if device not in ("auto", "cuda"):
        raise TrainingError(f'compute.device = "{device}" names one GPU, but {ranks.count} processes train; use "cuda"')
    gpus, local = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", "0"))
    if local >= gpus:
        raise TrainingError(
            f"{ranks.local_count} processes were started on a machine with {gpus} GPUs; give torchrun "
            f"--nproc-per-node {gpus}"
        )
    torch.cuda.set_device(local)


class Watch(threading.Thread):
    """Says that this process is alive, listens to the others, and ends this process where one of them is silent.

    It does so also while the process waits for the others in a collective, and where it is told to terminate.
    """

    def __init__(self, ranks: Ranks) -> None:
        super().__init__(name="watch", daemon=True)
        self._ranks = ranks
        attempt = f"stzoo-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        server = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=SILENT_SECONDS))
        self._store = PrefixStore(attempt, server)
        self._signals, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda number, frame: None)  # its byte wakes the thread
        self._beat(0)

    def stop(self) -> None:
        """Ends the watch: everybody has finished."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._wake.send(bytes(1))
        self.join()
        self._wake.close()
        self._signals.close()

    def speaks_first(self) -> bool:
        """Whether nobody has told yet why the run stops; true of one process alone."""
        try:
            return bool(self._store.add("told", 1) == 1)
        except RuntimeError:
            return True

    def run(self) -> None:
        heard = dict.fromkeys(range(self._ranks.count), (b"", time.monotonic()))
        number = 0
        while True:
            if select.select([self._signals], [], [], BEAT_SECONDS)[0]:
                told = self._signals.recv(64)
                if 0 in told:
                    return
                if signal.SIGTERM in told:
                    self._end("the run was told to stop, or another process of it is gone")
            number += 1
            try:
                self._beat(number)
                beats = self._store.multi_get([f"beat-{rank}" for rank in heard])
            except RuntimeError:
                self._end("the process that all of this run's processes meet at is gone")
            now = time.monotonic()
            for rank, beat in enumerate(beats):
                if beat != heard[rank][0]:
                    heard[rank] = beat, now
                elif now - heard[rank][1] > SILENT_SECONDS:
                    self._end(f"process {rank} of this run has not answered for {SILENT_SECONDS:.0f} seconds")

    def _beat(self, number: int) -> None:
        self._store.set(f"beat-{self._ranks.rank}", str(number))

    def _end(self, reason: str) -> NoReturn:
        if self.speaks_first():
            print(f"Error: {reason}, so all of them stop; {GONE}", file=sys.stderr, flush=True)
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(TrainingError.exit_code)
