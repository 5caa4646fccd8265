"""What a recipe trains, selects and measures on: lists, the split carved out of train, and decoded clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from stzoo.contract import InputContract
from stzoo.errors import DataError
from stzoo.evaluation import to_input
from stzoo.recipe import Recipe
from stzoo.selection import SelectionClips
from stzoo.training.batches import TrainingClips
from stzoo.training.draws import order
from stzoo.video.cache import ClipCache, open_clips, open_strips
from stzoo.video.datasets import Item, read_classes, read_list

CALIBRATION_BATCH = 64


@dataclass(frozen=True, eq=False)
class Splits:
    """The training list in two disjoint parts, as row numbers of the list."""

    train: Int64[np.ndarray, " train"]
    selection: Int64[np.ndarray, " selection"]


def split(videos: int, fraction: float, seed: int) -> Splits:
    """Carves the selection split out of a training list: a seeded draw, rows in rising order.

    Raises `DataError` when either part would be empty.
    """
    held_out = round(videos * fraction)
    if not 0 < held_out < videos:
        raise DataError(
            f"data.selection_fraction = {fraction} of {videos} training videos leaves one split empty; "
            "give more videos or another fraction"
        )
    shuffled = order(seed, "selection", 0, videos)
    return Splits(np.sort(shuffled[held_out:]), np.sort(shuffled[:held_out]))


class RunData:
    """The data of a recipe. Lists are read at once; videos are decoded into `cache` when they are first needed.

    Raises `DataError` when a list, class or too many videos cannot be read.
    """

    def __init__(self, recipe: Recipe, cache: Path, *, progress: bool) -> None:
        self.recipe = recipe
        self.cache = cache
        self.progress = progress
        data = recipe.data
        if not Path(data.root).is_dir():
            raise DataError(
                f"the dataset's folder {data.root} (data.root) does not exist; give the right one with --data-root, "
                "or make the data as the recipe's first line says"
            )
        self.labels = read_classes(data.file(data.classes))
        self.train_items = self._items(data.train)
        self.tests = {"val": self._items(data.val)} | {name: self._items(file) for name, file in data.tests.items()}

    def _items(self, name: str) -> list[Item]:
        data = self.recipe.data
        return read_list(data.file(name), Path(data.root), self.labels)

    def training(self) -> TrainingClips:
        """The training part of the training list, as strips."""
        augment, contract = self.recipe.augment, self.recipe.input
        strips = open_strips(
            self.cache,
            self.train_items,
            contract,
            frames=augment.strip_frames,
            size=augment.strip_size,
            progress=self.progress,
        )
        chosen = set(self._splits().train.tolist())
        rows_of_items = self._rows(strips)
        rows = np.array([row for row, item in enumerate(rows_of_items) if item in chosen], dtype=np.int64)
        return TrainingClips(strips.clips, rows, strips.labels[rows], contract.frames, contract.crop, flip=augment.flip)

    def selection(self, device: torch.device, training: TrainingClips) -> SelectionClips:
        """The selection split's centre clips, and the training clips that batch norm is re-estimated from."""
        contract = self.recipe.input.model_copy(update={"clips": 1})
        items = [self.train_items[row] for row in self._splits().selection]
        cache = open_clips(self.cache, items, contract, progress=self.progress)
        selection = self.recipe.selection
        count = 0 if selection is None else min(selection.batch_norm_clips, len(training))

        def calibration() -> Iterator[Float[Tensor, "clips 3 frames height width"]]:
            chosen = order(self.recipe.seed, "selection", 1, len(training))[:count]
            for part in np.array_split(chosen, -(-count // CALIBRATION_BATCH)):
                batch = training.batch(part, self.recipe.seed, "selection", 1)
                yield to_input(batch.clips.to(device).flatten(0, 1), contract)

        wanted = selection is not None and selection.batch_norm == "re-estimated"
        return SelectionClips(cache.clips, cache.labels, contract, device, calibration if wanted else None)

    def test(self, name: str) -> tuple[ClipCache, InputContract]:
        """All clips of a list that is measured at the end: `val` or one of the recipe's tests."""
        contract = self.recipe.input
        return open_clips(self.cache, self.tests[name], contract, progress=self.progress), contract

    def _splits(self) -> Splits:
        return split(len(self.train_items), self.recipe.data.selection_fraction, self.recipe.seed)

    def _rows(self, cache: ClipCache) -> list[int]:
        """For every row of a cache of the training list, the position in the list; broken videos have no row."""
        broken = {entry.path for entry in cache.broken}
        return [position for position, item in enumerate(self.train_items) if item.path not in broken]
