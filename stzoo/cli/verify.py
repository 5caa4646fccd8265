"""`stzoo verify`: a model's golden clips, run on every runtime that is there."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from stzoo.cli.drawing import UNKNOWN, plain_table, print_parts
from stzoo.cli.options import format_option

if TYPE_CHECKING:
    from stzoo.prediction.golden import Differences
    from stzoo.runtimes import Runtime
    from stzoo.zoo.verifying import Verification


@click.command()
@click.pass_context
@click.argument("model", metavar="NAME|PATH|FILE.onnx|FILE.pte")
@click.option(
    "--runtime",
    type=click.Choice(["all", "torch", "onnxruntime", "openvino"]),
    default="all",
    show_default=True,
    metavar="RUNTIME",
    help="What runs the clips: torch, onnxruntime, openvino, or all that are installed and can run the model.",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path, exists=True),
    help="The video that the clips are of.  [default: the file of that name beside them, or the sample that ships with "
    "stzoo, if it is the same]",
)
@click.option("--make", is_flag=True, help="First make the clips of a bundle anew, with torch, of the video.")
@format_option
def verify(
    context: click.Context,
    /,
    model: str,
    runtime: Runtime | Literal["all"],
    video: Path | None,
    make: bool,
    format_: str,
) -> None:
    """Check that a model answers here as it did where it was made.

    Its golden clips are run on every runtime, and the video that they are of is read anew where it is at hand. The exit
    code is 1 where a probability differs by more than 1e-3 (in fp16 0.02, in bf16 0.05, in int8 0.2), or the video is
    read otherwise.
    """
    from stzoo.zoo import verifying

    say = partial(click.echo, err=True)
    if make:
        say(f"Golden clips: {verifying.make(model, video)}")
    verification = verifying.verify(model, runtime, video, say=say)
    if format_ == "json":
        click.echo(json.dumps(_facts(model, verification), indent=2, ensure_ascii=False))
    else:
        _print(verification)
    if not verification.passed:
        context.exit(1)


def _facts(model: str, verification: Verification) -> dict[str, Any]:
    """All that was found out, as JSON takes it."""
    golden, reading = verification.golden, verification.reading
    return {
        "model": model,
        "golden": {
            "model": golden.model,
            "model_digest": golden.model_digest,
            "clips": len(golden.clips),
            "block": golden.block,
            "video": None if golden.video is None else golden.video.name,
        },
        "reading": None if reading is None else {**reading._asdict(), "passed": reading.passed},
        "runtimes": [
            way._asdict() | ({"error": answer, "passed": False} if isinstance(answer, str) else _facts_of(answer))
            for way, answer in verification.answers.items()
        ],
        "passed": verification.passed,
    }


def _facts_of(answer: Differences) -> dict[str, Any]:
    return {**asdict(answer), "passed": answer.passed}


def _print(verification: Verification) -> None:
    golden, reading = verification.golden, verification.reading
    video = "a folder of frames" if golden.video is None else golden.video.name
    table = plain_table("runtime", "precision", "clips:right", "whole video:right", "at most:right", "")
    for way, answer in verification.answers.items():
        if isinstance(answer, str):
            table.add_row(*way, UNKNOWN, UNKNOWN, UNKNOWN, "does not run")
            continue
        whole = UNKNOWN if answer.video is None else f"{answer.video:.1e}"
        verdict = "ok" if answer.passed else "differs"
        table.add_row(*way, f"{answer.clips:.1e}", whole, f"{answer.tolerance:g}", verdict)
    print_parts(table)
    click.echo(f"Largest difference of a probability, on {len(golden.clips)} golden clips of {video}.")
    if reading is not None:
        click.echo(
            f"{video} read anew: frames at the same times to {reading.largest_seconds:.1g} s, colours to "
            f"{reading.mean_pixels:.1g} of 255 on average{'' if reading.passed else ', which is too much'}."
        )
    for way, answer in verification.answers.items():
        if isinstance(answer, str):
            click.echo(f"Error: {answer}", err=True)
        elif answer.mistake is not None:
            click.echo(f"{way.runtime} answers {answer.mistake}.")
