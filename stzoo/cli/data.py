"""`stzoo data`: datasets that stzoo makes itself, and a check of any other; `shrink` is in a module of its own."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.cli.drawing import print_parts
from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.cli.options import format_option
from stzoo.cli.shrink import shrink
from stzoo.cli.train import rooted
from stzoo.pool import processors

if TYPE_CHECKING:
    from stzoo.data.check import Report

Command = Callable[..., Any]

_MOST_PROBLEMS = 20
_MOST_CLASSES = 5
_TRIED = 16  # clips that are filmed before it is said how long the others take


@click.group()
def data() -> None:
    """Make, check and shrink datasets."""


data.add_command(shrink)


@data.command()
@click.argument("recipe")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value, such as data.train=t.txt."
)
@click.option("--data-root", type=click.Path(), help="The dataset's folder, in place of the recipe's data.root.")
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
    good: Path | None,
    record: Path | None,
    workers: int | None,
    format_: str,
    quiet: bool,
) -> None:
    """Decode every video of a RECIPE's lists, and say what is wrong with them.

    Finds videos that are missing, empty, unreadable, damaged in part, shorter than a clip, listed twice or under
    several labels, or in two splits, and classes without videos. The exit code is 1 where training would suffer.
    Stopped and started again, it goes on; videos that were checked before are not decoded again.
    """
    from stzoo.data.check import check as check_lists
    from stzoo.data.check import write_good
    from stzoo.data.lists import read_lists
    from stzoo.recipe import read
    from stzoo.terminal.progress import counting

    resolved = read(recipe, rooted(overrides, data_root))
    lists = read_lists(resolved.data.model_copy(update={"frame_order": "given"}))
    for note in lists.notes:
        click.echo(note, err=True)
    total = len({item.path for items in lists.splits.values() for item in items})
    with saying_how_to_go_on(), counting("checking", total, unit="videos", show=not quiet) as bar:
        report = check_lists(
            lists,
            resolved.input,
            resolved.training_input,
            record or Path("runs") / f"check-{resolved.name}.jsonl",
            max_broken=resolved.data.max_broken,
            workers=workers or processors(),
            advance=bar.advance,
        )
    unnamed = [] if good is None else write_good(good, report, resolved.data.folder)
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


@data.group()
def make() -> None:
    """Make a dataset out of nothing but a seed: real video files and list files."""


def _making(least: int, clips: int) -> Callable[[Command], Command]:
    """The options that every made set has."""
    options = (
        click.option(
            "--out",
            metavar="DIR",
            type=click.Path(path_type=Path),
            required=True,
            help="A new or empty folder, or one where this command was interrupted; it goes on from there.",
        ),
        click.option(
            "--seed",
            metavar="N",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Decides every picture and every video; the same seed gives the same files.",
        ),
        click.option(
            "--clips", metavar="N", type=int, help=f"At most so many videos, at least {least}.  [default: {clips}]"
        ),
        click.option(
            "--workers",
            metavar="N",
            type=click.IntRange(min=1),
            help="Processes that film side by side; the files do not depend on it.  [default: one a processor core]",
        ),
    )
    return lambda command: functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


@make.command()
@_making(least=38, clips=5840)
def camera(out: Path, seed: int, clips: int | None, workers: int | None) -> None:
    """Film pictures with a moving camera: one set of videos, three questions.

    motion: what the camera does (still, turning left, right, up or down, approaching, moving away, rolling clockwise
    or counterclockwise, shaking). scene: which picture is filmed. both: the two together. Each has the lists train,
    val and test; motion also has test-unseen, with pictures that training never shows. clips.csv holds the truth about
    each video, README.md the sources of the pictures.
    """
    from stzoo.data.synth.camera import make_camera

    film = partial(make_camera, out, seed, clips, workers or processors())
    _film("camera", "the lists of motion, scene and both", out, film)


@make.command()
@_making(least=45, clips=1950)
@click.option(
    "--motions",
    metavar="DIR|WHEEL",
    type=click.Path(path_type=Path, exists=True),
    help="Where pybullet's motion files are: a folder, or a wheel.  [default: the installed pybullet]",
)
def mocap15(out: Path, seed: int, clips: int | None, workers: int | None, motions: Path | None) -> None:
    """Film fifteen human actions: drawn bodies over pictures, moved by motion capture.

    backflip, cartwheel, crawl, two dances, getting up from face down and face up, jump, kick, punch, roll, run, spin,
    spinkick, walk; each captured once, and seen by another camera, on another body, at another speed and from another
    moment in every clip. The lists are train, val and test; the pictures of val and test are not in train. clips.csv
    holds the truth about each video, README.md the sources of motions and pictures.
    """
    from stzoo.data.synth.mocap15 import make_mocap15

    film = partial(make_mocap15, out, seed, clips, workers or processors(), motions=motions)
    _film("mocap15", "their lists", out, film)


def _film(name: str, lists: str, out: Path, film: Callable[..., bool]) -> None:
    """Makes a set with a bar, and says what there is then; `film` takes `progress`."""
    from rich.filesize import decimal

    from stzoo.terminal.progress import Bar, counting, duration

    with saying_how_to_go_on(), contextlib.ExitStack() as stack:
        bar: Bar | None = None
        first = before = 0
        start = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal bar, first, before, start
            if bar is None:
                bar, first, before = stack.enter_context(counting("filming", total, unit="clips")), done, done
                bar.skip(done)
                start = time.monotonic()
            bar.advance(done - before)
            if before - first < _TRIED <= done - first and not sys.stderr.isatty():  # a terminal shows the bar's own
                seconds = (time.monotonic() - start) / (done - first) * (total - done)
                click.echo(f"{done} of {total} clips are filmed; the others take about {duration(seconds)}.", err=True)
            before = done

        is_new = film(progress=progress)
    if not is_new:
        click.echo(f'The {name} set in "{out}" is finished already; nothing to do.')
        return
    files = list((out / "videos").iterdir())
    size = decimal(sum(file.stat().st_size for file in files))
    click.echo(f'{len(files)} videos, {size}, and {lists} are in "{out}".')
