"""`stzoo finetune`: a model trained further on a user's own videos and classes."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from stzoo.cli.options import weights_option
from stzoo.cli.own_data import train_own


@click.command()
@click.argument("model", metavar="NAME|PATH")
@click.option(
    "--data",
    required=True,
    metavar="FOLDER|LIST",
    type=click.Path(path_type=Path, exists=True),
    help="A folder with a folder a class (or with such folders in train and val), a list with `path label` a line, or "
    "parts of videos: a CSV of path,start,end,label, or what BORIS exports.",
)
@click.option(
    "--val",
    metavar="FOLDER|LIST",
    type=click.Path(path_type=Path, exists=True),
    help="Videos to validate on.  [default: the folder's val or test, or a fifth of every class]",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The folder that the paths of lists start in.  [default: the list's own]",
)
@click.option(
    "--classes",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Class names in order, one a line.  [default: the folders, or the labels of the list]",
)
@weights_option
@click.option("--epochs", type=click.IntRange(1, 10_000), help="[default: as many as make about 500 steps, 5 to 40]")
@click.option("--balance", is_flag=True, help="Train on every class as often, however few videos it has.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/DATA-MODEL]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value, as for stzoo train.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Where decoded clips are kept.  [default: beside the run]"
)
@click.option("--dry-run", "dry", is_flag=True, help="Show what would be trained and its cost, and look at the data.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.pass_context
def finetune(
    context: click.Context,
    model: str,
    data: Path,
    val: Path | None,
    root: Path | None,
    classes: Path | None,
    weights: Path | None,
    epochs: int | None,
    balance: bool,
    out: Path | None,
    overrides: tuple[str, ...],
    cache: Path | None,
    dry: bool,
    quiet: bool,
) -> None:
    """Train a model further on your own videos and classes, and bundle it.

    The model's strategy is kept, and its head too where the classes are the same; otherwise the head is replaced. The
    videos that validate are measured once, at the end; clips cut from one recording should stand on one side.
    Stopped at any point and started again, it goes on. RUN/given holds the lists, RUN/recipe.toml all that was decided.
    """
    from stzoo.training.plan import plan_finetuning

    plan = plan_finetuning(
        model,
        data,
        val,
        out,
        root=root,
        classes=classes,
        weights=weights,
        epochs=epochs,
        balance=balance,
        overrides=overrides,
    )
    train_own(context, plan, cache=cache, dry=dry, quiet=quiet)
