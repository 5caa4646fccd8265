"""What the experiments share: fixed nets trained by recipe, and what they answer on the made set's other videos."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

import stzoo
from stzoo import bundle as bundles
from stzoo.bundle import rebuild
from stzoo.data.cache import open_clips
from stzoo.data.datasets import Item, read_classes, read_list
from stzoo.files import write_json
from stzoo.inference import video_scores
from stzoo.nets.classifier import Classifier
from stzoo.space.one_shot import Answers
from stzoo.strategies.strategy import Strategy

SPLITS = ("test", "test-unseen")
"""Videos that chose nothing: of pictures that training saw, filmed anew, and of other pictures."""


class Measured(NamedTuple):
    """What a net says of all videos of `SPLITS` together, and the picture that each of them films."""

    answers: Answers
    pictures: list[str]


def train_alone(
    recipe: str, strategy: Strategy, folder: Path, *, data: Path, cache: Path, overrides: Sequence[str] = ()
) -> Path:
    """Trains a fixed net by a recipe of the package, in bfloat16; one that has finished is left as it is.

    Gives the bundle's folder.
    """
    chosen = folder.parent / "strategies" / f"{folder.name}.json"
    if not chosen.exists():
        write_json(chosen, strategy.to_json())
    own = [f"data.root='{data.resolve()}'", "compute.precision='bfloat16'", f"fixed.strategy='{chosen.resolve()}'"]
    return stzoo.train(recipe, folder=folder, overrides=[f"name='{folder.name}'", *own, *overrides], cache=cache)


def measured(net: Classifier, bundle: Path, data: Path, question: str, cache: Path) -> Measured:
    """The video-level answers of a net under its bundle's contract, in float32."""
    about = bundles.read(bundle)
    items = _items(data, question, about.labels)
    held = open_clips(cache, items, about.contract, max_broken=0.0, progress=False)
    scores = video_scores(net.eval(), held.clips, about.contract, device=torch.device("cpu"), at_once=64)
    return Measured(Answers.of(scores, held.labels), pictures_of(data, question))


def pictures_of(data: Path, question: str) -> list[str]:
    """The picture that each of the videos films."""
    pictures = {row["path"]: row["picture"] for row in csv.DictReader((data / "clips.csv").open(encoding="utf-8"))}
    labels = read_classes(data / f"{question}/classes.txt")
    return [pictures[str(item.path.relative_to(data))] for item in _items(data, question, labels)]


def _items(data: Path, question: str, labels: Sequence[str]) -> list[Item]:
    return [item for split in SPLITS for item in read_list(data / f"{question}/{split}.txt", data, labels)]


def measured_bundle(bundle: Path, data: Path, question: str, cache: Path) -> Measured:
    """The same of the net that a bundle holds."""
    return measured(rebuild.build(bundle, bundles.read(bundle)), bundle, data, question, cache)


def resampled(pictures: Sequence[str], random: np.random.Generator) -> Float64[np.ndarray, " videos"]:
    """How often every video counts in one bootstrap sample, which draws whole pictures."""
    _, places = np.unique(np.array(pictures), return_inverse=True)
    count = int(places.max()) + 1
    return np.bincount(random.integers(count, size=count), minlength=count)[places].astype(np.float64)
