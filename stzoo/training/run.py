"""A run: the directory in which a recipe's stages leave what they made, and from which a stopped run goes on.

recipe.toml              the recipe as resolved; a run belongs to one recipe as soon as an epoch is done
given/                   of stzoo finetune: classes, lists and strategy, which the recipe reads
machine.json             how many threads train, where a trial chose it
init.json                the weights that the first stage started from, if [init] names some
metrics.jsonl            one line an epoch
seconds.json             how long every epoch took
warmup.safetensors       the all-open net that the template grew from
template.safetensors     the template with its learnt gates
evidence.json            what the data say of the template's gates
scores.csv               every sampled strategy
reliability.json         whether half of the selection's videos ranks strategies as the other half does
answers.npz              what every strategy answered on the selection split, as far as it was asked
latency-*.json           what every unit costs in milliseconds on a runtime of this machine
budgets/                 the search within budgets: every judged strategy, and what the found ones reach
finetuned-*.safetensors  the winner after finetuning, if the recipe asks for it; named by its strategy's digest
fixed.safetensors        a [fixed] recipe's net
metrics.json             the final measurements
looks.json               which nets were measured on the splits that are kept for the end, look by look
bundles/                 what `stzoo.load` reads
checkpoint-*             where the stage that makes this file stands, until the file is there
lock                     held by the process that works on the run

A stage is done when its file exists.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stzoo.bundle import is_bundle
from stzoo.errors import RecipeError, TrainingError
from stzoo.files import write_json, write_text
from stzoo.ranks import ALONE, Ranks
from stzoo.recipe import Recipe, Stage
from stzoo.recipe import read as read_recipe
from stzoo.strategies.budget import Budget
from stzoo.strategies.strategy import Strategy
from stzoo.training.trackers import Tracker, flat

WEIGHTS: dict[Stage, str] = {
    "warmup": "warmup.safetensors",
    "variational": "template.safetensors",
    "finetune": "finetuned-{digest}.safetensors",
    "fixed": "fixed.safetensors",
}


class Run:
    """The directory of one recipe's run; nothing is written before `begin`. `trackers` are told what it records.

    Raises `TrainingError` when the directory is something else, or belongs to another recipe and has begun to train.
    """

    def __init__(self, folder: Path, recipe: Recipe, trackers: Sequence[Tracker] = ()) -> None:
        self.folder = folder
        self.recipe = recipe
        self.trackers = trackers
        path = self.path("recipe.toml")
        # Looked at first, because another process may be beginning this run.
        strange = folder.exists() and (not folder.is_dir() or {*folder.iterdir()} - {*_half_written(folder)})
        if is_bundle(folder):
            raise TrainingError(f"{folder} is a bundle and not a run; choose another folder with --out")
        if path.exists():
            if not is_blank(folder):
                self.recipe = _as_begun(path, recipe)
                self._refuse_another_recipe()
        elif strange:
            raise TrainingError(f"{folder} exists and is not a run; choose another folder with --out")

    def begin(self) -> None:
        """Makes the directory this recipe's, also where another one has no epoch yet.

        Raises `TrainingError` where it has one by then, and while another process works on it.
        """
        path = self.path("recipe.toml")
        if not path.exists():
            write_text(path, self.recipe.to_toml())
        elif _difference(path, self.recipe) is not None:
            with self._locked():
                if not is_blank(self.folder):
                    self._refuse_another_recipe()
                for name in ("init.json", "machine.json"):
                    self.path(name).unlink(missing_ok=True)
                write_text(path, self.recipe.to_toml())

    @contextlib.contextmanager
    def alone(self, ranks: Ranks = ALONE) -> Iterator[None]:
        """Keeps other processes out of a run that has begun, and removes what a killed one had half written.

        Of several `ranks` the leading one does so for all.

        Raises `TrainingError` while another process works on it, and where one has begun it anew with another recipe.
        """
        if not ranks.leads:
            yield
            return
        with self._locked():
            self._refuse_another_recipe()
            for leftover in _half_written(self.folder):
                if leftover.is_dir():
                    shutil.rmtree(leftover)
                else:
                    leftover.unlink()
            yield

    def _locked(self) -> contextlib.AbstractContextManager[object]:
        try:
            return FileLock(self.path("lock"), timeout=0).acquire()
        except Timeout as error:
            raise TrainingError(f"another process works on the run {self.folder}; wait until it has ended") from error

    def _refuse_another_recipe(self) -> None:
        if (difference := _difference(self.path("recipe.toml"), self.recipe)) is not None:
            way = {"selection.strategies": "draw more strategies from", "selection.budgets": "search budgets in"}
            instead = way.get(difference.partition(" ")[0])
            raise TrainingError(
                f"{self.folder} holds a run of another recipe ({difference}); choose another folder with --out, "
                + (f"{instead} this one with stzoo select, " if instead else "")
                + "or remove this one"
            )

    @classmethod
    def open(cls, folder: Path) -> Run:
        """The run that is in a folder. Raises `TrainingError` when there is none."""
        path = folder / "recipe.toml"
        if is_bundle(folder):
            raise TrainingError(f"{folder} is a bundle and not a run; give a folder that stzoo train made")
        if not path.is_file():
            raise TrainingError(f"{folder} is not a run: it has no recipe.toml; give a folder that stzoo train made")
        try:
            return cls(folder, _stored(path))
        except RecipeError as error:
            raise TrainingError(f"the run {folder} cannot be opened: {error}") from error

    def path(self, name: str) -> Path:
        """A file of the run."""
        return self.folder / name

    def weights(self, stage: Stage, winner: Strategy | None = None) -> Path:
        """The file that a stage leaves; that of a finetuned net is named by the `winner` that it was."""
        return self.path(WEIGHTS[stage].format(digest="" if winner is None else winner.digest[:12]))

    @property
    def has_begun(self) -> bool:
        """Whether an epoch of the first stage is done."""
        weights = self.weights(self.recipe.first_stage)
        return weights.exists() or checkpoint_of(weights).exists()

    @property
    def bundle_name(self) -> str:
        """A [fixed] recipe's bundle has the recipe's name, a template's winner that of the recipe and `-opt`."""
        return self.recipe.name if self.recipe.fixed else f"{self.recipe.name}-opt"

    @property
    def bundle(self) -> Path:
        return self.bundle_called(self.bundle_name)

    def bundle_called(self, name: str) -> Path:
        """The folder of one of the run's bundles."""
        return self.folder / "bundles" / name

    def budget_name(self, budget: Budget) -> str:
        """What the bundle of the best strategy within a budget is called, such as `camera-motion-50M`."""
        return f"{self.recipe.name}-{budget}"

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Those of the recipe."""
        return () if self.recipe.selection is None else tuple(map(Budget.parse, self.recipe.selection.budgets))

    @property
    def is_finished(self) -> bool:
        """Whether every bundle that the recipe asks for is there."""
        names = [self.bundle_name, *map(self.budget_name, self.budgets)]
        return all(self.bundle_called(name).exists() for name in names)

    def record(self, stage: str, epoch: int, numbers: Mapping[str, Any]) -> None:
        """Appends an epoch to metrics.jsonl, in place of what an interrupted attempt wrote of it or after it."""
        path = self.path("metrics.jsonl")
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if not _is_from(json.loads(line), stage, epoch)]
        kept.append(json.dumps({"stage": stage, "epoch": epoch, **numbers}))
        write_text(path, "\n".join(kept) + "\n")
        for tell in self.trackers:
            tell(stage, epoch, dict(flat(numbers)))

    def recorded(self, stage: str) -> list[dict[str, Any]]:
        """The numbers of a stage's epochs, as `record` got them, with their `epoch`."""
        path = self.path("metrics.jsonl")
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        entries = (json.loads(line) for line in lines)
        return [entry for entry in entries if entry.pop("stage") == stage]

    def record_seconds(self, stage: str, epoch: int, seconds: float) -> None:
        """Notes how long an epoch took, in place of what an interrupted attempt noted of it."""
        kept = self.seconds()
        kept.setdefault(stage, {})[str(epoch)] = round(seconds, 3)
        write_json(self.path("seconds.json"), kept)

    def seconds(self) -> dict[str, dict[str, float]]:
        """The seconds that every epoch of every stage took."""
        path = self.path("seconds.json")
        seconds: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return seconds


