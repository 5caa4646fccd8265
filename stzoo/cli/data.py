"""`stzoo data`: datasets that stzoo makes itself, and the checking and shrinking of any other."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import rich_click as click

from stzoo.cli.data_check import check
from stzoo.cli.data_shrink import shrink
from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.pool import processors

Command = Callable[..., Any]

_TRIED = 16  # clips that are filmed before it is said how long the others take


@click.group()
def data() -> None:
    """Make, check and shrink datasets."""


data.add_command(check)
data.add_command(shrink)


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
