"""What the speed benchmarks share: several things run in turn in one process, and the machine's name."""

from __future__ import annotations

import itertools
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

Clock = Callable[[], float]


def in_turn(
    runs: Mapping[str, Callable[[], object]], seconds: float, *, fewest: int = 5, clock: Clock = time.process_time
) -> dict[str, Float64[np.ndarray, " rounds"]]:
    """Seconds that every one of `runs` took in every round.

    A round runs them all, every other round in reversed order; the first does not count. Rounds go on until `seconds`
    have passed by `clock`, at least `fewest`. Process CPU time makes light of other work on the machine; on an
    accelerator it says nothing, and `runs` have to wait for their results.
    """
    rows: list[dict[str, float]] = []
    start = clock()
    for number in itertools.count():
        row = {}
        for name, run in list(runs.items())[:: 1 if number % 2 else -1]:
            before = clock()
            run()
            row[name] = clock() - before
        rows.append(row)
        if number >= fewest and clock() - start > seconds:
            break
    return {name: np.array([row[name] for row in rows[1:]]) for name in runs}


def quartiles(ratios: Float64[np.ndarray, " rounds"]) -> str:
    """The median, with the quartiles in brackets."""
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def machine() -> str:
    """Processor or accelerator, threads and torch, in one line."""
    torch_text = f"torch {torch.__version__}"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, {torch_text}"
    return f"{_processor()}, {torch.get_num_threads()} thread(s), {torch_text}"


def _processor() -> str:
    """The processor's name as Linux tells it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
