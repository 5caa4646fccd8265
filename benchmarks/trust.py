"""How far the scores of a model are to be believed: the tables of docs/results/trust.md.

    stzoo data make camera --seed 1 --clips 978 --out camera1
    python benchmarks/trust.py camera1 FOREIGN [FOREIGN ...]

A copy of camera-motion-opt is calibrated, alone and as an average of nets drawn from its template, on 400 of the videos
that were made; the others are its own test. Every FOREIGN is a folder of footage that is of nothing it was trained on.
Each net is asked as it is and at its temperature, with the threshold that the 400 videos show then.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from stzoo import bundle as bundles
from stzoo import load, metrics
from stzoo.bundle.confidence import Confidence, read
from stzoo.data.datasets import read_list
from stzoo.files import packaged
from stzoo.metrics import Estimate
from stzoo.prediction.confidence import of_videos, thresholds
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.scoring import ClipScored, clip_score_files
from stzoo.video.video import Video
from stzoo.zoo.calibrating import calibrate

MODEL, NETS = "camera-motion-opt", 8
CALIBRATING, FOREIGN, PRECISION = 400, 150, 0.95


@dataclass(frozen=True)
class Footage:
    """Videos, and their labels where they are known."""

    name: str
    videos: list[Video]
    labels: np.ndarray | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camera", type=Path)
    parser.add_argument("foreign", type=Path, nargs="+")
    options = parser.parse_args()
    labels = bundles.read(packaged("bundled") / MODEL).labels
    made = [
        item
        for part in ("train", "val", "test", "test-unseen")
        for item in read_list(options.camera / "motion" / f"{part}.txt", options.camera, labels)
    ]
    learning, own = (
        Footage(name, [item.video for item in items], np.array([item.label for item in items]))
        for name, items in (("calibrating", made[:CALIBRATING]), ("own test", made[CALIBRATING:]))
    )
    footage = [own, *(Footage(path.name, list(spread(path)), None) for path in options.foreign)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(packaged("bundled") / MODEL, Path(folder) / MODEL))
        for average in (None, NETS):
            done = calibrate(copy, made[:CALIBRATING], "train", average=average, workers=0, say=print)
            print(done.confidence, f"log loss {done.before.value:.4f} to {done.after.value:.4f}", flush=True)
        fits = read(copy, bundles.weights_digest(copy))
        for nets, predictor in ((1, load(copy)), (NETS, load(copy, average=NETS))):
            table(nets, predictor, fits[nets], learning, footage)


def spread(folder: Path) -> Iterator[Video]:
    """Some of the videos below a folder, spread evenly over it."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".mp4", ".avi"))
    yield from map(Video, paths[:: -(-len(paths) // FOREIGN)])


def table(nets: int, predictor: Predictor, fit: Confidence, learning: Footage, footage: Sequence[Footage]) -> None:
    scored = {each.name: list(clip_score_files(predictor, each.videos, workers=0)) for each in (learning, *footage)}
    clips = {name: [one.scores for one in parts if isinstance(one, ClipScored)] for name, parts in scored.items()}
    assert learning.labels is not None
    for temperature in (1.0, fit.temperature):
        print(f"\n{nets} net(s), temperature {temperature}")
        least = least_score(of_videos(clips[learning.name], temperature), learning.labels)
        for each in footage:
            scores = of_videos(clips[each.name], temperature)
            if each.labels is not None:
                right = scores.argmax(axis=1) == each.labels
                curve = metrics.risk_coverage(scores, each.labels)
                error = metrics.calibration(scores, each.labels).error
                print(
                    f"{each.name}, {len(scores)} videos: top-1 {percent(metrics.accuracy(scores, each.labels))}, "
                    f"log loss {metrics.log_loss(scores, each.labels).value:.4f}, "
                    f"Brier {metrics.brier(scores, each.labels).value:.4f}, ECE {percent(error)}, area {curve.area:.5f}"
                )
                if least is not None:
                    answered = scores.max(axis=1) >= least
                    print(f"  answered, at least {least:.4f}: {percent(metrics.share(answered))}")
                    print(f"  of these right: {percent(metrics.share(right[answered]))}")
            else:
                best = [predictor.labels[index] for index in scores.argmax(axis=1)]
                print(f"{each.name}: mean confidence {scores.max(axis=1).mean():.3f}, most often {most_often(best)}")
                if least is not None:
                    unknown = metrics.share(scores.max(axis=1) < least)
                    print(f"  {len(scores)} videos: unknown {percent(unknown)}")
    if nets > 1:
        by_disagreement(clips, fit.temperature, footage)


def least_score(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """The threshold of the wanted precision, where the videos show one."""
    return next((one.score for one in thresholds(scores, labels) if one.precision == PRECISION), None)


def by_disagreement(clips: dict[str, list[np.ndarray]], temperature: float, footage: Sequence[Footage]) -> None:
    """What is unknown where as many of the own videos are answered as by score, the nets least of one mind left out."""
    of_nets = {
        name: np.stack([of_videos([net[None] for net in one], temperature) for one in parts])
        for name, parts in clips.items()
    }
    apart = {name: entropy(each.mean(axis=1)) - entropy(each).mean(axis=1) for name, each in of_nets.items()}
    most = np.quantile(apart["own test"], 0.9)
    print(f"\nMutual information of video and net: 10 % of the own test are above {most:.4f} nats")
    for each in footage:
        print(f"  {each.name}: above {percent(metrics.share(apart[each.name] > most))}")


def entropy(scores: np.ndarray) -> np.ndarray:
    return -(scores * np.log(np.maximum(scores, 1e-12))).sum(axis=-1)


def most_often(labels: list[str]) -> str:
    names, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts)[:3]
    return ", ".join(f"{names[place]} ({100 * counts[place] / len(labels):.0f} %)" for place in order)


def percent(value: Estimate) -> str:
    return f"{100 * value.value:.1f} % ({100 * value.low:.1f} to {100 * value.high:.1f})"


if __name__ == "__main__":
    print = partial(print, flush=True)
    main()
