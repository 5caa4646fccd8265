"""`stzoo train`: a recipe from warm-up to bundle."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.cli.drawing import print_parts
from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from stzoo.metrics import Estimate
    from stzoo.ranks import Ranks
    from stzoo.recipe import Recipe
    from stzoo.training.results import SplitAccuracy
    from stzoo.training.run import Run
    from stzoo.training.sweep import Point, Trial


@click.command()
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/RECIPE]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value, such as warmup.epochs=2.")
@click.option(
    "--sweep", "sweeps", multiple=True, metavar="KEY=V1,V2", help="Train a template for every value, in OUT-sweep."
)
@click.option("--data-root", type=click.Path(), help="The dataset's folder, in place of the recipe's data.root.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Where decoded clips are kept.  [default: beside the run]"
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Choice(["tensorboard", "wandb"]),
    help="Tell TensorBoard or Weights & Biases of every epoch, too; the run's metrics.jsonl has it always.",
)
@click.option("--dry-run", "dry", is_flag=True, help="Show what would be trained and its cost, and look at the data.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.pass_context
def train(
    context: click.Context,
    recipe: str,
    out: Path | None,
    overrides: tuple[str, ...],
    sweeps: tuple[str, ...],
    data_root: str | None,
    cache: Path | None,
    logs: tuple[str, ...],
    dry: bool,
    quiet: bool,
) -> None:
    """Run a RECIPE (a file, or the name of one that stzoo brings) from warm-up to bundle.

    Stopped at any point and started again, it goes on from its last checkpoint. With --sweep it trains a template for
    every combination of values instead, judges them on the selection split, and writes sweep.csv and runs to OUT-sweep.
    With --dry-run it trains and writes nothing; the exit code is 1 where the data is not there.

    On several GPUs: torchrun --nproc-per-node 8 -m stzoo train RECIPE. Each computes its part of every batch.
    """
    from stzoo.recipe import expand, find, read
    from stzoo.training.demands import check_net
    from stzoo.training.processes import joined
    from stzoo.training.sweep import Point

    changes = rooted(overrides, data_root)
    resolved, source = read(recipe, changes), str(find(recipe))
    points = [Point(point, read(recipe, (*changes, *point))) for point in expand(sweeps)] if sweeps else []
    for to_train in [point.recipe for point in points] or [resolved]:
        check_net(to_train, source)
    if sweeps and (dry or logs):
        sentence = "--dry-run shows one run" if dry else "--log follows one run"
        raise UsageError(f"{sentence}; give the values of --sweep with --set instead")
    if dry:
        root = () if data_root is None else ("--data-root", data_root)
        context.exit(_show(resolved, recipe, [*(word for value in overrides for word in ("--set", value)), *root]))
    folder = out or Path("runs") / Path(recipe).stem
    cache = cache or folder.parent / "cache"
    with joined(resolved.compute.device) as ranks, saying_how_to_go_on(ranks.leads):
        if points:
            _sweep(points, folder, cache, quiet, ranks)
        else:
            train_recipe(resolved, folder, cache, logs, quiet, ranks)


def rooted(overrides: tuple[str, ...], data_root: str | None) -> tuple[str, ...]:
    """What `--set` and `--data-root` change of a recipe. Raises `UsageError` where both name the dataset's folder."""
    if data_root is None:
        return overrides
    if any(override.partition("=")[0].strip() == "data.root" for override in overrides):
        raise UsageError("--data-root and --set data.root both name the dataset's folder; give one of them")
    return *overrides, f"data.root={json.dumps(data_root, ensure_ascii=False)}"


def _show(resolved: Recipe, recipe: str, options: Sequence[str]) -> int:
    """The dry run of a recipe, with the options that changed it, and its exit code."""
    from stzoo.cli.dry_run import dry_run

    if not dry_run(resolved):
        return 1
    click.echo(f"To decode every video: {shlex.join(['stzoo', 'data', 'check', recipe, *options])}")
    return 0


def train_recipe(recipe: Recipe, folder: Path, cache: Path, logs: tuple[str, ...], quiet: bool, ranks: Ranks) -> None:
    """Trains what a recipe's run in `folder` lacks, and prints its measurements and where its bundle is."""
    from stzoo.training.pipeline import train as run_all
    from stzoo.training.run import Run
    from stzoo.training.trackers import tracker
    from stzoo.training.voice import Voice

    run = Run(folder, recipe, [tracker(name, folder, recipe) for name in logs])
    accuracies = run_all(run, cache, Voice(click.echo, progress=not quiet), ranks)
    if not ranks.leads:
        return
    if accuracies:
        print_results(run, accuracies)
    else:
        click.echo(f"{folder} is finished; its bundle is {run.bundle}")


def print_results(run: Run, accuracies: Sequence[SplitAccuracy]) -> None:
    """Prints the final measurements of a run, and where its bundle is."""
    print_parts(_accuracy_table(accuracies))
    click.echo(f"Bundle: {run.bundle}")


def _accuracy_table(accuracies: Sequence[SplitAccuracy]) -> Table:
    """One line a net, one column a split."""
    from rich.table import Table

    from stzoo.strategies.names import UNIFORM
    from stzoo.strategies.strategy import open_branches

    splits = list(dict.fromkeys(measured.split for measured in accuracies))
    present = {unit for measured in accuracies for unit in measured.strategy.units.values()}
    units = [unit for unit in UNIFORM.values() if "T" not in open_branches(unit) or unit in present]
    shown = Table("net", "weights", *splits, f"sites with {' / '.join(units)}", title="accuracy with 95 % interval")
    for name in dict.fromkeys(measured.name for measured in accuracies):
        on_splits = {measured.split: measured for measured in accuracies if measured.name == name}
        first = next(iter(on_splits.values()))
        counts = first.strategy.counts()
        cells = [_percentages(measured.accuracy) for measured in on_splits.values()]
        shown.add_row(name, first.how, *cells, " / ".join(str(counts.get(unit, 0)) for unit in units))
    return shown


def _percentages(accuracy: Estimate) -> str:
    return f"{100 * accuracy.value:.1f} ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})"


def _sweep(points: Sequence[Point], folder: Path, cache: Path, quiet: bool, ranks: Ranks) -> None:
    """Trains every point of a sweep, and prints what they reach and where their table is."""
    from stzoo.training.sweep import sweep, sweep_folder
    from stzoo.training.voice import Voice

    folder = sweep_folder(folder)
    trials = sweep(points, folder, cache, Voice(click.echo, progress=not quiet), ranks)
    if ranks.leads:
        print_parts(_trial_table(trials))
        click.echo(f"Table: {folder / 'sweep.csv'}")


def _trial_table(trials: Sequence[Trial]) -> Table:
    from rich.table import Column, Table

    shown = Table(
        Column("overrides", overflow="fold"),
        "best",
        "most probable",
        "S+ST",
        "drop rates",
        "entropy",
        title="on the selection split",
    )
    for trial in trials:
        accuracies = (f"{100 * value:.1f}" for value in (trial.best, trial.most_probable, trial.sst))
        drops = f"{trial.lowest_drop:.3f} to {trial.highest_drop:.3f}"
        shown.add_row(" ".join(trial.overrides), *accuracies, drops, f"{trial.mean_entropy:.3f}")
    return shown
