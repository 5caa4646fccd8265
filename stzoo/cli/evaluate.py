"""`stzoo evaluate`: a model measured on labelled videos."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.cli.options import (
    format_option,
    frame_rate_option,
    loaded,
    protocol_options,
    resolved,
    root_option,
    runtime_options,
    trust_options,
    weights_option,
    workers_option,
)
from stzoo.errors import MissingPackageError, UsageError, VideoError, require
from stzoo.files import slug

if TYPE_CHECKING:
    from stzoo.data.datasets import Item
    from stzoo.evaluation import Evaluation
    from stzoo.metrics import Estimate
    from stzoo.prediction.predictor import Predictor
    from stzoo.video.frame_order import FrameOrder

_CLASSES_SHOWN = 20
_MOST_CALIBRATING = 100


@click.command()
@click.pass_context
@click.argument("model", metavar="NAME|PATH")
@click.option(
    "--data",
    metavar="LIST",
    type=click.Path(path_type=Path, exists=True),
    help="A list with `path label` a line, the label a class of the model or its index; or a folder with a folder a "
    "class.  [default: the videos that MODEL, a run, validates on]",
)
@root_option
@click.option("--strategy", help="Another strategy out of the model's template, such as sst, mc3 or most-probable.")
@click.option(
    "--calibrate",
    metavar="FOLDER|LIST",
    type=click.Path(path_type=Path, exists=True),
    help=f"Videos, of which at most {_MOST_CALIBRATING} re-estimate the net's batch-norm statistics.",
)
@weights_option
@trust_options
@protocol_options
@click.option(
    "--frame-order",
    type=click.Choice(["given", "reversed", "shuffled"]),
    help="In which the net sees the frames of every clip.  [default: as they were filmed; of a run's own videos, as it "
    "was trained]",
)
@frame_rate_option
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for scores, numbers and figures; a run that was stopped goes on there.  "
    "[default: evaluation-MODEL-LIST]",
)
@runtime_options
@workers_option
@format_option
def evaluate(
    context: click.Context,
    /,
    model: str,
    data: Path | None,
    root: Path | None,
    strategy: str | None,
    calibrate: Path | None,
    weights: Path | None,
    out: Path | None,
    workers: int | None,
    frame_rate: float | None,
    frame_order: FrameOrder | None,
    format_: str,
    **wishes: Any,
) -> None:
    """Measure a model on labelled videos: accuracy, classes, confusion, calibration, and what silence gains.

    Files that cannot be read are named on standard error and counted, accuracies are about the others, and the exit
    code is 1.
    """
    from stzoo.data.labelled import labelled
    from stzoo.evaluation import measured

    say = partial(click.echo, err=True)
    figures = _can_draw()
    model = resolved(model, weights)
    calibrating = [] if calibrate is None else _calibrating(model, calibrate, root)
    predictor = loaded(model, **wishes, strategy=strategy, calibrate=calibrating)
    items = _own_val(model) if data is None else labelled(data, root, predictor.labels, say=say)
    if frame_rate is not None:
        items = [item._replace(frame_rate=frame_rate) for item in items]
    order = frame_order or items[0].order
    made = (f"average-{predictor.nets}" if predictor.nets > 1 else None, "calibrated" if predictor.confidence else None)
    words = (predictor.name or model, strategy, *made, "val" if data is None else data.resolve().stem, frame_order)
    folder = out or Path("-".join(["evaluation", *(_slug(word) for word in words if word)]))
    with saying_how_to_go_on():
        evaluation = measured(
            predictor,
            items,
            folder,
            reference=model,
            variant=_variant(predictor, strategy, calibrating),
            frame_order=order,
            workers=workers,
            bar=sys.stderr.isatty(),
        )
    evaluation.write(folder, figures=figures)
    for failed in evaluation.failed:
        click.echo(f"Error: {failed.reason}", err=True)
    for sentence in evaluation.warnings:
        click.echo(f"Warning: {sentence}", err=True)
    if format_ == "json":
        click.echo(json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(evaluation, folder, figures)
    if evaluation.failed:
        context.exit(VideoError.exit_code)


def _can_draw() -> bool:
    """Whether there will be figures; says before anything is measured why there are none."""
    try:
        require("matplotlib")
    except MissingPackageError as error:
        click.echo(f"Warning: no figures: {error}", err=True)
        return False
    return True


def _own_val(model: str) -> list[Item]:
    """The validation list of a run. Raises `UsageError` where the model is no run, or asks for the arrow of time."""
    from stzoo.data.lists import read_lists
    from stzoo.training.run import Run

    if not (Path(model) / "recipe.toml").is_file() or not (Path(model) / "bundles").is_dir():
        raise UsageError(f"{model} is not the folder of a run, which has its own videos to measure on; give --data")
    recipe = Run.open(Path(model)).recipe
    if recipe.data.frame_order == "arrow":
        raise UsageError(
            f"{model} tells clips from their reverse, and has measured that in its metrics.json; give --data for others"
        )
    return read_lists(recipe.data).tests["val"]


def _calibrating(model: str, data: Path, root: Path | None) -> list[Path]:
    """Some videos of a list or a folder of classes, spread evenly over it."""
    from stzoo import bundle as bundles
    from stzoo.data.labelled import labelled
    from stzoo.zoo.reference import find

    items = labelled(data, root, bundles.read(find(model).folder).labels, say=partial(click.echo, err=True))
    step = -(-len(items) // _MOST_CALIBRATING)
    return [item.path for item in items[::step]]


def _variant(predictor: Predictor, strategy: str | None, calibrating: Sequence[Path]) -> dict[str, str]:
    """In what the net is not as its bundle stores it."""
    variant = {} if strategy is None or predictor.strategy is None else {"strategy": predictor.strategy.digest}
    if calibrating:
        text = "\0".join(str(path.resolve()) for path in calibrating)
        variant["calibration"] = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return variant


def _print(evaluation: Evaluation, folder: Path, figures: bool) -> None:
    from stzoo.cli.drawing import plain_table, print_parts

    table = plain_table("metric", "value:right", "95 % interval", "n:right")
    named: list[tuple[str, Estimate | None]] = [("top-1", evaluation.top1), ("top-5", evaluation.top5)]
    named += [("balanced accuracy", evaluation.balanced), ("expected calibration error", evaluation.calibration.error)]
    for name, value in named:
        if value is not None:
            table.add_row(name, *_cells(value))
    for name, value in (("log loss, nats", evaluation.log_loss), ("Brier score", evaluation.brier)):
        table.add_row(name, f"{value.value:.3f}", f"{value.low:.3f} to {value.high:.3f}", str(value.n))
    table.add_row(
        "area under risk and coverage", f"{evaluation.risk_coverage.area:.4f}", "", str(len(evaluation.labels))
    )
    classes = [
        (value.value, label, value)
        for label, value in zip(evaluation.about["labels"], evaluation.classes, strict=True)
        if value is not None
    ]
    worst = sorted(classes, key=lambda entry: entry[0])[:_CLASSES_SHOWN]
    by_class = plain_table("class", "top-1:right", "95 % interval", "n:right")
    for _, label, value in worst:
        by_class.add_row(label, *_cells(value))
    more = len(classes) - len(worst)
    others = f"The worst {len(worst)} of {len(classes)} classes; results.json has all.\n" if more else ""
    failed = f"{len(evaluation.failed)} of {len(evaluation.failed) + len(evaluation.labels)} files could not be read.\n"
    print_parts(
        table,
        by_class,
        f"{others}{failed if evaluation.failed else ''}Measured: {evaluation.about['protocol']}.\n"
        f"{folder}: scores.npz, results.json{', confusion.png, reliability.png, risk.png' * figures}",
    )


def _cells(value: Estimate) -> tuple[str, str, str]:
    return f"{100 * value.value:.1f} %", f"{100 * value.low:.1f} to {100 * value.high:.1f} %", str(value.n)


def _slug(text: str) -> str:
    return slug(text, "A-Za-z0-9._-", "model")
