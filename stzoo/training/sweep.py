"""A template for every point of a grid of values, compared on the selection split; runs that share a warm-up."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stzoo import nets
from stzoo.files import replacing, write_text
from stzoo.ranks import ALONE, Ranks
from stzoo.recipe import Recipe
from stzoo.space.one_shot import one_shot_score
from stzoo.space.selection import baselines
from stzoo.training.blueprint import template_tables
from stzoo.training.faults import drops_of
from stzoo.training.initial import recorded_origin
from stzoo.training.run import WEIGHTS, Run
from stzoo.training.stages import prepare
from stzoo.training.voice import Voice

SWEPT_STRATEGIES = 20


class Point(NamedTuple):
    """One point of a grid: a recipe with its overrides."""

    overrides: tuple[str, ...]
    recipe: Recipe


@dataclass(frozen=True)
class Trial:
    """What the template of one point reaches on the selection split.

    Accuracies of the best sampled strategy, of the most probable one and of S+ST everywhere; the range of the learnt
    drop rates; the mean entropy of a site's unit in nats.
    """

    overrides: tuple[str, ...]
    best: float
    most_probable: float
    sst: float
    lowest_drop: float
    highest_drop: float
    mean_entropy: float


def sweep(points: Sequence[Point], folder: Path, cache: Path, voice: Voice, ranks: Ranks = ALONE) -> list[Trial]:
    """Trains a template for every point and tabulates them in `sweep.csv`; validation is not read.

    Recipes that differ only after the warm-up share one, also with a later run of the folder that the sweep is for.
    """
    trials = []
    for point in points:
        trials.append(_trial(point, folder, cache, voice, ranks))
        if ranks.leads:
            _write_trials(folder / "sweep.csv", trials)
    return trials


def sweep_folder(run_folder: Path) -> Path:
    """Where the runs of a sweep stand: beside the run that it is for."""
    return run_folder.with_name(f"{run_folder.name}-sweep")


def share_warm_up(run: Run, sweep: Path) -> None:
    """Takes the finished warm-up of a run in `sweep` whose recipe is the same up to there, with its epochs' numbers."""
    target = run.weights("warmup")
    if target.exists():
        return
    for source in sorted(sweep.glob(f"*/{WEIGHTS['warmup']}")):
        other = Run.open(source.parent)
        same_start = recorded_origin(other) == recorded_origin(run)
        if same_start and _until_warm_up(other.recipe) == _until_warm_up(run.recipe):
            for entry in other.recorded("warmup"):
                run.record("warmup", entry.pop("epoch"), entry)
            for epoch, seconds in other.seconds().get("warmup", {}).items():
                run.record_seconds("warmup", int(epoch), seconds)
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
            return


def _trial(point: Point, folder: Path, cache: Path, voice: Voice, ranks: Ranks) -> Trial:
    name = ",".join(override.replace("/", "_") for override in point.overrides)
    run = Run(folder / name, point.recipe)
    template_tables(run)
    stages = prepare(run, cache, voice, ranks)
    stages.voice.say(f"sweep: {' '.join(point.overrides)}")
    with run.alone(ranks):
        if ranks.leads:
            share_warm_up(run, folder)
        template = stages.variational()
        winner = stages.select(template, SWEPT_STRATEGIES).winner
    strategies = baselines(template)
    most_probable, sst = (
        one_shot_score(template, strategies[name], stages.selection).accuracy for name in ("most-probable", "sst")
    )
    posterior = nets.posterior(template)
    drops, entropies = drops_of(posterior), posterior.entropy().values()
    mean_entropy = sum(entropies) / len(entropies)
    return Trial(point.overrides, winner.score.accuracy, most_probable, sst, min(drops), max(drops), mean_entropy)


def _until_warm_up(recipe: Recipe) -> Recipe:
    tail_gates = recipe.variational is not None and recipe.variational.tail_gates
    same = {"variational": None, "objective": None, "selection": None, "finetune": None}
    return recipe.model_copy(update={**same, "name": f"tail gates: {tail_gates}"})


def _write_trials(path: Path, trials: Sequence[Trial]) -> None:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    fields = ("best", "most_probable", "sst", "lowest_drop", "highest_drop", "mean_entropy")
    lines.writerow(("overrides", *fields))
    for trial in trials:
        lines.writerow((" ".join(trial.overrides), *(f"{getattr(trial, field):.6f}" for field in fields)))
    write_text(path, text.getvalue())
