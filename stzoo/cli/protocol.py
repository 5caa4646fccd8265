"""The options of commands that read videos: another input than a model's contract says, and where it is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

if TYPE_CHECKING:
    from stzoo.predictor import Predictor

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--clips",
        metavar="N",
        type=click.IntRange(1, 1000),
        help="Clips spread uniformly over each video, whose scores are averaged.",
    ),
    click.option("--crops", type=click.Choice([1, 3]), help="Squares of each frame: the centre, or both ends with it."),
    click.option("--frames", metavar="N", type=click.IntRange(1, 1024), help="Frames of a clip."),
    click.option("--stride", metavar="N", type=click.IntRange(1, 1000), help="Take every n-th frame of the file."),
    click.option(
        "--fps",
        metavar="RATE",
        type=click.FloatRange(0, 1000, min_open=True),
        help="Take so many frames a second, whatever the file's rate.",
    ),
)

device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the net runs; auto takes a GPU if there is one.",
)
frame_rate_option = click.option(
    "--frame-rate",
    metavar="RATE",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Folders of numbered pictures are videos with so many frames a second.",
)
workers_option = click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(0, 256),
    help="Processes that read ahead; 0 for none.  [default: one a processor where there are many videos]",
)


def protocol_options(command: Command) -> Command:
    """Adds `--clips --crops --frames --stride --fps`; by default a model's own contract holds."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def overridden(
    predictor: Predictor,
    *,
    clips: int | None,
    crops: int | None,
    frames: int | None,
    stride: int | None,
    fps: float | None,
) -> Predictor:
    """The predictor with what the options ask for; says so on standard error where that changes anything.

    Raises `UsageError` when they contradict each other or the contract.
    """
    contract = predictor.contract.changed(clips=clips, crops=crops, frames=frames, stride_frames=stride, fps=fps)
    if contract == predictor.contract:
        return predictor
    click.echo(f"Input: {contract.text}; the model was made for {predictor.contract.text}", err=True)
    return dataclasses.replace(predictor, contract=contract)
