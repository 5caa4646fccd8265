"""What a training process itself spends on a clip that others decode, and on copying one: docs/results/feeding.md.

    python benchmarks/feed.py VIDEOS

Clips of the videos of a folder are decoded by worker processes and made into batches in two ways, in turn: as pickles
through the pipes of the pool, stacked (as it was before), and as `stzoo.training.batches.DecodedClips` does it.
Counted is the processor time of this process, all of its threads, without that of its workers; of slots also from the
fifth batch on, when their memory is there. Then the clips of a cache are given to a net that does nothing, copied and
as views of the map.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from side_by_side import machine

from stzoo.contract import InputContract
from stzoo.data.broken import Cap
from stzoo.data.datasets import Item
from stzoo.inference import clip_batches
from stzoo.pool import in_order, processes
from stzoo.training.batches import DecodedClips
from stzoo.training.draws import Draws
from stzoo.video.augment import Cut, clip_or_reason

ROUNDS = 3
FIRST_BATCHES = 4


def pickled(source: DecodedClips, draws: Draws, batch_size: int, workers: int) -> Iterator[torch.Tensor]:
    """Batches of clips that come through pipes."""
    jobs = (partial(clip_or_reason, *source._job(sample, draws)) for sample in draws.order(len(source)).tolist())
    with processes(workers) as pool:
        clips = in_order(pool, jobs, 2 * batch_size + 2 * workers)
        while batch := list(itertools.islice(clips, batch_size)):
            yield torch.from_numpy(np.stack(batch))


def milliseconds(work: Callable[[], object], clips: int) -> float:
    """Processor time of this process for each of the clips."""
    began = time.process_time()
    work()
    return 1e3 * (time.process_time() - began) / clips


def settled(batches: Iterator[object], clips: int) -> tuple[float, float]:
    """Milliseconds a clip in all threads of this process, and in this thread, once the first batches are through."""
    exhausted(itertools.islice(batches, FIRST_BATCHES))
    began, began_here = time.process_time(), time.thread_time()
    exhausted(batches)
    return 1e3 * (time.process_time() - began) / clips, 1e3 * (time.thread_time() - began_here) / clips


def exhausted(batches: Iterator[object]) -> None:
    for _ in batches:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    print(machine())
    files = sorted(path for path in arguments.videos.rglob("*") if path.suffix in (".mp4", ".avi", ".webm", ".mkv"))
    items = [Item(path, 0) for path in itertools.islice(itertools.cycle(files), arguments.clips)]
    contract = InputContract(frames=32, stride_frames=2, resize=256, crop=224)
    source = DecodedClips(items, Cut(contract), Cap(0.0, len(items)), print, arguments.workers)
    draws = Draws(0, "warmup", 0)
    ways = {
        "through pipes, stacked": lambda: exhausted(pickled(source, draws, arguments.batch, arguments.workers)),
        "in shared slots": lambda: exhausted(source.epoch(draws, arguments.batch)),
    }
    for number, (name, work) in itertools.product(range(ROUNDS), ways.items()):
        print(f"round {number + 1}, {name}: {milliseconds(work, len(items)):.2f} ms a clip", flush=True)
    for number in range(ROUNDS):
        clips = len(items) - FIRST_BATCHES * arguments.batch
        spent, here = settled(source.epoch(draws, arguments.batch), clips)
        print(f"round {number + 1}, slots that are there: {spent:.2f} ms a clip, {here:.3f} in this thread", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        shape = (arguments.clips, 1, contract.frames, contract.crop, contract.crop, 3)
        written = np.memmap(Path(folder) / "frames.u8", np.uint8, "w+", shape=shape)
        written[:] = 7
        written.flush()
        cache = np.memmap(Path(folder) / "frames.u8", np.uint8, "c", shape=shape)
        rows = np.arange(len(cache))
        copies = {
            "copied": lambda: exhausted(
                torch.from_numpy(np.array(cache[row : row + 8])) for row in range(0, len(rows), 8)
            ),
            "as views": lambda: exhausted(clip_batches(cache, 8)),
        }
        for number, (name, work) in itertools.product(range(ROUNDS), copies.items()):
            print(f"round {number + 1}, clips of a cache {name}: {milliseconds(work, len(cache)):.3f} ms a clip")


if __name__ == "__main__":
    main()
