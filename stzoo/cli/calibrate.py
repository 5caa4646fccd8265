"""`stzoo calibrate`: how far a model's scores are to be believed, fitted on labelled videos."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.cli.drawing import plain_table, print_parts
from stzoo.cli.options import format_option, frame_rate_option, root_option, workers_option
from stzoo.errors import VideoError

if TYPE_CHECKING:
    from stzoo.zoo.calibrating import Calibrated


@click.command()
@click.pass_context
@click.argument("model", metavar="NAME|PATH")
@click.option(
    "--data",
    metavar="LIST",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="Labelled videos like those to come, that the model was not trained on, as for `stzoo evaluate --data`.",
)
@root_option
@click.option(
    "--average",
    metavar="N",
    type=click.IntRange(2, 1000),
    help="Fit the average of N nets drawn from the model's template, and keep their batch-norm statistics.",
)
@click.option(
    "--precision",
    "precisions",
    metavar="SHARE",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    multiple=True,
    help="Look for the threshold of another precision too; may be given several times.",
)
@frame_rate_option
@workers_option
@format_option
def calibrate(
    context: click.Context,
    /,
    model: str,
    data: Path,
    root: Path | None,
    average: int | None,
    precisions: tuple[float, ...],
    frame_rate: float | None,
    workers: int | None,
    format_: str,
) -> None:
    """Fit how far a model's scores are to be believed, and keep it in the model's folder.

    A temperature makes its probabilities those with which it is right; a threshold is the least score from which on
    answers are right as often as wanted, by the lower end of their 95 % interval. `stzoo predict --min-precision` says
    "unknown" below it, and `stzoo export` writes both into ONNX files. Files that cannot be read are named on standard
    error, and the exit code is 1.
    """
    from stzoo import bundle as bundles
    from stzoo.data.labelled import labelled
    from stzoo.terminal.progress import counting
    from stzoo.zoo import calibrating
    from stzoo.zoo.fingerprints import seen_in_training
    from stzoo.zoo.reference import find

    folder = find(model, offline=True).folder
    say = partial(click.echo, err=True)
    items = labelled(data, root, bundles.read(folder).labels, say=say)
    if frame_rate is not None:
        items = [item._replace(frame_rate=frame_rate) for item in items]
    if (sentence := seen_in_training(folder, (item.video for item in items))) is not None:
        say(f"Warning: {sentence}")
    with counting("Scoring", len(items), unit="videos", show=sys.stderr.isatty()) as bar:
        done = calibrating.calibrate(
            model,
            items,
            data.name,
            average=average,
            precisions=precisions,
            workers=workers,
            say=say,
            advance=bar.reach,
        )
    for failed in done.failed:
        say(f"Error: {failed.reason}")
    if format_ == "json":
        facts = done.confidence.model_dump(mode="json")
        losses = {"log_loss_before": done.before.value, "log_loss_after": done.after.value}
        click.echo(json.dumps(facts | losses, indent=2, ensure_ascii=False))
    else:
        _print(done, precisions)
    if done.failed:
        context.exit(VideoError.exit_code)


def _print(done: Calibrated, precisions: tuple[float, ...]) -> None:
    from stzoo.prediction.confidence import PRECISIONS

    fit = done.confidence
    table = plain_table("precision:right", "least score:right", "videos answered:right")
    reached = {threshold.precision: threshold for threshold in fit.thresholds}
    for precision in sorted({*PRECISIONS, *precisions}):
        if (threshold := reached.get(precision)) is None:
            table.add_row(f"{100 * precision:g} %", "not shown by so few videos", "")
        else:
            table.add_row(f"{100 * precision:g} %", f"{threshold.score:.4f}", f"{100 * threshold.coverage:.1f} %")
    print_parts(
        table,
        f"Temperature {fit.temperature:.3f}: log loss {done.after.value:.4f} on {fit.videos} videos of {fit.data}, "
        f"{done.before.value:.4f} without.\n{done.path}",
    )
