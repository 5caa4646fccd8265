"""The options of commands that read videos: another input than a model's contract says, and where it is computed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import rich_click as click

from stzoo import DEFAULT_MODEL
from stzoo.terminal.cleaning import exact_output

if TYPE_CHECKING:
    from stzoo.prediction.predictor import Predictor
    from stzoo.runtimes import Precision

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

_RUNTIME_OPTIONS = (
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where the net runs; auto takes a GPU if there is one.",
    ),
    click.option(
        "--runtime",
        type=click.Choice(["auto", "torch", "onnxruntime", "openvino"]),
        default="auto",
        show_default=True,
        help="What runs the net; auto is the fastest that can begin at once.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16", "int8"]),
        default="fp32",
        show_default=True,
        help="bf16 is openvino's; int8 takes a file that stzoo export has written with --precision int8.",
    ),
)
_TRUST_OPTIONS = (
    click.option(
        "--average",
        metavar="N",
        type=click.IntRange(2, 1000),
        help="Average the nets of N strategies that are drawn from the model's template; their spread says how sure it "
        "is.",
    ),
    click.option("--calibrated", is_flag=True, help="Scores at the temperature that `stzoo calibrate` has stored."),
)
model_option = click.option(
    "--model",
    metavar="NAME",
    default=DEFAULT_MODEL,
    show_default=True,
    help='A name from "stzoo list", the folder of a bundle, or ORG/NAME of the Hub.',
)
frame_rate_option = click.option(
    "--frame-rate",
    metavar="RATE",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Folders of numbered pictures are videos with so many frames a second.",
)
root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The folder that the paths of the list start in.  [default: the list's own]",
)
weights_option = click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Of a model torchvision:NAME, weights in a local file, as torchvision saves them (.pth, .safetensors).",
)
workers_option = click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(0, 256),
    help="Processes that read ahead; 0 for none.  [default: one, or one a processor for many videos]",
)


def format_option_of(*formats: str, default: str | None, help: str) -> Callable[[Command], Command]:
    """`--format`, which a command gets as `format_`."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(formats),
        default=default,
        show_default=default is not None,
        help=help,
        callback=_exact_for_programs,
    )


def _exact_for_programs(context: click.Context, parameter: click.Parameter, form: str | None) -> str | None:
    if form not in (None, "text"):
        exact_output()
    return form


format_option = format_option_of("text", "json", default="text", help="text for people, json for programs.")


def resolved(model: str, weights: Path | None) -> str:
    """The reference of a model, or the folder of a bundle of it with the weights of a file."""
    from stzoo.zoo.torchvision import with_weights

    return model if weights is None else str(with_weights(model, weights))


def protocol_options(command: Command) -> Command:
    """Adds `--clips --crops --frames --stride --fps`; by default a model's own contract holds."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def runtime_options(command: Command) -> Command:
    """Adds `--device --runtime --precision`."""
    for option in reversed(_RUNTIME_OPTIONS):
        command = option(command)
    return command


def trust_options(command: Command) -> Command:
    """Adds `--average --calibrated`."""
    for option in reversed(_TRUST_OPTIONS):
        command = option(command)
    return command


def loaded(
    model: str,
    *,
    device: str,
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"],
    precision: Precision,
    clips: int | None,
    crops: int | None,
    frames: int | None,
    stride: int | None,
    fps: float | None,
    weights: Path | None = None,
    strategy: str | None = None,
    calibrate: Sequence[Path] = (),
    average: int | None = None,
    calibrated: bool = False,
) -> Predictor:
    """The model with what the options ask for; says so on standard error where that changes its input.

    Raises `UsageError` when they contradict each other or the contract.
    """
    from stzoo.zoo.loading import load
    from stzoo.zoo.variants import BatchNormWarning

    asked = {"clips": clips, "crops": crops, "frames": frames, "stride_frames": stride, "fps": fps}
    protocol = {name: value for name, value in asked.items() if value is not None}
    say = partial(click.echo, err=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BatchNormWarning)
        predictor = load(
            resolved(model, weights),
            device=device,
            runtime=runtime,
            precision=precision,
            protocol=protocol,
            strategy=strategy,
            calibrate=calibrate,
            average=average,
            calibrated=calibrated,
            say=say,
        )
    for warning in caught:
        if issubclass(warning.category, BatchNormWarning):
            say(f"Warning: {str(warning.message).replace('calibrate=', '--calibrate')}")
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return predictor
