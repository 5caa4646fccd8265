"""What a recipe trains, selects and measures on: lists, and decoded clips of their splits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from stzoo.contract import InputContract
from stzoo.data.broken import Cap
from stzoo.data.cache import ClipCache, open_clips, open_strips
from stzoo.data.datasets import Item
from stzoo.data.lists import missing, read_lists, without_videos
from stzoo.errors import DataError
from stzoo.inference import to_input
from stzoo.pool import processors
from stzoo.recipe import Recipe, Selection
from stzoo.space.one_shot import SelectionClips
from stzoo.training.batches import ClipSource, DecodedClips, TrainingClips
from stzoo.training.draws import Draws
from stzoo.training.room import Room
from stzoo.training.splits import Splits, split_of, without_selection
from stzoo.training.variation import Mirrored
from stzoo.training.voice import SILENT, Voice
from stzoo.video.augment import Cut, mirrored_classes
from stzoo.video.video import Video

CALIBRATION_BATCH = 64
DEFAULT_SELECTION = Selection()


class RunData:
    """The data of a recipe. Lists are read and their videos looked for at once; they are decoded into `cache` when they
    are first needed.

    So many `processes` of this machine do the same, and share its processor cores. Training clips are `pinned` for a
    GPU.

    Raises `DataError` when a list, class or too many videos are missing or cannot be read.
    """

    def __init__(
        self, recipe: Recipe, cache: Path, voice: Voice = SILENT, processes: int = 1, *, pinned: bool = False
    ) -> None:
        self.recipe = recipe
        self.cache = cache
        self.voice = voice
        self.processes = processes
        self.pinned = pinned
        lists = read_lists(recipe.data)
        for note in lists.notes:
            voice.say(note)
        absent = missing(lists, recipe.data.max_broken)
        for lacking in absent.values():
            if lacking.too_many:
                raise DataError(lacking.sentence)
            voice.say(lacking.sentence)
        if sentence := without_videos(lists, absent):
            voice.say(sentence)
        self._said = {name: set(lacking.paths) for name, lacking in absent.items()}
        self.labels = lists.classes
        self.train_items = lists.train
        self.tests = lists.tests
        if sentence := without_selection(self.train_items, self._splits(), self.labels):
            voice.say(sentence)

    @property
    def listed(self) -> list[Video]:
        """The videos of the training list, whether they train or select."""
        return [item.video for item in self.train_items]

    def training(self) -> ClipSource:
        """The training part of the training list: as strips, or as videos to be decoded when they are needed."""
        mirrored = mirrored_classes(self.labels) if self.recipe.augment.flip == "label-aware" else None
        return self._training_strips(mirrored) if self.recipe.data.cache else self._training_videos(mirrored)

    def _training_videos(self, mirrored: Mirrored | None) -> DecodedClips:
        augment, data = self.recipe.augment, self.recipe.data
        items = [self.train_items[row] for row in self._splits().train]
        return DecodedClips(
            items,
            Cut(self.recipe.training_input, augment.short_sides, augment.flip is not False, augment.stride == "random"),
            Cap(data.max_broken, len(self.train_items)),
            self.voice.say,
            self.recipe.compute.workers or max(1, processors() // self.processes),
            mirrored,
            augment.erase,
            Room(self.pinned),
            broken={item.path: "not on disk" for item in items if item.path in self._said.get("train", ())},
            balance=data.balance,
        )

    def _training_strips(self, mirrored: Mirrored | None) -> TrainingClips:
        augment, contract = self.recipe.augment, self.recipe.training_input
        assert augment.strip_frames is not None
        assert augment.strip_size is not None
        strips = open_strips(
            self.cache,
            self.train_items,
            contract,
            frames=augment.strip_frames,
            size=augment.strip_size,
            max_broken=self.recipe.data.max_broken,
            progress=self.voice.progress,
        )
        self._say_what_is_left_out("train", strips)
        training = set(self._splits().train.tolist())
        rows_of_items = self._rows(strips)
        rows = np.array([row for row, item in enumerate(rows_of_items) if item in training], dtype=np.int64)
        return TrainingClips(
            strips.clips,
            rows,
            strips.labels[rows],
            contract.frames,
            contract.crop,
            flip=augment.flip is not False,
            short_sides=augment.short_sides,
            mirrored=mirrored,
            left_out=len(training) - len(rows),
            erase=augment.erase,
            room=Room(self.pinned),
            orders=[strips.items[row].order for row in rows] if self.recipe.data.frame_order != "given" else (),
            balance=self.recipe.data.balance,
        )

    def selection(self, device: torch.device, training: ClipSource) -> SelectionClips:
        """The selection split's centre clips, and the training clips that batch norm is re-estimated from."""
        return self._centre_clips(self._splits().selection, device, training)

    def choice(self, device: torch.device, training: ClipSource) -> SelectionClips | None:
        """The same of the part that judges finetuned weights; None where the selection split does that, too."""
        rows = self._splits().choice
        return self._centre_clips(rows, device, training) if len(rows) else None

    def _centre_clips(
        self, rows: Int64[np.ndarray, " rows"], device: torch.device, training: ClipSource
    ) -> SelectionClips:
        contract = self.recipe.input.model_copy(update={"clips": 1})
        items = [self.train_items[row] for row in rows]
        cache = self._clips("selection", items, contract, part_of=len(self.train_items))
        selection = self.recipe.selection
        re_estimated = selection is not None and selection.batch_norm == "re-estimated"
        return SelectionClips(
            cache.clips,
            cache.labels,
            contract,
            device,
            self.calibration(device, training) if re_estimated else None,
            self.recipe.scored_at_once,
            [item.source for item in cache.items],
        )

    def calibration(
        self, device: torch.device, training: ClipSource
    ) -> Callable[[], Iterator[Float[Tensor, "clips 3 frames height width"]]]:
        """Gives the training clips that batch norm is re-estimated from, in batches, the same ones at every call."""
        table, contract = self.recipe.selection or DEFAULT_SELECTION, self.recipe.input
        count = min(table.batch_norm_clips, len(training))

        @functools.cache
        def batches() -> list[UInt8[Tensor, "batch 1 frames height width 3"]]:
            draws = Draws(self.recipe.seed, "selection", 1)
            samples = draws.order(len(training))[:count]
            parts = np.array_split(samples, -(-count // CALIBRATION_BATCH))
            return [training.batch(part, draws).clips for part in parts]

        def inputs() -> Iterator[Float[Tensor, "clips 3 frames height width"]]:
            for clips in filter(len, batches()):
                at_once = self.recipe.compute.micro_batch or len(clips)
                for part in clips.tensor_split(-(-len(clips) // at_once)):
                    yield to_input(part.to(device).flatten(0, 1), contract)

        return inputs

    def test(self, name: str) -> tuple[ClipCache, InputContract]:
        """All clips of a list that is measured at the end: `val` or one of the recipe's tests."""
        contract = self.recipe.input
        return self._clips(name, self.tests[name], contract), contract

    def _clips(self, name: str, items: list[Item], contract: InputContract, part_of: int | None = None) -> ClipCache:
        cache = open_clips(
            self.cache,
            items,
            contract,
            max_broken=self.recipe.data.max_broken,
            part_of=part_of,
            progress=self.voice.progress,
        )
        self._say_what_is_left_out(name, cache)
        return cache

    def _say_what_is_left_out(self, name: str, cache: ClipCache) -> None:
        said = self._said.setdefault("train" if name == "selection" else name, set())
        unsaid = [entry for entry in cache.broken if entry.path not in said]
        said.update(entry.path for entry in unsaid)
        if unsaid:
            listed = len(cache) + len(cache.broken)
            self.voice.say(
                f"{len(unsaid)} of the {listed} videos of {name} cannot be read and are left out: {unsaid[0].reason}"
            )

    def _splits(self) -> Splits:
        return split_of(self.train_items, self.recipe)

    def _rows(self, cache: ClipCache) -> list[int]:
        """For every row of a cache of the training list, the position in the list; broken videos have no row."""
        broken = {entry.path for entry in cache.broken}
        return [position for position, item in enumerate(self.train_items) if item.path not in broken]
