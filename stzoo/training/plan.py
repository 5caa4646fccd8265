"""A run on a user's own videos as it is planned: its folder, its recipe, and the lists that it is given."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.data.datasets import read_classes
from stzoo.data.own import own_videos
from stzoo.errors import UsageError
from stzoo.files import slug
from stzoo.ranks import Ranks
from stzoo.recipe import Recipe, find
from stzoo.training.adapting import (
    GIVEN,
    begin,
    finetuning_recipe,
    given_texts,
    refuse_changed,
    source_of,
    training_recipe,
)
from stzoo.training.demands import check_net
from stzoo.training.run import Run
from stzoo.zoo import reference, torchvision


@dataclass(frozen=True)
class Plan:
    """What a run is to be; nothing is written before `begin`."""

    folder: Path
    texts: Mapping[str, str]
    """The files, by name, that the recipe reads."""
    recipe_in: Callable[[Path], Recipe]
    """The recipe whose `texts` lie in a folder."""
    source: str
    """What errors call the recipe."""
    notes: tuple[str, ...]
    """What of the data is not used, and what stands in for what is not there, in sentences."""

    @contextmanager
    def tried(self) -> Iterator[tuple[Recipe, Recipe]]:
        """The recipe on lists that are there until the context ends, and the recipe that the run is to have."""
        with tempfile.TemporaryDirectory() as temporary:
            for file, text in self.texts.items():
                (Path(temporary) / file).write_text(text, encoding="utf-8")
            tried = self.recipe_in(Path(temporary))
            check_net(tried, self.source)
            yield tried, self.recipe_in(self.folder / GIVEN)

    def run(self, recipe: Recipe) -> Run:
        """The run. Raises `TrainingError` where it was begun with other videos, classes, or another model or recipe."""
        refuse_changed(self.folder, self.texts)
        return Run(self.folder, recipe)

    def begin(self, run: Run, ranks: Ranks) -> None:
        """Makes the folder the run's, with what it is given; of several processes the first does."""
        if ranks.leads:
            begin(run, self.texts)
        ranks.of_leader("begun")  # the others wait for the folder


def plan_training(
    recipe: Path | str, data: Path, val: Path | None, folder: Path | None, overrides: Sequence[str] = ()
) -> Plan:
    """A recipe on a user's own videos in place of its dataset."""
    folder, name = _named(folder, data, Path(recipe).stem)
    videos = own_videos(data, val)
    recipe_in = partial(training_recipe, recipe, videos, name=name, overrides=overrides)
    return Plan(folder, videos.texts(), recipe_in, str(find(recipe)), videos.notes)


def plan_finetuning(
    model: str,
    data: Path,
    val: Path | None,
    folder: Path | None,
    *,
    root: Path | None = None,
    classes: Path | None = None,
    weights: Path | None = None,
    epochs: int | None = None,
    balance: bool = False,
    overrides: Sequence[str] = (),
) -> Plan:
    """A model trained further on a user's own videos; its head is replaced where the classes are others."""
    folder, name = _named(folder, data, re.split("[/@]", model.rstrip("/"))[-1])
    if weights is not None:
        model = str(torchvision.with_weights(model, weights))
    bundle = bundles.read(reference.find(model).folder)
    named = None if classes is None else read_classes(classes)
    videos = own_videos(data, val, root=root, classes=named, known=bundle.labels)
    source = str(Path(model).resolve()) if Path(model).exists() and model not in cards.names() else model
    recipe_in = partial(
        finetuning_recipe,
        source,
        bundle,
        videos,
        name=name,
        epochs=epochs,
        balance=balance,
        overrides=overrides,
    )
    return Plan(folder, given_texts(bundle, videos), recipe_in, source_of(source), videos.notes)


def _named(folder: Path | None, data: Path, model: str) -> tuple[Path, str]:
    """The folder of a run, by default `runs/DATA-MODEL`, and the name of its bundle.

    Raises `UsageError` for the name of a model of the zoo.
    """
    folder = folder or Path("runs") / f"{_slug(data.resolve().stem)}-{_slug(model)}"
    name = _slug(folder.resolve().name)
    if name in cards.names():
        raise UsageError(f'"{name}" is the name of a model of the zoo; choose a folder with another name with --out')
    return folder, name


def _slug(text: str) -> str:
    return slug(text.lower(), "a-z0-9", "own")[:60].strip("-")
