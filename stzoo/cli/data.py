"""`stzoo data`: datasets that stzoo makes itself."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import rich_click as click


@click.group()
def data() -> None:
    """Make datasets."""


@data.group()
def make() -> None:
    """Make a dataset out of nothing but a seed: real video files and list files."""


@make.command()
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="A new or empty folder, or one where this command was interrupted; it goes on from there.",
)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides every picture and every video; the same seed gives the same files.",
)
@click.option("--clips", metavar="N", type=int, help="At most so many videos, at least 38.  [default: 5840]")
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Processes that film side by side; the files do not depend on it.  [default: one a processor core]",
)
def camera(out: Path, seed: int, clips: int | None, workers: int | None) -> None:
    """Film pictures with a moving camera: one set of videos, three questions.

    motion: what the camera does (still, turning left, right, up or down, approaching, moving away, rolling clockwise
    or counterclockwise, shaking). scene: which picture is filmed. both: the two together. Each has the lists train,
    val and test; motion also has test-unseen, with pictures that training never shows. clips.csv holds the truth about
    each video, README.md the sources of the pictures.
    """
    from stzoo.video.progress import Bar, counting
    from stzoo.video.synth.camera import make_camera

    with contextlib.ExitStack() as stack:
        bar: Bar | None = None
        before = 0

        def progress(done: int, total: int) -> None:
            nonlocal bar, before
            if bar is None:
                bar = stack.enter_context(counting("filming", total, unit="clip"))
            bar.advance(done - before)
            before = done

        made = make_camera(out, seed, clips, workers or os.cpu_count() or 1, progress)
    if not made:
        click.echo(f'The camera set in "{out}" is finished already; nothing to do.')
        return
    files = list((out / "videos").iterdir())
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    click.echo(f'{len(files)} videos, {megabytes:.1f} MB, and the lists of motion, scene and both are in "{out}".')
