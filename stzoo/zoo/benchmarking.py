"""How fast a model is on this machine: every runtime, precision and number of threads in a process of its own."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stzoo import bundle as bundles
from stzoo.errors import StzooError
from stzoo.runtimes import Runtime, is_there, threads
from stzoo.zoo.loading import load
from stzoo.zoo.reference import Ref, exported_file, find, text_of
from stzoo.zoo.verifying import Way, opened, program, ways

SECONDS, FEWEST_RUNS, MOST_RUNS = 3.0, 5, 200
"""For how long clips and videos are run each, and how often at least and at most."""

_CHILD = "from stzoo.zoo.benchmarking import answer; answer()"
_MOST_SECONDS = 600


@dataclass(frozen=True)
class Speed:
    """What one process did; times are on the clock."""

    runtime: str
    precision: str
    device: str
    threads: int
    cold_start_seconds: float
    """From the start of a new process to its first answer to a clip."""
    milliseconds_a_clip: float
    """The median; the quartiles are beside it."""
    milliseconds_low: float
    milliseconds_high: float
    processor_milliseconds_a_clip: float
    """The median of what the processor worked for a clip, whatever else it did; with one thread, what the clock would
    say of a machine that does nothing else."""
    clips: int
    """How many were run."""
    videos_a_second: float
    """Of the video, read from its file: decoded, resized, cropped and run, with as many clips as the model asks for."""
    megabytes: float | None
    """The most memory of the process; None where the system does not say."""
    largest_difference: float | None
    """Of a probability of the video, from torch in fp32; None where torch was not asked, or cannot run the model."""
    is_auto: bool
    """Whether it is what `--runtime auto` takes."""


@dataclass(frozen=True)
class Failed:
    """What does not run here, and why."""

    runtime: str
    precision: str
    threads: int
    error: str


def benchmark(
    ref: Ref,
    video: Path,
    thread_counts: Sequence[int] = (),
    runtime: Runtime | Literal["all"] = "all",
    *,
    say: Callable[[str], None] = lambda _: None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> list[Speed | Failed]:
    """Measures a model in every way that this machine can run it, the fastest first, and what does not run last.

    Args:
        ref: as `load` takes it, or an ExecuTorch program.
        video: what is read and predicted.
        thread_counts: by default one thread, and as many as are taken otherwise.
        runtime: one alone, or all that are there.
        say: is told what takes long.
        advance: is told after every process how many are done, and how many there are.

    Raises what `load` raises for a model that is none, and `VideoError` for a video that cannot be read.
    """
    model = (
        program(ref) or exported_file(ref) or find(ref, files=(*bundles.TEXTS, bundles.MODEL, *bundles.EXPORTED)).folder
    )
    possible = list(ways(model, runtime))
    is_program = Way("executorch", "fp32") in possible
    if runtime in ("all", "openvino") and is_there("openvino") and not is_program:
        possible.append(Way("openvino", "bf16"))
    counts = sorted(set(thread_counts or (1, threads())))
    chosen = opened(ref, possible[0]) if is_program else load(ref, runtime="auto")
    chosen.scores(video)  # a video that cannot be read is found before anything is measured
    auto = None if is_program else Way(chosen.runtime, chosen.precision)
    rows: list[dict[str, Any]] = []
    for done, (way, count) in enumerate(((way, count) for way in possible for count in counts), start=1):
        rows.append(_measured(ref, way, video, count, say))
        advance(done, len(possible) * len(counts))
    exact = next((row["scores"] for row in rows if "scores" in row and row["runtime"] == "torch"), None)
    return sorted(_finished(rows, exact, auto), key=_order)


def _order(row: Speed | Failed) -> tuple[bool, float]:
    return isinstance(row, Failed), 0.0 if isinstance(row, Failed) else row.milliseconds_a_clip


def _finished(rows: Sequence[dict[str, Any]], exact: list[float] | None, auto: Way | None) -> Iterator[Speed | Failed]:
    for row in rows:
        if "error" in row:
            yield Failed(**row)
            continue
        scores = row.pop("scores")
        difference = None if exact is None else max(abs(a - b) for a, b in zip(scores, exact, strict=True))
        yield Speed(**row, largest_difference=difference, is_auto=Way(row["runtime"], row["precision"]) == auto)


def _measured(ref: Ref, way: Way, video: Path, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """What a new process says of itself."""
    failed = {"runtime": way.runtime, "precision": way.precision, "threads": count}
    try:
        opened(ref, way, say)  # a file that is exported once is not measured
    except StzooError as error:
        return {**failed, "error": str(error)}
    task = json.dumps([text_of(ref), way.runtime, way.precision, str(video), time.time()])
    environment = os.environ | {"OMP_NUM_THREADS": str(count)}
    command = [sys.executable, "-c", _CHILD, task]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {**failed, "error": f"it took more than {_MOST_SECONDS} s"}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return {**failed, "error": lines[-1] if lines else f"its process ended with {done.returncode}"}
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def answer() -> None:
    """What a measured process does: `sys.argv[1]` holds the task, and one line of JSON is printed."""
    from stzoo.video.reader import read_clips
    from stzoo.video.video import Video

    ref, runtime, precision, path, began = json.loads(sys.argv[1])
    predictor = opened(ref, Way(runtime, precision))
    pixels = read_clips(Video(Path(path)), predictor.contract, 1).clips
    predictor.scores_of(pixels)
    cold = time.time() - began
    scores = predictor.scores(path)
    each = 1000 * predictor.contract.crops / len(pixels)
    runs = [(each * clock, each * worked) for clock, worked in _runs(lambda: predictor.scores_of(pixels))]
    videos = [clock for clock, _ in _runs(lambda: predictor.scores(path))]
    low, middle, high = statistics.quantiles([clock for clock, _ in runs], n=4)
    print(
        json.dumps(
            {
                "runtime": runtime,
                "precision": predictor.precision,
                "device": str(predictor.device),
                "threads": threads(),
                "cold_start_seconds": round(cold, 3),
                "milliseconds_a_clip": round(middle, 3),
                "milliseconds_low": round(low, 3),
                "milliseconds_high": round(high, 3),
                "processor_milliseconds_a_clip": round(statistics.median(worked for _, worked in runs), 3),
                "clips": len(runs),
                "videos_a_second": round(1 / statistics.median(videos), 3),
                "megabytes": _megabytes(),
                "scores": scores.tolist(),
            }
        )
    )


def _runs(run: Callable[[], object]) -> Iterator[tuple[float, float]]:
    """The seconds of one run on the clock and of the processor after the other."""
    began, count = time.perf_counter(), 0
    while count < FEWEST_RUNS or (time.perf_counter() - began < SECONDS and count < MOST_RUNS):
        before, worked = time.perf_counter(), time.process_time()
        run()
        yield time.perf_counter() - before, time.process_time() - worked
        count += 1


def _megabytes() -> float | None:
    """The most memory of this process. Linux counts it from the program's start; `getrusage` from its parent's."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, 1)
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1)


def machine() -> dict[str, Any]:
    """What the numbers are true of."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "threads": threads(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }
