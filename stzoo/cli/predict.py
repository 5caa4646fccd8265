"""`stzoo predict`: ranked labels for video files."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.errors import VideoError

if TYPE_CHECKING:
    from stzoo.predictor import Prediction, Predictor

_BAR_WIDTH = 30


@click.command()
@click.pass_context
@click.argument("files", metavar="FILE [FILE ...]", nargs=-1, required=True)
@click.option(
    "--model",
    metavar="NAME",
    default="camera-motion-opt",
    show_default=True,
    help='A name from "stzoo list", the folder of a bundle, or ORG/NAME of the Hub.',
)
@click.option(
    "--clips",
    metavar="N",
    type=click.IntRange(1, 1000),
    help="Clips spread uniformly over each video, whose scores are averaged.  [default: what the model was made for]",
)
@click.option(
    "--topk",
    metavar="K",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many labels, best first; all of them where the model has fewer.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json is a list with one object a file: path and predictions, or path and error.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the net runs; auto takes a GPU if there is one.",
)
def predict(
    context: click.Context, files: tuple[str, ...], model: str, clips: int | None, topk: int, format_: str, device: str
) -> None:
    """Say what happens in one or more video files.

    A file that cannot be read is named on standard error, the others are predicted all the same, and the exit code is
    1. A file that is cut off is predicted from what can be decoded, with a warning on standard error.
    """
    from stzoo.hub import load

    predictor = load(model, device=device)
    results: list[dict[str, Any]] = []
    for path in files:
        try:
            predictions = _predict(predictor, path, topk, clips)
        except VideoError as error:
            click.echo(f"Error: {error}", err=True)
            results.append({"path": path, "error": str(error)})
            continue
        if format_ == "text":
            gap = [""] if any("predictions" in result for result in results) else []
            header = click.style(click.format_filename(path), bold=True)
            click.echo("\n".join([*gap, header, *_lines(predictions, bars=sys.stdout.isatty())]))
        results.append({"path": path, "predictions": [prediction._asdict() for prediction in predictions]})
    if format_ == "json":
        click.echo(json.dumps(results, indent=2))
    if any("error" in result for result in results):
        context.exit(VideoError.exit_code)


def _predict(predictor: Predictor, path: str, topk: int, clips: int | None) -> list[Prediction]:
    """The predictor's answer; its warnings become lines on standard error."""
    from stzoo.predictor import VideoWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VideoWarning)
        predictions = predictor.predict(path, topk=topk, clips=clips)
    for warning in caught:
        prefix = "Warning: " if issubclass(warning.category, VideoWarning) else f"{warning.category.__name__}: "
        click.echo(f"{prefix}{warning.message}", err=True)
    return predictions


def _lines(predictions: Sequence[Prediction], *, bars: bool) -> list[str]:
    """One line a label: rank, probability in percent, label, and a bar for people."""
    width = max(len(label) for label, _ in predictions)
    lines = []
    for rank, (label, score) in enumerate(predictions, 1):
        line = f"{rank:3}  {100 * score:5.1f} %  {label}"
        if bars:
            bar = click.style("█" * round(_BAR_WIDTH * score), fg="green" if rank == 1 else "cyan")
            line += f"{' ' * (width - len(label))}  {bar}"
        lines.append(line.rstrip())
    return lines
