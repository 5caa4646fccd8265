"""A whole run: every stage in order, then measurements and bundle. Stopped at any point, it goes on from there."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from stzoo import nets
from stzoo.errors import TrainingError
from stzoo.figures.strategies import marginals_figure
from stzoo.files import replacing, write_text
from stzoo.nets.classifier import Classifier
from stzoo.ranks import ALONE, Ranks
from stzoo.recipe import Recipe
from stzoo.space.selection import best, judge, pruned, references, scores_text
from stzoo.strategies.strategy import Strategy
from stzoo.training.blueprint import architecture_of, first_net, require_variational, strategy_of
from stzoo.training.data import RunData
from stzoo.training.initial import initialise, record_origin, recorded_origin
from stzoo.training.machine import machine_of
from stzoo.training.results import Row, measure_nets, save_bundle, write_metrics
from stzoo.training.run import Run
from stzoo.training.stages import Stages

Say = Callable[[str], None]
SWEPT_STRATEGIES = 20


def prepare(run: Run, cache: Path, *, say: Say, progress: bool, ranks: Ranks = ALONE) -> tuple[Stages, RunData]:
    """The stages of a run, begun once lists, backbone, strategy and first weights are found; its data is decoded.

    Of several `ranks`, here and below, every one does this; the leading one reads first weights, writes and speaks.
    """
    if not ranks.leads:
        say, progress = _silent, False
    machine = machine_of(run.recipe.compute, ranks)
    data = RunData(run.recipe, cache, say=say, progress=progress, processes=ranks.local_count)
    architecture = architecture_of(run.recipe, len(data.labels))
    strategy = strategy_of(run.recipe, architecture)
    first = first_net(run.recipe, architecture, strategy)
    if ranks.leads:
        origin = initialise(run, first, data.labels, say=say, progress=progress)
        run.begin()
        if origin is not None:
            record_origin(run, origin)
    training = data.training()
    selection = data.selection(machine.device, training)
    return Stages(run, architecture, strategy, first, training, selection, machine, say=say, progress=progress), data


def train(run: Run, cache: Path, *, say: Say, progress: bool = True, ranks: Ranks = ALONE) -> list[Row]:
    """Runs what is missing of a run, up to its bundle; returns the final measurements, none if it was finished.

    Raises `TrainingError`, `DataError` and `VideoError` as its stages do.
    """
    if ranks.of_leader(run.bundle.exists()):
        return []
    stages, data = prepare(run, cache, say=say, progress=progress, ranks=ranks)
    with _alone(run, ranks):
        if stages.strategy is None:
            if ranks.leads:
                _share_warm_up(run, sweep_folder(run.folder))
            assert run.recipe.selection is not None
            return _finish_template(stages, data, run.recipe.selection.strategies)
        net = stages.fixed()
        rows = _measured(stages, data, {run.recipe.name: ("alone", stages.strategy, net)})
        if ranks.leads:
            save_bundle(run, data.labels, net, stages.strategy, rows, processes=ranks.count)
        return rows


def select(
    run: Run, strategies: int, cache: Path, *, say: Say, progress: bool = True, ranks: Ranks = ALONE
) -> list[Row]:
    """Selects among more strategies of a trained template, and makes the bundle anew; what was scored before counts.

    Raises `TrainingError` when the run has no template yet.
    """
    require_variational(run)
    if not ranks.of_leader(run.path("template.safetensors").exists()):
        raise TrainingError(f"{run.folder} has no trained template yet; run stzoo train on its recipe first")
    stages, data = prepare(run, cache, say=say, progress=progress, ranks=ranks)
    with _alone(run, ranks):
        return _finish_template(stages, data, strategies)


def _alone(run: Run, ranks: Ranks) -> AbstractContextManager[None]:
    return run.alone() if ranks.leads else nullcontext()


def _silent(_: str) -> None:
    pass


def _finish_template(stages: Stages, data: RunData, strategies: int) -> list[Row]:
    run, selection = stages.run, stages.selection
    template = stages.variational()
    found = nets.posterior(template)
    scored = stages.select(template, strategies)
    winner = best(scored)
    if len(scored) > strategies:
        stages.say(f"{len(scored)} strategies were scored before and all of them count; {strategies} were asked for.")
    stages.say(
        f"Of {len(scored)} strategies that with index {winner.index} in {run.path('scores.csv')} is the best: "
        f"{winner.accuracy:.4f} on the selection split."
    )

    compared: dict[str, tuple[str, Strategy, Classifier]] = {
        "opt": ("pruned", winner.strategy, pruned(template, winner.strategy, selection))
    }
    for name, strategy in references(template).items():
        compared[name] = ("pruned", strategy, pruned(template, strategy, selection))
    shipped = "opt"
    finetuned = stages.finetune(template, scored)
    if finetuned is not None:
        compared["opt-finetuned"] = ("finetuned", winner.strategy, finetuned)
        right, cross_entropy = judge(finetuned, selection)
        better = (-right, cross_entropy) < (-winner.accuracy, winner.cross_entropy)
        shipped = "opt-finetuned" if better else "opt"
        stages.say(f"Finetuned it reaches {right:.4f} there; the bundle gets the {compared[shipped][0]} weights.")

    rows = _measured(stages, data, compared)
    if not stages.machine.ranks.leads:
        return rows
    figure = run.path("marginals.png")
    marginals_figure(found, winner.strategy, figure, run.recipe.name)
    _, strategy, net = compared[shipped]
    own = [row for row in rows if row.name == shipped]
    re_estimated = selection.calibration is not None
    others = [(other, made) for how, other, made in compared.values() if how == "pruned" and other != strategy]
    save_bundle(
        run,
        data.labels,
        net,
        strategy,
        own,
        posterior=found,
        scores=scores_text(scored),
        template=template,
        figure=figure,
        normalised=others if re_estimated else (),
        processes=stages.machine.ranks.count,
    )
    return rows


def _measured(stages: Stages, data: RunData, compared: dict[str, tuple[str, Strategy, Classifier]]) -> list[Row]:
    rows = measure_nets(compared, data, stages.machine, progress=stages.progress)
    if stages.machine.ranks.leads:
        write_metrics(stages.run.path("metrics.json"), rows, stages.run.recipe.input)
    return rows


@dataclass(frozen=True)
class Trial:
    """One point of a sweep, judged on the selection split.

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


