"""`stzoo data shrink`: a dataset written anew with smaller videos."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.cli.data_check import own_videos
from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.cli.train import rooted
from stzoo.errors import UsageError
from stzoo.pool import processors

if TYPE_CHECKING:
    from stzoo.data.shrink import Plan, Report

_MOST_PROBLEMS = 20


@click.command()
@click.argument("recipe")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="A new or empty folder, or one where this command was interrupted; it goes on from there.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value, such as data.train=t.txt."
)
@click.option("--data-root", type=click.Path(), help="The dataset's folder, in place of the recipe's data.root.")
@click.option(
    "--short-side",
    metavar="PIXELS",
    type=click.IntRange(min=16, max=4096),
    default=256,
    show_default=True,
    help="Of the new pictures; smaller ones are not enlarged.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Processes that work side by side.  [default: one a processor core]",
)
@click.option("--dry-run", is_flag=True, help="Try some of the videos, and say how much room and time all would take.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def shrink(
    recipe: str,
    out: Path,
    overrides: tuple[str, ...],
    data_root: str | None,
    short_side: int,
    workers: int | None,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Write the videos of a RECIPE's lists anew, small and quick to decode, with their lists, into a folder.

    Every frame keeps its time; sound is left out. The recipe then runs on the new folder (`stzoo train RECIPE
    --data-root DIR`). A video that cannot be read is an empty file there, so that it is left out as before.
    Stopped and started again, it goes on. H.264 at a constant quality, a keyframe in 16 frames.
    """
    from stzoo.data.shrink import carry_out, plan_shrinking
    from stzoo.recipe import read
    from stzoo.terminal.progress import counting
    from stzoo.video.track import H264, can_encode

    if not can_encode(H264):
        raise UsageError("the installed PyAV has no encoder of H.264; install the av of PyPI, which has it")
    if (own := own_videos(recipe)) is not None:
        raise UsageError(
            f"{own} is a list or folder of videos, and no recipe; give a recipe whose [data] names it, so that all of "
            "its lists are written anew together."
        )
    resolved = read(recipe, rooted(overrides, data_root))
    plan = plan_shrinking(resolved.data, out, short_side)
    for note in plan.lists.notes:
        click.echo(note, err=True)
    wanted = max(resolved.input.short_side, resolved.training_input.short_side)
    if wanted > short_side:
        click.echo(
            f"Warning: {recipe} resizes to {wanted} pixels, and videos of {short_side} will be enlarged again; "
            f"--short-side {wanted} keeps what it wants.",
            err=True,
        )
    workers = workers or processors()
    if dry_run:
        _print_estimate(plan, workers)
        return
    with saying_how_to_go_on(), counting("shrinking", len(plan.videos), unit="videos", show=not quiet) as bar:
        report = carry_out(plan, workers=workers, advance=bar.advance)
    _print_report(report, recipe, out)


def _print_estimate(plan: Plan, workers: int) -> None:
    from rich.filesize import decimal

    from stzoo.data.shrink import estimate
    from stzoo.terminal.progress import duration

    guess = estimate(plan, workers=workers)
    click.echo(
        f"{guess.videos} videos, {decimal(guess.before_bytes)}, would be about {decimal(guess.after_bytes)} after "
        f"{duration(guess.seconds)} with {workers} processes, judged by {guess.tried} of them; the disk of {plan.out} "
        f"has {decimal(guess.free_bytes)} free."
    )
    if guess.after_bytes > guess.free_bytes:
        click.echo("That is not enough.")


def _print_report(report: Report, recipe: str, out: Path) -> None:
    from rich.filesize import decimal

    share = f" ({report.after_bytes / report.before_bytes:.0%})" if report.before_bytes else ""
    click.echo(
        f'{report.videos} videos, {decimal(report.before_bytes)}, are {decimal(report.after_bytes)}{share} in "{out}".'
    )
    for problem in report.problems[:_MOST_PROBLEMS]:
        click.echo(f"{problem.problem}: {problem.reason}")
    if len(report.problems) > _MOST_PROBLEMS:
        click.echo(f"... and {len(report.problems) - _MOST_PROBLEMS} more.")
    words = ["stzoo", "train", recipe, *(w for pair in report.settings.items() for w in ("--set", "=".join(pair)))]
    click.echo(f"Train on them: {shlex.join(words)}")
