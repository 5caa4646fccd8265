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
from stzoo.cli.own_data import train_own
from stzoo.cli.train_recipe import train_recipe
from stzoo.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from stzoo.ranks import Ranks
    from stzoo.recipe import Recipe
    from stzoo.training.sweep import Point, Trial


_DEFAULT = "camera-motion"
"""The recipe that trains on --data where none is named: small clips, and a net that a CPU trains."""


@click.command()
@click.argument("recipe", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/RECIPE]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value, such as warmup.epochs=2.")
@click.option(
    "--sweep", "sweeps", multiple=True, metavar="KEY=V1,V2", help="Train a template for every value, in OUT-sweep."
)
@click.option("--data-root", type=click.Path(), help="The dataset's folder, in place of the recipe's data.root.")
@click.option(
    "--data",
    metavar="FOLDER|LIST",
    type=click.Path(path_type=Path, exists=True),
    help="Your own videos in place of the recipe's dataset, as stzoo finetune takes them.  [RECIPE: camera-motion]",
)
@click.option(
    "--val",
    metavar="FOLDER|LIST",
    type=click.Path(path_type=Path, exists=True),
    help="With --data, videos to validate on.  [default: the folder's val or test, or a fifth of every class]",
)
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
    recipe: str | None,
    out: Path | None,
    overrides: tuple[str, ...],
    sweeps: tuple[str, ...],
    data_root: str | None,
    data: Path | None,
    val: Path | None,
    cache: Path | None,
    logs: tuple[str, ...],
    dry: bool,
    quiet: bool,
) -> None:
    """Run a RECIPE (a file, or the name of one that stzoo brings) from warm-up to bundle.

    Stopped at any point and started again, it goes on from its last checkpoint. With --sweep it trains a template for
    every combination of values instead, judges them on the selection split, and writes sweep.csv and runs to OUT-sweep.
    With --dry-run it trains and writes nothing; the exit code is 1 where the data is not there.
    With --data it trains on your own videos; RUN/given then holds the lists, RUN/recipe.toml all that was decided.

    On several GPUs: torchrun --nproc-per-node 8 -m stzoo train RECIPE. Each computes its part of every batch.
    """
    from stzoo.recipe import expand, find, read
    from stzoo.training.demands import check_net
    from stzoo.training.plan import plan_training
    from stzoo.training.processes import joined
    from stzoo.training.sweep import Point

    if data is not None:
        if data_root is not None or sweeps:
            raise UsageError(f"--data does not go with {'--sweep' if sweeps else '--data-root'}; leave one of them out")
        plan = plan_training(recipe or _DEFAULT, data, val, out, overrides)
        train_own(context, plan, cache=cache, logs=logs, dry=dry, quiet=quiet)
        return
    if recipe is None:
        raise click.UsageError("Missing argument 'RECIPE'.", ctx=context)
    if val is not None:
        raise UsageError("--val goes with --data; the recipe says its own videos to validate on as data.val")
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