def sweep(
    recipes: Sequence[tuple[tuple[str, ...], Recipe]],
    folder: Path,
    cache: Path,
    *,
    say: Say,
    progress: bool = True,
    ranks: Ranks = ALONE,
) -> list[Trial]:
    """Trains a template for every recipe (overrides, recipe) and tabulates them in `sweep.csv`; validation is not read.

    Recipes that differ only after the warm-up share one, also with a later run of the folder that the sweep is for.
    """
    trials = []
    for overrides, recipe in recipes:
        name = ",".join(override.replace("/", "_") for override in overrides)
        run = Run(folder / name, recipe)
        require_variational(run)
        stages, _ = prepare(run, cache, say=say, progress=progress, ranks=ranks)
        stages.say(f"sweep: {' '.join(overrides)}")
        with _alone(run, ranks):
            if ranks.leads:
                _share_warm_up(run, folder)
            template = stages.variational()
            scored = stages.select(template, SWEPT_STRATEGIES)
        found = nets.posterior(template)
        compared = references(template)
        most_probable, sst = (
            judge(pruned(template, compared[key], stages.selection), stages.selection)[0]
            for key in ("most-probable", "sst")
        )
        drops = [drop for branches in found.drop.values() for drop in branches.values()]
        entropies = found.entropy().values()
        mean_entropy = sum(entropies) / len(entropies)
        right = best(scored).accuracy
        trials.append(Trial(overrides, right, most_probable, sst, min(drops), max(drops), mean_entropy))
        if ranks.leads:
            _write_trials(folder / "sweep.csv", trials)
    return trials


def sweep_folder(run_folder: Path) -> Path:
    """Where the runs of a sweep stand: beside the run that it is for."""
    return run_folder.with_name(f"{run_folder.name}-sweep")


def _share_warm_up(run: Run, sweep: Path) -> None:
    """Takes the finished warm-up of a run in `sweep` whose recipe is the same up to there, with its epochs' numbers."""
    target = run.path("warmup.safetensors")
    if target.exists():
        return
    for source in sorted(sweep.glob("*/warmup.safetensors")):
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


def _until_warm_up(recipe: Recipe) -> Recipe:
    tail_gates = recipe.variational is not None and recipe.variational.tail_gates
    same = {"variational": None, "objective": None, "selection": None, "finetune": None}
    return recipe.model_copy(update={**same, "name": f"tail gates: {tail_gates}"})


def _write_trials(path: Path, trials: Sequence[Trial]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    fields = ("best", "most_probable", "sst", "lowest_drop", "highest_drop", "mean_entropy")
    rows.writerow(("overrides", *fields))
    for trial in trials:
        rows.writerow((" ".join(trial.overrides), *(f"{getattr(trial, field):.6f}" for field in fields)))
    write_text(path, text.getvalue())
