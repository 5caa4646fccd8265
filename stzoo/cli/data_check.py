"""`stzoo data check`: what is wrong with the videos of a recipe, or of a list or folder of one's own."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import rich_click as click

from stzoo.cli.drawing import print_parts
from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.cli.options import format_option
from stzoo.cli.train import rooted
from stzoo.errors import UsageError
from stzoo.pool import processors

if TYPE_CHECKING:
    from stzoo.contract import InputContract
    from stzoo.data.check import Report
    from stzoo.data.lists import Lists

_MOST_PROBLEMS = 20
_MOST_CLASSES = 5
_LISTS = (".csv", ".tsv", ".txt")


@click.command()
@click.argument("recipe", metavar="RECIPE|LIST|FOLDER")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value of the recipe, such as data.train=t.txt.",
)
@click.option(
    "--data-root",
    type=click.Path(),
    help="The dataset's folder, in place of the recipe's data.root; the folder that the paths of a list start in.",
)
@click.option(
    "--val",
    metavar="LIST|FOLDER",
    type=click.Path(path_type=Path, exists=True),
    help="Beside a list or folder: the videos to validate on.",
)
@click.option("--model", metavar="NAME|PATH", help="Beside a list or folder: whose clips videos may be too short for.")
@click.option(
    "--good", metavar="FILE", type=click.Path(path_type=Path), help="Write the names of the good videos here."
)
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where findings are kept, so that a stopped check goes on.  [default: runs/check-RECIPE.jsonl]",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Processes that decode side by side.  [default: one a processor core]",
)
@format_option
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def check(
    context: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    data_root: str | None,
    val: Path | None,
    model: str | None,
    good: Path | None,
    record: Path | None,
    workers: int | None,
    format_: str,
    quiet: bool,
) -> None:
    """Decode every video of a RECIPE's lists, or of a LIST or FOLDER of your own, and say what is wrong with them.

    Finds videos that are missing, empty, unreadable, damaged in part, shorter than a clip, listed twice or under
    several labels, or in two splits, and classes without videos. The exit code is 1 where training would suffer.
    Stopped and started again, it goes on; videos that were checked before are not decoded again.
    """
    from stzoo.data.check import check as check_lists
    from stzoo.data.check import write_good
    from stzoo.terminal.progress import counting

    own = own_videos(recipe)
    if own is not None and not own.exists():
        raise UsageError(f"{own} does not exist; give a list, a folder of videos, or a recipe.")
    if own is not None and overrides:
        raise UsageError(f"--set changes a recipe, and {own} is none; leave it out.")
    if own is None and (val is not None or model is not None):
        raise UsageError(f"--val and --model go with a list or a folder, and {recipe} is a recipe; leave them out.")
    asked = _of_recipe(recipe, overrides, data_root) if own is None else _of_own(own, val, data_root, model)
    lists = asked.lists
    for note in lists.notes:
        click.echo(note, err=True)
    total = len({item.path for items in lists.splits.values() for item in items})
    with saying_how_to_go_on(), counting("checking", total, unit="videos", show=not quiet) as bar:
        report = check_lists(
            lists,
            asked.contract,
            asked.training,
            record or Path("runs") / f"check-{asked.name}.jsonl",
            max_broken=asked.max_broken,
            workers=workers or processors(),
            advance=bar.advance,
        )
    unnamed = [] if good is None else write_good(good, report, asked.root)
    if format_ == "json":
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        _print_report(report, good, len(report.good) - len(unnamed))
    if unnamed:
        click.echo(
            f"{len(unnamed)} good videos are not in {good}, because no line can hold their paths; the first to rename "
            f"is {str(unnamed[0])!r}.",
            err=True,
        )
    context.exit(1 if report.suffers else 0)


class _Asked(NamedTuple):
    """What is checked, and what against."""

    name: str
    lists: Lists
    root: Path
    contract: InputContract | None
    training: InputContract | None
    max_broken: float


def own_videos(word: str) -> Path | None:
    """The list or folder that a word means, which may be a list that does not exist; None where it means a recipe."""
    from stzoo.errors import RecipeError
    from stzoo.recipe import find

    path = Path(word)
    if path.is_dir():
        with contextlib.suppress(RecipeError):
            find(word)
            return None
        return path
    suffix = path.suffix.lower()
    return path if suffix in _LISTS or (path.is_file() and suffix != ".toml") else None


def _of_recipe(recipe: str, overrides: tuple[str, ...], data_root: str | None) -> _Asked:
    from stzoo.data.lists import read_lists
    from stzoo.recipe import read

    resolved = read(recipe, rooted(overrides, data_root))
    lists = read_lists(resolved.data.model_copy(update={"frame_order": "given"}))
    data = resolved.data
    return _Asked(resolved.name, lists, data.folder, resolved.input, resolved.training_input, data.max_broken)


def _of_own(data: Path, val: Path | None, root: str | None, model: str | None) -> _Asked:
    from stzoo import bundle as bundles
    from stzoo.data.own import MAX_BROKEN, own_lists
    from stzoo.zoo.reference import find

    lists = own_lists(data, val, root=None if root is None else Path(root))
    contract = None if model is None else bundles.read(find(model).folder).contract
    start = data if data.is_dir() else Path(root or data.parent)
    return _Asked(data.resolve().stem, lists, start.resolve(), contract, contract, MAX_BROKEN)


def _print_report(report: Report, good: Path | None, named: int) -> None:
    from rich.table import Column, Table

    from stzoo.data.check import KINDS

    table = Table("", *(Column(split, justify="right") for split in report.videos))
    table.add_row("videos", *(str(count) for count in report.videos.values()))
    for kind in KINDS:
        table.add_row(kind, *(str(report.count(split, kind)) for split in report.videos))
    table.add_row("classes without videos", *(str(len(report.absent[split])) for split in report.videos))
    print_parts(table)
    for problem in report.problems[:_MOST_PROBLEMS]:
        click.echo(f"{problem.split}, {problem.kind}: {problem.reason}")
    if len(report.problems) > _MOST_PROBLEMS:
        click.echo(f"... and {len(report.problems) - _MOST_PROBLEMS} more; --format json names them all.")
    for split, classes in report.absent.items():
        if classes and split != "train":
            names = ", ".join(f'"{name}"' for name in classes[:_MOST_CLASSES])
            click.echo(f"{split}, without videos: {names}{', ...' if len(classes) > _MOST_CLASSES else ''}")
    for sentence in report.suffers:
        click.echo(sentence)
    if not report.suffers:
        click.echo("Training can start.")
    if good is not None:
        setting = json.dumps(str(good.absolute()), ensure_ascii=False)
        click.echo(f"{named} good videos are named in {good}; train on them alone with data.good={setting}")
