"""What the experiments share: templates trained by recipe where they are not, and the effects of their branches."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from stzoo import nets
from stzoo.metrics import Mean
from stzoo.recipe import read
from stzoo.space.comparison import Branch
from stzoo.space.effects import Effects, measure_effects
from stzoo.space.judge import Judge
from stzoo.space.record import EffectsRecord
from stzoo.training.run import Run
from stzoo.training.stages import Stages, prepare
from stzoo.training.voice import Voice

ABOUT = {"protocol": "the run's selection split"}


def begun(folder: Path, recipe: str, overrides: Sequence[str], cache: Path, warm_up: Path | None = None) -> Stages:
    """The stages of a run by a recipe of the package, in bfloat16 and one process; of one there is, by its own recipe.

    `warm_up` are the weights of another run's, which this one then starts from.
    """
    if (folder / "recipe.toml").exists():
        run = Run.open(folder)
    else:
        own = (f"name='{folder.name}'", "compute.precision='bfloat16'", "compute.workers=1")
        run = Run(folder, read(recipe, [*own, *overrides]))
    stages = prepare(run, cache, Voice(lambda sentence: print(f"{folder.name}: {sentence}", flush=True), False))
    if warm_up is not None and not run.weights("warmup").exists():
        shutil.copyfile(warm_up, run.weights("warmup"))
    return stages


def effects_of(judge: Judge, stages: Stages) -> Effects:
    """The effects of the judge's template on the run's selection split, which the run's folder keeps."""
    record = EffectsRecord(stages.run.folder, ABOUT, stages.data.labels, nets.posterior(judge.template))
    known, _ = record.read()
    found = measure_effects(judge, stages.selection.sources, known=known)
    record.finish(found, None)
    return found


def by_branch(effects: Effects) -> dict[Branch, Mean]:
    return {(effect.site, effect.branch): effect.cross_entropy for effect in effects.effects}
