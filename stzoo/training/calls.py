"""`stzoo.train`, `stzoo.finetune` and `stzoo.select`: what the commands do, without a word on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stzoo.errors import UsageError
from stzoo.ranks import Ranks
from stzoo.recipe import find, read
from stzoo.runtimes import Runtime
from stzoo.strategies.budget import Budget
from stzoo.training import pipeline
from stzoo.training.blueprint import template_tables
from stzoo.training.demands import check_net
from stzoo.training.plan import Plan, plan_finetuning, plan_training
from stzoo.training.processes import joined
from stzoo.training.results import rows
from stzoo.training.run import Run
from stzoo.training.voice import Voice

Say = Callable[[str], None]


def train(
    recipe: Path | str,
    *,
    data: Path | str | None = None,
    val: Path | str | None = None,
    folder: Path | str | None = None,
    overrides: Sequence[str] = (),
    cache: Path | str | None = None,
    say: Say = lambda _: None,
) -> Path:
    """Runs a recipe from warm-up to bundle, as `stzoo train` does; stopped and called again, it goes on.

    Args:
        recipe: a file, or the name of a recipe that stzoo brings, such as `camera-motion`.
        data: your own videos in place of the recipe's: a folder with a folder a class, or a list `path label`.
        val: with `data`, videos to validate on; by default the folder's own, or a fifth of every class.
        folder: the run's; by default `runs/RECIPE` or `runs/DATA-RECIPE`.
        overrides: changes such as `"warmup.epochs=2"`.
        cache: where decoded clips are kept; by default beside the run.
        say: is told a line an epoch, and whatever else the command prints on the way.

    Returns:
        The bundle's folder, which `stzoo.load` takes. What was measured is in the run's `metrics.json`.

    Raises:
        RecipeError, DataError, TrainingError: as the command says them.
        MissingPackageError: matplotlib is not installed, which draws the posterior.
    """
    if data is not None:
        return _own(plan_training(recipe, Path(data), _path(val), _path(folder), overrides), _path(cache), say)
    if val is not None:
        raise UsageError("val goes with data; the recipe says its own videos to validate on as data.val")
    resolved = read(recipe, overrides)
    check_net(resolved, str(find(recipe)))
    with joined(resolved.compute.device) as ranks:
        return _bundled(Run(_path(folder) or Path("runs") / Path(recipe).stem, resolved), _path(cache), say, ranks)


def finetune(
    model: Path | str,
    data: Path | str,
    *,
    val: Path | str | None = None,
    root: Path | str | None = None,
    classes: Path | str | None = None,
    weights: Path | str | None = None,
    epochs: int | None = None,
    balance: bool = False,
    folder: Path | str | None = None,
    overrides: Sequence[str] = (),
    cache: Path | str | None = None,
    say: Say = lambda _: None,
) -> Path:
    """Trains a model further on your own videos and classes, as `stzoo finetune` does.

    The model's strategy is kept, and its head too where the classes are the same. Stopped and called again with the
    same arguments, it goes on.

    Args:
        model: a reference as `stzoo.load` takes it.
        data: a folder with a folder a class (or with such folders in train and val), or a list `path label`,
            or one of parts of videos, `path,start,end,label`.
        val: videos to validate on; by default the folder's own, or a fifth of every class.
        root: the folder that the paths of lists start in; by default the list's own.
        classes: a file of class names in order, one a line; by default the folders, or the labels of the list.
        weights: of a model `torchvision:NAME`, a local file of them.
        epochs: by default as many as make about 500 steps, 5 to 40.
        balance: every class trains as often as any other, however few videos it has.
        folder: the run's; by default `runs/DATA-MODEL`.
        overrides: changes such as `"fixed.batch_size=8"`.
        cache: where decoded clips are kept; by default beside the run.
        say: is told a line an epoch, and whatever else the command prints on the way.

    Returns:
        The bundle's folder, which `stzoo.load` takes.

    Raises:
        DataError, TrainingError, RecipeError: as the command says them; and what `stzoo.load` raises for a model.
    """
    plan = plan_finetuning(
        str(model),
        Path(data),
        _path(val),
        _path(folder),
        root=_path(root),
        classes=_path(classes),
        weights=_path(weights),
        epochs=epochs,
        balance=balance,
        overrides=overrides,
    )
    return _own(plan, _path(cache), say)


def select(
    run: Path | str,
    *,
    strategies: int | None = None,
    exhaustive: bool = False,
    budgets: Sequence[str] = (),
    frontier: bool = False,
    runtime: Runtime | None = None,
    cache: Path | str | None = None,
    say: Say = lambda _: None,
) -> list[dict[str, Any]]:
    """Chooses a strategy of a run's trained template anew, as `stzoo select` does, and bundles it.

    Args:
        run: the run's folder.
        strategies: how many to draw from the posterior in all; by default as many as the recipe says.
        exhaustive: whether each is asked about all videos, also those that fall behind.
        budgets: costs such as `"50M"`, or `"3.5ms"` on a runtime, within which the best strategy is searched, in
            place of drawing some.
        frontier: whether several budgets are searched, and strategies measured beside what is found.
        runtime: on what searched strategies cost milliseconds; by default they cost multiply-adds.
        cache: where decoded clips are kept; by default beside the run.
        say: is told what the command prints on the way.

    Returns:
        A row for every net that was measured: `net`, `accuracy` with `low`, `high` and `n`, and `strategy`; of drawn
        ones `how` its weights came about and the `split`, as in `metrics.json`; of searched ones `budget`,
        `multiply_adds` and the rest of `frontier.csv`. `bundle` is the folder of the net that was chosen among all, or
        within the row's budget.

    Raises:
        TrainingError: the folder is no run, or has no template yet.
        UsageError: strategies are drawn and searched at once, or a budget pays for none.
    """
    if (budgets or frontier) and (strategies is not None or exhaustive):
        raise UsageError("strategies and exhaustive draw, budgets and frontier search; give one or the other")
    if runtime is not None and not (budgets or frontier):
        raise UsageError("runtime says on what budgets or a frontier count milliseconds; give one of them, too")
    opened, limits = Run.open(Path(run)), [Budget.parse(text) for text in budgets]
    tables = template_tables(opened)
    kept, voice = _path(cache) or opened.folder.parent / "cache", Voice(say, progress=False)
    with joined(opened.recipe.compute.device) as ranks:
        if budgets or frontier:
            points = pipeline.select_within(opened, limits, kept, voice, ranks, frontier=frontier, runtime=runtime)
            return [point.row() | {"bundle": _bundle_within(opened, point.budget)} for point in points]
        count = strategies or tables.selection.strategies
        accuracies = pipeline.select(opened, count, kept, voice, ranks, exhaustive=exhaustive)
    return [row | {"bundle": str(opened.bundle)} for row in rows(accuracies, opened.recipe.input)]


def _bundle_within(run: Run, budget: Budget | None) -> str | None:
    return None if budget is None else str(run.bundle_called(run.budget_name(budget)))


def _own(plan: Plan, cache: Path | None, say: Say) -> Path:
    """Trains on a user's own videos, and returns the bundle's folder."""
    for note in plan.notes:
        say(note)
    with plan.tried() as (_, recipe):
        run = plan.run(recipe)
    with joined(recipe.compute.device) as ranks:
        plan.begin(run, ranks)
        return _bundled(run, cache, say, ranks)


def _bundled(run: Run, cache: Path | None, say: Say, ranks: Ranks) -> Path:
    pipeline.train(run, cache or run.folder.parent / "cache", Voice(say, progress=False), ranks)
    return run.bundle


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
