"""Whether videos with near vectors have the same label: the nearest other video of a list, by cosine.

    stzoo data make camera --out data/camera --clips 1600
    python benchmarks/neighbours.py data/camera/motion/test.txt data/camera/scene/test.txt

prints a table: how often the nearest video has the same label, with Wilson's interval, beside what a random other video
would have. The videos of a list are embedded once by each model.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

import stzoo
from stzoo.metrics import share
from stzoo.prediction.scoring import Embedded, embed_files
from stzoo.video.video import Video

MODELS = ("camera-motion-opt", "camera-scene-opt")


def listed(path: Path) -> tuple[list[Path], list[str]]:
    pairs = [line.rsplit(" ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return [path.parent.parent / name for name, _ in pairs], [label for _, label in pairs]


def nearest(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    return likeness.argmax(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", nargs="+", type=Path, metavar="LIST", help="`path label` a line")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    arguments = parser.parse_args()
    print("| list | videos | labels | vectors of | nearest has the same label | interval | a random one |")
    print("|---|---|---|---|---|---|---|")
    for path in arguments.lists:
        videos, labels = listed(path)
        chance = sum(count * (count - 1) for count in Counter(labels).values()) / (len(labels) * (len(labels) - 1))
        for name in arguments.models:
            model = stzoo.load(name, device="cpu", runtime="auto")
            answers = list(embed_files(model, [Video(video) for video in videos], workers=0))
            vectors = np.stack([answer.vector for answer in answers if isinstance(answer, Embedded)])
            assert len(vectors) == len(labels), "some videos cannot be read"
            same = share(np.array(labels)[nearest(vectors)] == np.array(labels))
            print(
                f"| {path.parent.name}/{path.stem} | {len(labels)} | {len(set(labels))} | {name} | "
                f"{same.value:.1%} | {same.low:.1%} to {same.high:.1%} | {chance:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
