"""Finetuning against training from scratch on a small set of real clips, fold by fold, frames in order or shuffled.

    python benchmarks/folds.py CLIPS --folds groups.csv --classes classes.txt --subset matched=matched.txt
    python benchmarks/fold_tables.py runs-folds/results.json

CLIPS is the folder that the paths of the fold file start in. The fold file is a CSV with the columns path, label (a
class or its index) and fold, and source where clips are cut from common recordings. Every fold is held out once. Each
model of the zoo gives a strategy, which is trained from the model's weights, by the recipe of `stzoo finetune`, and
from random ones. Shuffled means that every clip's frames are in a random order, in training (another one every epoch)
and in testing; nets that were trained in order are tested on shuffled clips too.

All videos are decoded once. Every net is one file in OUT/cells and is not trained again; one that was stopped goes on
from its last epoch. OUT/results.json holds the answer of every net to every video, once all folds of a net are there.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stzoo import bundle as bundles
from stzoo.contract import InputContract
from stzoo.data.cache import ClipCache, open_clips, open_strips
from stzoo.data.datasets import Item, read_classes
from stzoo.data.own import OwnVideos
from stzoo.data.texts import read_lines
from stzoo.files import write_json, write_text
from stzoo.inference import video_scores
from stzoo.recipe import Recipe
from stzoo.training.adapting import finetuning_recipe
from stzoo.training.batches import TrainingClips
from stzoo.training.blueprint import architecture_of, first_net
from stzoo.training.initial import initialise
from stzoo.training.loop import Assignment, fit
from stzoo.training.machine import machine_of
from stzoo.training.run import Run
from stzoo.training.voice import SILENT
from stzoo.video.frame_order import FrameOrder
from stzoo.zoo.reference import find

MODELS = ("camera-motion-s", "camera-motion-st", "camera-motion-sst", "camera-motion-opt")
STARTS = ("finetuned", "scratch")
ORDERS = ("ordered", "shuffled")


@dataclass(frozen=True)
class Folds:
    """Videos with the fold that each is held out in and the recording that it was cut from."""

    classes: tuple[str, ...]
    items: tuple[Item, ...]
    names: tuple[str, ...]
    folds: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One net: what it starts from, and how it is trained."""

    model: str
    start: str
    order: str
    fold: str

    @property
    def name(self) -> str:
        return f"{self.model}.{self.start}.{self.order}.fold{self.fold}"


def shuffled(clips: np.ndarray) -> np.ndarray:
    """[videos, views, frames, ...] with the frames of every view in an order of its own, always the same."""
    mixed = np.array(clips)
    for video, views in enumerate(mixed):
        for view in range(len(views)):
            views[view] = views[view][np.random.default_rng([video, view]).permutation(views.shape[1])]
    return mixed


def read_folds(root: Path, file: Path, classes: tuple[str, ...]) -> Folds:
    """The videos of a fold file."""
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    if not rows or not {"path", "label", "fold"} <= rows[0].keys():
        sys.exit(f"{file} has no videos, or lacks one of the columns path, label and fold")
    labels = {name: index for index, name in enumerate(classes)} | {str(index): index for index in range(len(classes))}
    return Folds(
        classes,
        tuple(Item(root / row["path"], labels[row["label"]]) for row in rows),
        tuple(row["path"] for row in rows),
        tuple(row["fold"] for row in rows),
        tuple(row.get("source") or row["path"] for row in rows),
    )


class Bench:
    """All cells over one set of videos, which are decoded once for each input that a model wants."""

    def __init__(self, folds: Folds, arguments: argparse.Namespace) -> None:
        self.folds = folds
        self.out: Path = arguments.out
        self.cache: Path = arguments.cache or arguments.out / "cache"
        self.epochs = {"finetuned": arguments.finetune_epochs, "scratch": arguments.scratch_epochs}
        self.scratch_rate: float = arguments.scratch_learning_rate
        self.overrides: tuple[str, ...] = tuple(arguments.overrides)
        self._decoded: dict[InputContract, tuple[ClipCache, ClipCache]] = {}

    def recipe(self, cell: Cell) -> Recipe:
        """What `stzoo finetune` would train on this fold; from scratch with another rate and more epochs."""
        rows = range(len(self.folds.items))
        training, tested = (
            tuple(self.folds.items[row] for row in rows if (self.folds.folds[row] == cell.fold) == held_out)
            for held_out in (False, True)
        )
        videos = OwnVideos(self.out.absolute(), self.folds.classes, training, tested)
        scratch = ("init.from=none", f"fixed.learning_rate={self.scratch_rate}") if cell.start == "scratch" else ()
        return finetuning_recipe(
            cell.model,
            bundles.read(find(cell.model).folder),
            videos,
            self.out,
            name="fold",
            epochs=self.epochs[cell.start],
            overrides=(*scratch, *self.overrides),
        )

    def decoded(self, recipe: Recipe) -> tuple[ClipCache, ClipCache]:
        """Strips to train on and clips to test on, of all videos."""
        contract, augment = recipe.input, recipe.augment
        if contract not in self._decoded:
            assert augment.strip_frames is not None
            assert augment.strip_size is not None
            strips = open_strips(
                self.cache,
                self.folds.items,
                contract,
                frames=augment.strip_frames,
                size=augment.strip_size,
                max_broken=0.0,
            )
            self._decoded[contract] = strips, open_clips(self.cache, self.folds.items, contract, max_broken=0.0)
        return self._decoded[contract]

    def train(self, cell: Cell) -> dict[str, Any]:
        """Trains and tests one net: scores of the held-out videos by the order of their frames."""
        began, recipe = time.monotonic(), self.recipe(cell)
        strategy = bundles.read(find(cell.model).folder).strategy
        strips, clips = self.decoded(recipe)
        rows = np.array([row for row, fold in enumerate(self.folds.folds) if fold != cell.fold], dtype=np.int64)
        orders: list[FrameOrder] = ["shuffled"] * len(rows) if cell.order == "shuffled" else []
        contract, fixed, machine = recipe.input, recipe.fixed, machine_of(recipe.compute)
        assert fixed is not None
        seen, augment = recipe.training_input, recipe.augment
        training = TrainingClips(
            strips.clips,
            rows,
            strips.labels[rows],
            seen.frames,
            seen.crop,
            flip=augment.flip is not False,
            orders=orders,
            short_sides=augment.short_sides,
        )
        net = first_net(recipe, architecture_of(recipe, len(self.folds.classes)), strategy)
        run = Run(self.out / "runs" / cell.name, recipe)  # it is asked for its recipe, and never begun
        initialise(run, net, self.folds.classes, SILENT)
        checkpoint = self.out / "cells" / f"{cell.name}.safetensors"
        last: dict[str, float] = {}

        def keep(_epoch: int, numbers: dict[str, float]) -> float:
            last.update(numbers)
            return math.nan  # there is no selection split, and no epoch that is the best on it

        assignment = Assignment("fixed", fixed, recipe.seed, contract)
        fit(net, training, assignment, machine, checkpoint=checkpoint, record=keep, progress=False)
        held_out = [row for row, fold in enumerate(self.folds.folds) if fold == cell.fold]
        tested = {"ordered": clips.clips[held_out]} if cell.order == "ordered" else {}
        tested["shuffled"] = shuffled(clips.clips[held_out])
        scores = {
            order: video_scores(net.eval(), pixels, contract, device=machine.device).astype(float).round(4).tolist()
            for order, pixels in tested.items()
        }
        seconds = round(time.monotonic() - began, 1)
        write_json(
            self.out / "cells" / f"{cell.name}.json",
            {"seconds": seconds, "loss": last.get("loss"), "train_accuracy": last.get("train_accuracy"), **scores},
        )
        checkpoint.unlink(missing_ok=True)
        return {"seconds": seconds, **last}

    def gathered(self, cells: list[Cell]) -> dict[str, Any]:
        """What all finished cells say: a line for every kind of net, with its answers in the order of the videos."""
        lines: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        for cell in cells:
            path = self.out / "cells" / f"{cell.name}.json"
            scores_by_order = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            held_out = [row for row, fold in enumerate(self.folds.folds) if fold == cell.fold]
            for tested in ORDERS:
                if tested in scores_by_order:
                    key = (cell.model, cell.start, cell.order, tested)
                    named = dict(zip(("model", "start", "trained", "tested"), key, strict=True))
                    line = lines.setdefault(key, {**named, "answers": [None] * len(self.folds.items)})
                    for row, scores in zip(held_out, scores_by_order[tested], strict=True):
                        line["answers"][row] = int(np.argmax(scores))
        return {
            "classes": self.folds.classes,
            "videos": self.folds.names,
            "labels": [item.label for item in self.folds.items],
            "folds": self.folds.folds,
            "sources": self.folds.sources,
            "nets": [line for line in lines.values() if None not in line["answers"]],
        }


