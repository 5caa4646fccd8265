"""What `stzoo data shrink` keeps, saves and spends: docs/results/feeding.md.

    python benchmarks/shrink.py VIDEOS --model MODEL
    python benchmarks/shrink.py VIDEOS --model MODEL --files 0 --data val.txt

VIDEOS holds real files in a folder a class. Of `--files` of them: their size, the likeness of their frames (against the
original in the new size, as PSNR), and the processor time of one random training clip, before and after. Then the same
of longer and larger copies: the frames of a file to and fro, 300 of them, enlarged and encoded with x264's own
settings. Enlarged frames are soft, so they are small files and quick to decode. Last, the scores of a model that knows
the classes, before and after; with `--data` on a list of videos, best such as it was not trained on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from side_by_side import machine

import stzoo
from stzoo.contract import InputContract
from stzoo.data.labelled import labelled
from stzoo.video.augment import Cut, read_random_clip
from stzoo.video.decode import probe, read_frames
from stzoo.video.shrink import shrink
from stzoo.video.track import Track
from stzoo.video.video import Video

CUT = Cut(InputContract(frames=32, stride_frames=2, resize=256, crop=224), (256, 320), flip=True)
DRAWS = 5
SIZES = ((340, 256), (640, 360), (1280, 720))
LONG = 300


def milliseconds_a_clip(path: Path) -> float:
    """The median of a few random clips."""
    taken = []
    for seed in range(DRAWS):
        draws = np.random.default_rng(seed).random(CUT.draws)
        began = time.thread_time()
        read_random_clip(Video(path), CUT, draws)
        taken.append(1e3 * (time.thread_time() - began))
    return float(np.median(taken))


def psnr(before: Path, after: Path) -> float:
    """Of every ninth frame, in decibels."""
    old, new = probe(before), probe(after)
    size = new.width, new.height
    wanted = np.arange(0, old.frames, 9)
    kept = read_frames(old, wanted, lambda frame: cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(float))
    written = read_frames(new, wanted, lambda frame: frame.astype(float))
    return float(10 * np.log10(255**2 / np.mean([np.square(kept[index] - written[index]).mean() for index in kept])))


def compared(name: str, paths: Iterable[Path], folder: Path) -> None:
    """Prints what shrinking makes of some files."""
    rows = []
    for number, path in enumerate(paths):
        new = folder / f"{number}.mp4"
        began = time.thread_time()
        frames, _ = shrink(Video(path), new)
        a_frame = 1e3 * (time.thread_time() - began) / frames
        rows.append(
            (
                path.stat().st_size,
                new.stat().st_size,
                psnr(path, new),
                milliseconds_a_clip(path),
                milliseconds_a_clip(new),
                a_frame,
            )
        )
    before, after, likeness, clip_before, clip_after, writing = np.array(rows).T
    print(
        f"{name}: {len(rows)} files, {after.sum() / before.sum():.2f} of the bytes, PSNR {np.median(likeness):.1f} dB "
        f"({likeness.min():.1f} to {likeness.max():.1f}), a clip {np.median(clip_before):.1f} -> "
        f"{np.median(clip_after):.1f} ms (ratio {np.median(clip_before / clip_after):.2f}), writing a frame "
        f"{np.median(writing):.2f} ms",
        flush=True,
    )


def longer(path: Path, size: tuple[int, int], new: Path) -> Path:
    """The frames of a file to and fro, enlarged."""
    info = probe(path)
    found = read_frames(info, np.arange(info.frames), lambda frame: np.array(frame))
    turns = np.abs((np.arange(LONG) + info.frames - 1) % (2 * info.frames - 2) - info.frames + 1)
    with av.open(str(new), "w") as target:
        track = Track(target, info, size, ticks=90_000, options={"threads": "1"})
        rate = Fraction(25)
        for number, turn in enumerate(turns.tolist()):
            frame = cv2.resize(found[turn], size, interpolation=cv2.INTER_CUBIC)
            track.add(np.asarray(frame, np.uint8), float(number / rate), float((number + 1) / rate))
        track.finish()
    return new


def scores_compared(name: str, data: Path, root: Path, most: int, place: Path) -> None:
    """Prints what a model says of labelled videos before and after."""
    model = stzoo.load(name)
    everything = labelled(data, root, model.labels)
    items = everything[:: max(1, len(everything) // most)][:most]
    scores = []
    for item in items:
        shrink(item.video, place / "scored.mp4")
        scores.append([model.scores(each) for each in (item.path, place / "scored.mp4")])
    before, after = np.array(scores).transpose(1, 0, 2)
    labels = np.array([item.label for item in items])
    rows = np.arange(len(labels))
    losses = [-np.log(each[rows, labels]).mean() for each in (before, after)]
    print(
        f"{name}, {len(labels)} videos of {data.name}: top-1 {np.mean(before.argmax(1) == labels):.3f} -> "
        f"{np.mean(after.argmax(1) == labels):.3f}, cross-entropy {losses[0]:.3f} -> {losses[1]:.3f}, the same answer "
        f"for {np.mean(before.argmax(1) == after.argmax(1)):.3f}, scores differ by "
        f"{np.abs(before - after).mean():.4f} on average, {np.abs(before - after).max():.3f} at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--model", default="jhmdb21-mobilenet_v2-1.8G")
    parser.add_argument("--data", type=Path, help="a list of videos below VIDEOS; by default all")
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--scored", type=int, default=60)
    arguments = parser.parse_args()
    print(machine())
    everything = sorted(arguments.videos.rglob("*.mp4"))
    files = everything[:: max(1, len(everything) // max(1, arguments.files))][: arguments.files]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if files:
            compared("as they are", files, place)
        for size in SIZES if files else ():
            copies = [longer(path, size, place / f"long{number}.mp4") for number, path in enumerate(files[:3])]
            compared(f"{LONG} frames of {size[0]}x{size[1]}", copies, place)
        data = arguments.data or arguments.videos
        scores_compared(arguments.model, data, arguments.videos, arguments.scored, place)


if __name__ == "__main__":
    main()
