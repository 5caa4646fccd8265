"""Long videos with several events each: trained on segments and on cut clips, events found again, and rare classes.

    stzoo data make camera --out data/camera-1 --seed 1 --clips 1000
    python benchmarks/segments.py data/camera-1 --out runs/segments

A recording is ten events in a random order, one for each motion of the camera; an event is two shots of other pictures,
one behind the other. Shots are those of the made set, shown at one size and rate. Of 20 recordings, made of the set's
training clips, a model that knows the camera's motions learns them anew under other names, which replaces its head; it
is measured on eight recordings of the clips of val, test and test-unseen. Prints three answers, as Markdown:

1. accuracy when trained on events as segments of the recordings, and as clips that are cut out of them;
2. F1 of the events that `stzoo predict --timeline --events` finds, at an overlap of 0.5 (intersection over union);
3. balanced accuracy with and without `--balance`, where five of the ten motions have a twentieth of the others' shots.
"""

from __future__ import annotations

import argparse
import csv
import random
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

import stzoo
from stzoo.video.source import open_source
from stzoo.video.video import Video

SIZE, RATE = 96, 24
TRAINING, TESTING, SHOTS = 20, 8, 2
RARE = 20
HEADER = ("path", "start", "end", "label")


class Event(NamedTuple):
    """A row of a list."""

    path: str
    start: float
    end: float
    label: str


def shot(path: Path) -> list[np.ndarray]:
    """A clip's frames at the recordings' size and rate."""
    source = open_source(Video(path))
    times = source.info.timestamps_seconds - source.info.timestamps_seconds[0]
    wished = np.arange(0, source.info.duration_seconds, 1 / RATE)
    nearest = np.abs(times[:, None] - wished[None]).argmin(axis=0)
    frames = dict(source.frames(np.unique(nearest)))
    square = {}
    for index, frame in frames.items():
        side, (height, width) = min(frame.shape[:2]), frame.shape[:2]
        top, left = (height - side) // 2, (width - side) // 2
        square[index] = cv2.resize(
            frame[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA
        )
    return [square[index] for index in nearest.tolist()]


def write(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(RATE), options={"crf": "14", "g": "48", "preset": "veryfast", "threads": "1"}
        )
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def read_list(path: Path) -> list[Event]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Event(row["path"], float(row["start"]), float(row["end"]), row["label"]) for row in csv.DictReader(file)
        ]


def write_list(path: Path, events: list[Event]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEADER)
        table.writerows((name, f"{start:.3f}", f"{end:.3f}", label) for name, start, end, label in events)


def film(camera: Path, out: Path, split: str, seed: int) -> tuple[list[Event], list[Event]]:
    """Writes a split's recordings and the clips cut out of them; gives their events, and their shots."""
    with (camera / "clips.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["split"] == "train") == (split == "train")]
    draws = random.Random(seed)
    draws.shuffle(rows)
    motions = sorted({row["motion"] for row in rows})
    waiting = {motion: [row["path"] for row in rows if row["motion"] == motion] for motion in motions}
    events, shots = [], []
    for number in range(TRAINING if split == "train" else TESTING):
        name = f"{split}-{number:02d}.mp4"
        frames: list[np.ndarray] = []
        for motion in draws.sample(motions, len(motions)):
            label, start = f"camera {motion}", len(frames)
            for _ in range(SHOTS):
                first = len(frames)
                frames += shot(camera / waiting[motion].pop())
                shots.append(Event(name, first / RATE, len(frames) / RATE, label))
            events.append(Event(name, start / RATE, len(frames) / RATE, label))
            folder = out / f"cut-{split}" / label
            folder.mkdir(parents=True, exist_ok=True)
            write(folder / f"{number:02d}.mp4", frames[start:])
        write(out / name, frames)
    return events, shots


def unbalanced(shots: list[Event]) -> list[Event]:
    """All shots of every other motion, and a twentieth of those of the others, each of another recording."""
    motions = sorted({shot.label for shot in shots})
    few = TRAINING * SHOTS // RARE
    kept: list[Event] = []
    for place, motion in enumerate(motions):
        own = [shot for shot in shots if shot.label == motion]
        kept += own if place % 2 == 0 else own[:: SHOTS * (TRAINING // few)][:few]
    return sorted(kept)


def f1(found: list[Event], true: list[Event], overlap: float = 0.5) -> float:
    """Each true event is found once at most, by an event with its label that overlaps it by so much."""
    left, hits = list(true), 0
    for event in found:
        for other in left:
            both = min(event.end, other.end) - max(event.start, other.start)
            either = max(event.end, other.end) - min(event.start, other.start)
            if (event.path, event.label) == (other.path, other.label) and both / either >= overlap:
                left.remove(other)
                hits += 1
                break
    return 2 * hits / (len(found) + len(true))


def trained(arguments: argparse.Namespace, data: Path, name: str, seed: int, *, balance: bool = False) -> Path:
    return stzoo.finetune(
        arguments.model,
        data,
        val=arguments.out / "test.csv" if data.suffix == ".csv" else arguments.out / "cut-test",
        epochs=arguments.epochs,
        balance=balance,
        folder=arguments.out / f"{name}-{seed}",
        cache=arguments.out / "cache",
        overrides=[f"seed={seed}", "compute.threads=1"],
    )


def measured(bundle: Path, data: Path, which: str) -> float:
    return float(stzoo.evaluate(bundle, data)[which]["value"])


def found_events(bundle: Path, out: Path, seed: int) -> list[Event]:
    videos = sorted(str(path) for path in out.glob("test-*.mp4"))
    file = out / f"events-{seed}.csv"
    file.unlink(missing_ok=True)
    options = [
        "--model",
        str(bundle),
        "--timeline",
        "--window",
        "2",
        "--hop",
        "0.25",
        "--clips",
        "1",
        "--format",
        "jsonl",
    ]
    subprocess.run(
        [sys.executable, "-m", "stzoo", "predict", *videos, *options, "--events", str(file)],
        check=True,
        capture_output=True,
    )
    return read_list(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camera", type=Path, help="a folder of `stzoo data make camera`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="camera-motion-opt")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    segments, tests, rare = (out / f"{name}.csv" for name in ("train", "test", "rare"))
    if not rare.exists():
        train, shots = film(arguments.camera, out, "train", 0)
        test, _ = film(arguments.camera, out, "test", 1)
        write_list(segments, train)
        write_list(tests, test)
        write_list(rare, unbalanced(shots))
    train, test = read_list(segments), read_list(tests)
    seconds = sum(event.end - event.start for event in train + test)
    print(f"{TRAINING} + {TESTING} recordings, {seconds:.0f} s; filmed in {time.perf_counter() - began:.0f} s\n")
    print("| seed | trained on segments | on cut clips | F1 of events | rare classes, plain | with `--balance` |")
    print("|---|---|---|---|---|---|", flush=True)
    for seed in arguments.seeds:
        on_segments = trained(arguments, segments, "segments", seed)
        on_clips = trained(arguments, out / "cut-train", "clips", seed)
        accuracies = [measured(on_segments, tests, "top1"), measured(on_clips, out / "cut-test", "top1")]
        score = f1(found_events(on_segments, out, seed), test)
        plain, balanced = (
            measured(trained(arguments, rare, name, seed, balance=name == "balanced"), tests, "balanced_accuracy")
            for name in ("plain", "balanced")
        )
        numbers = " | ".join(f"{value:.1%}" for value in accuracies)
        print(f"| {seed} | {numbers} | {score:.3f} | {plain:.1%} | {balanced:.1%} |", flush=True)
    print(f"\nAll in {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main()