def read_subset(text: str, names: tuple[str, ...]) -> tuple[str, list[int]]:
    """`NAME=FILE`: the numbers of the videos whose paths begin the lines of a file."""
    name, _, file = text.partition("=")
    known, numbers = {path: number for number, path in enumerate(names)}, []
    for number, line in read_lines(Path(file)):
        words = line.split(" ")
        path_here = next((path for end in range(len(words), 0, -1) if (path := " ".join(words[:end])) in known), None)
        if path_here is None:
            sys.exit(f"{file} line {number} begins with none of the videos")
        numbers.append(known[path_here])
    return name, numbers


def main() -> None:
    """Trains what is missing and writes results.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--folds", type=Path, required=True, help="CSV with path, label, fold and perhaps source")
    parser.add_argument("--classes", type=Path, required=True)
    parser.add_argument(
        "--subset", action="append", default=[], metavar="NAME=FILE", help="report these videos alone too"
    )
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=STARTS)
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=ORDERS)
    parser.add_argument("--finetune-epochs", type=int, default=12)
    parser.add_argument("--scratch-epochs", type=int, default=24)
    parser.add_argument("--scratch-learning-rate", type=float, default=0.05)
    parser.add_argument("--set", dest="overrides", action="append", default=["augment.flip=true"], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs-folds"))
    parser.add_argument("--cache", type=Path, help="decoded clips; by default OUT/cache")
    parser.add_argument("--most", type=int, help="train so many nets and stop; 0 gathers what is there")
    arguments = parser.parse_args()

    folds = read_folds(arguments.clips, arguments.folds, read_classes(arguments.classes))
    subsets = dict(read_subset(text, folds.names) for text in arguments.subset)
    bench = Bench(folds, arguments)
    cells = [
        Cell(model, start, order, fold)
        for fold in sorted(set(folds.folds))
        for order in ORDERS
        for start in STARTS
        for model in arguments.models
    ]
    settings = {
        "finetune_epochs": arguments.finetune_epochs,
        "scratch_epochs": arguments.scratch_epochs,
        "scratch_learning_rate": arguments.scratch_learning_rate,
        "set": arguments.overrides,
    }
    written = arguments.out / "settings.json"
    if written.exists() and json.loads(written.read_text(encoding="utf-8")) != settings:
        sys.exit(f"{written} says other settings than these; choose another folder with --out")
    write_json(written, settings)
    pending = [
        cell
        for cell in cells
        if cell.start in arguments.starts
        and cell.order in arguments.orders
        and not (arguments.out / "cells" / f"{cell.name}.json").exists()
    ]
    for number, cell in enumerate(pending[: arguments.most], 1):
        done = bench.train(cell)
        print(f"{number}/{len(pending)} {cell.name} {done['seconds']} s, loss {done.get('loss', 0):.3f}", flush=True)
    machine = {"torch": torch.__version__, "threads": torch.get_num_threads(), "processor": platform.machine()}
    results = {"settings": settings, "machine": machine, "subsets": subsets, **bench.gathered(cells)}
    text = json.dumps(results, ensure_ascii=False).replace('{"model"', '\n{"model"')
    write_text(arguments.out / "results.json", f"{text}\n")
    print(f"{len(results['nets'])} nets with all folds are in {arguments.out / 'results.json'}")


if __name__ == "__main__":
    main()