def checkpoint_of(weights: Path) -> Path:
    """Where the stage that makes a weights file stands."""
    return weights.with_name(f"checkpoint-{weights.name}")


def is_blank(folder: Path) -> bool:
    """Whether a run's folder holds nothing yet that an epoch left."""
    kept = {"recipe.toml", "given", "init.json", "machine.json", "lock"}
    return all(path.name in kept for path in {*folder.glob("*")} - {*_half_written(folder)})


def _difference(path: Path, recipe: Recipe) -> str | None:
    """The first value in which a recipe file differs from a recipe.

    None where there is none: it may have been written before a table got a further default.
    """
    try:
        there, here = (dict(_values(one.model_dump(by_alias=True))) for one in (_stored(path), recipe))
    except RecipeError:
        return f"{path} cannot be read"
    for name in [*here, *there]:
        if here.get(name) != there.get(name):
            return f"{name} is {there.get(name)!r} in {path}, and {here.get(name)!r} here"
    return None


def _stored(path: Path) -> Recipe:
    """The recipe that a run's file holds.

    Where it says no seed of the split, the run's seed drew the split, too; where it says nothing of a choice, the whole
    selection split judges finetuned weights; where it says no precision, it is float32.
    """
    recipe = read_recipe(path)
    before = [] if "split_seed" in recipe.data.model_fields_set else [f"data.split_seed={recipe.seed}"]
    if recipe.selection is not None and "choice_fraction" not in recipe.selection.model_fields_set:
        before.append("selection.choice_fraction=0")
    if "precision" not in recipe.compute.model_fields_set:
        before.append("compute.precision='float32'")
    return read_recipe(path, before) if before else recipe


def _as_begun(path: Path, recipe: Recipe) -> Recipe:
    """A recipe as a run reads it that has begun: in the precision that was settled then.

    A run of an earlier version judges finetuned weights otherwise.
    """
    try:
        begun = read_recipe(path)
    except RecipeError:
        return recipe
    if recipe.compute.precision == "auto":
        compute = recipe.compute.model_copy(update={"precision": _stored(path).compute.precision})
        recipe = recipe.model_copy(update={"compute": compute})
    here, there = recipe.selection, begun.selection
    if here is None or there is None or "choice_fraction" in here.model_fields_set | there.model_fields_set:
        return recipe
    return recipe.model_copy(update={"selection": here.model_copy(update={"choice_fraction": 0.0})})


def _values(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a table and of those in it by its dotted path."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _values(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_from(entry: Mapping[str, Any], stage: str, epoch: int) -> bool:
    return bool(entry["stage"] == stage and entry["epoch"] >= epoch)


def _half_written(folder: Path) -> list[Path]:
    """Files and bundles under temporary names, which a process leaves behind when it is killed while it writes."""
    patterns = (".*.tmp", "bundles/.*.tmp", "bundles/.*.old", "budgets/**/.*.tmp")
    return [path for pattern in patterns for path in folder.glob(pattern)]
