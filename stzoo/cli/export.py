"""`stzoo export`: a model as an ONNX file, compared with torch on real clips."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.cli.options import root_option, weights_option
from stzoo.zoo.export_report import REPORT

if TYPE_CHECKING:
    from stzoo.bundle.tensors import Storage
    from stzoo.runtimes.onnx_file import Form, Precision
    from stzoo.zoo.export_report import Job, Outcome


@click.command()
@click.argument("model", metavar="NAME|PATH")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write: .onnx, or .pte for ExecuTorch. What was found out about it is written into "
    f"{REPORT} beside it.",
)
@click.option(
    "--triton",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="In place of -o: a model repository of Triton, which gets the model with its configuration and labels.",
)
@weights_option
@click.option("--replace", is_flag=True, help="Let a file that stands there make way.")
@click.option("--opset", type=int, help="ONNX's operator set.  [default: the oldest that torch writes]")
@click.option(
    "--with-preprocess",
    is_flag=True,
    help="Take the pixels of a video's clips, uint8 [clips, frames, height, width, 3] in RGB, and give the video's "
    "probabilities: normalisation, softmax and the mean over clips inside.",
)
@click.option("--with-features", is_flag=True, help="Give what enters the classifier too, as a second output.")
@click.option(
    "--any-size",
    is_flag=True,
    help="Take any number of frames and any size of picture; by default those of the model's input, which runs faster.",
)
@click.option(
    "--form",
    type=click.Choice(["images", "volumes", "portable"]),
    default="images",
    show_default=True,
    help="2D operations on images, which onnxruntime runs fastest, or 3D operations, which openvino does. portable is "
    "for phones and browsers: 2D operations on four dimensions at most, constant weights and static shapes.",
)
@click.option(
    "--clips",
    metavar="N",
    type=click.IntRange(1, 64),
    help="How many clips a portable file takes at a time.  [default: 1]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="fp16 takes half the space, for targets that compute in it; int8 is quantised on clips of the videos of "
    "--calibrate, and measured on all of them.",
)
@click.option(
    "--storage",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="float16 writes kernels in 16 bits, half the size; they are widened when the file is loaded, and computed "
    "with in fp32.",
)
@click.option(
    "--calibrate",
    metavar="LIST",
    type=click.Path(path_type=Path, exists=True),
    help="For int8: labelled videos like those to be predicted, as for `stzoo evaluate --data`.",
)
@root_option
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Compare with torch on clips of a real video, and keep three of them with their answers beside the file, for "
    "`stzoo verify`.",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="The video whose clips are compared and kept.  [default: the sample that ships with stzoo]",
)
def export(
    model: str,
    output: Path | None,
    triton: Path | None,
    weights: Path | None,
    replace: bool,
    opset: int | None,
    with_preprocess: bool,
    with_features: bool,
    any_size: bool,
    form: Form,
    clips: int | None,
    precision: Precision,
    storage: Storage,
    calibrate: Path | None,
    root: Path | None,
    verify: bool,
    video: Path | None,
) -> None:
    """Write a model as ONNX or for ExecuTorch, checked against torch.

    The file takes any number of clips at a time, unless it is portable, and has the labels, the input contract, the
    strategy and the digest of the weights in its metadata. A difference of more than 1e-4 in any number is an error, in
    fewer bits one of the file in fp32 that it is made of; the files are left for inspection. A .pte file for ExecuTorch
    is portable and in fp32.
    """
    from stzoo.zoo.exporting import refuse_disagreement, write

    job, outcome = write(
        model,
        output,
        triton=triton,
        weights=weights,
        replace=replace,
        opset=opset,
        with_preprocess=with_preprocess,
        with_features=with_features,
        any_size=any_size,
        form=form,
        clips=clips,
        precision=precision,
        storage=storage,
        calibrate=calibrate,
        root=root,
        verify=verify,
        video=video,
        say=partial(click.echo, err=True),
    )
    _say(job, outcome)
    refuse_disagreement(job, outcome)
    if triton is not None:
        from stzoo.export.triton import write_config

        click.echo(f"{write_config(job.output)}: for Triton's onnxruntime backend")


def _say(job: Job, outcome: Outcome) -> None:
    """Prints what was written and what was found out."""
    agreement, comparison = outcome.written, outcome.comparison
    if job.output.exists():
        kind = "for ExecuTorch" if job.is_executorch else f"operator set {job.graph.opset}"
        click.echo(f"{job.output}: {job.output.stat().st_size / 1e6:.1f} MB, {kind}")
    if comparison is not None:
        click.echo(
            f"In int8 on {comparison.videos} videos of {job.calibrate}: top-1 {comparison.top1_int8.value:.1%}, in "
            f"fp32 {comparison.top1_fp32.value:.1%}; same best label {comparison.same_best_label:.0%}"
        )
    if agreement is not None:
        click.echo(
            f"Compared with torch on {job.video} at batch sizes {' and '.join(map(str, agreement.batch_sizes))}: "
            f"largest difference of a {'probability' if job.graph.with_preprocess else 'logit'}"
            f"{' or feature' if job.graph.with_features else ''} {agreement.largest_difference:.1e}, same best label "
            f"{agreement.top1_agreement:.0%}; {agreement.milliseconds_a_clip:.1f} ms a clip on {agreement.provider}"
        )
    for target, facts in (outcome.targets or {}).items():
        click.echo(f"{target}: {_said_of_target(facts)}")


def _said_of_target(facts: dict[str, Any]) -> str:
    if "convolutions" in facts:
        took = f"{facts['delegated_convolutions']} of {facts['convolutions']} convolutions"
        return f"XNNPACK takes {took}, in {facts['partitions']} partitions ({facts['how']})"
    if "partitions" in facts:
        parts = f"{facts['partitions']} partition{'' if facts['partitions'] == 1 else 's'}"
        return f"takes {facts['supported_nodes']} of {facts['nodes']} nodes, in {parts} ({facts['how']})"
    if "nodes" in facts:
        return f"{facts['supported_nodes']} of {facts['nodes']} nodes ({facts['how']})"
    if "largest_difference" in facts:
        return f"run, largest difference of a logit {facts['largest_difference']:.1e}"
    return str(facts.get("error", facts["how"]))
