"""`stzoo export`: a model as an ONNX file, compared with torch on real clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.cli.export_report import REPORT, Graph, Job, Outcome, read_reports, record, say
from stzoo.cli.labelled import labelled, root_option
from stzoo.cli.options import resolved, weights_option
from stzoo.errors import ExportError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from stzoo.bundle.tensors import Storage
    from stzoo.contract import InputContract
    from stzoo.data.datasets import Item
    from stzoo.export.to_onnx import Agreement, Pixels
    from stzoo.prediction.predictor import Predictor
    from stzoo.runtimes.onnx_file import Form, Precision


@click.command()
@click.argument("model", metavar="NAME|PATH")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The ONNX file to write. What was found out about it is written into {REPORT} beside it.",
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
    """Write a model as ONNX, checked against torch.

    The file takes any number of clips at a time, unless it is portable, and has the labels, the input contract, the
    strategy and the digest of the weights in its metadata. A difference of more than 1e-4 in any number is an error, in
    fewer bits one of the file in fp32 that it is made of; the files are left for inspection.
    """
    from stzoo.bundle.confidence import CONFIDENCE
    from stzoo.bundle.confidence import read as read_confidence
    from stzoo.export.to_onnx import OLDEST_OPSET, TOLERANCE
    from stzoo.export.triton import served_file, write_config
    from stzoo.files import packaged
    from stzoo.runtimes import Session
    from stzoo.video.reader import read_clips
    from stzoo.video.video import Video
    from stzoo.zoo.loading import load
    from stzoo.zoo.reference import find

    _refuse_contradictions(precision, calibrate, root, any_size)
    if precision == "fp16" and form != "portable":
        raise UsageError("what computes in fp16 wants a portable file; give --form portable too")
    if storage == "float16" and (precision != "fp32" or form == "portable"):
        raise UsageError("--storage is about files of images or volumes in fp32; leave it out, or the others")
    if clips is not None and form != "portable":
        raise UsageError(f"a file of {form} takes any number of clips; leave --clips out, or give --form portable")
    if (output is None) == (triton is None):
        raise UsageError("give the file to write with -o, or a model repository with --triton")
    if output is not None:
        _refuse_existing(output, replace)
    if with_features and (precision != "fp32" or form == "portable"):
        raise UsageError("--with-features is about files of images or volumes in fp32; leave it out, or the others")
    graph = Graph(OLDEST_OPSET if opset is None else opset, with_preprocess, with_features, any_size, form)
    if form == "portable":
        graph = graph._replace(clips_at_once=clips or 1)
    predictor = load(resolved(model, weights), device="cpu")
    if isinstance(predictor.net, Session):
        raise UsageError(f"{model} is an exported file already; give the bundle that it was made of")
    if output is None:
        assert triton is not None
        output = served_file(triton, predictor.name)
        _refuse_existing(output, replace)
    fits = read_confidence(find(resolved(model, weights), files=(CONFIDENCE,)).folder, predictor.digest)
    job = Job(output, graph, precision, calibrate, video or packaged("bundled") / "sample.mp4", storage, fits.get(1))
    items = labelled(calibrate, root, predictor.labels) if calibrate is not None else None
    most = max(graph.batch_sizes)
    pixels = read_clips(Video(job.video), predictor.contract, most).clips if verify else None
    reports = read_reports(job.report)
    outcome = _write(predictor, job, pixels, items)
    record(predictor, job, outcome, reports)
    _keep_golden_clips(predictor, job, is_asked=verify, is_usual=video is None)
    say(job, outcome)
    if outcome.exact is not None and not outcome.exact.passed:
        raise ExportError(
            f"{output} does not agree with torch: a number differs by {outcome.exact.largest_difference:.1e}, more "
            f"than {TOLERANCE:.0e}, or a best label changes; do not use it, and see {job.report}"
        )
    if triton is not None:
        click.echo(f"{write_config(output)}: for Triton's onnxruntime backend")


def _refuse_existing(output: Path, replace: bool) -> None:
    if output.exists() and not replace:
        raise UsageError(f"{output} exists; choose another name, or let it make way with --replace")


def _refuse_contradictions(precision: str, calibrate: Path | None, root: Path | None, is_special: bool) -> None:
    if (precision == "int8") != (calibrate is not None):
        raise UsageError(
            "int8 is calibrated on videos like those to be predicted; give --precision int8 and --calibrate LIST both"
        )
    if root is not None and calibrate is None:
        raise UsageError("--root is where the paths of a list of --calibrate start; leave it out, or give both")
    if calibrate is not None and is_special:
        raise UsageError("in int8 there are files that take clips of the model's input; leave --any-size out")


def _write(predictor: Predictor, job: Job, pixels: Pixels | None, items: Sequence[Item] | None) -> Outcome:
    """Writes the file: in fp32, compared with torch on `pixels` if they are given; in int8 where `items` are given.

    Nothing is written in fewer bits where the file in fp32, which is temporary then, does not agree with torch.
    """
    from stzoo.export import to_fp16, to_onnx
    from stzoo.export.to_int8 import quantise_and_measure
    from stzoo.runtimes import Session

    net = predictor.net
    assert not isinstance(net, Session)
    with TemporaryDirectory() as folder:
        exact = job.output if job.is_exact else Path(folder) / job.output.name
        to_onnx.export(
            net,
            exact,
            predictor.contract,
            predictor.labels,
            name=predictor.name,
            strategy=predictor.strategy,
            digest=predictor.digest,
            confidence=job.confidence,
            **job.graph._asdict(),
        )

        def agreement(path: Path) -> Agreement | None:
            if pixels is None:
                return None
            return _compared(net, predictor.contract, path, pixels, job.graph)

        about_exact = agreement(exact)
        if job.is_exact or (about_exact is not None and not about_exact.passed):
            outcome = Outcome(about_exact)
        elif items is None:
            (to_fp16.halve if job.precision == "fp16" else to_fp16.store_in_half)(exact, job.output)
            outcome = Outcome(about_exact, agreement(job.output))
        else:
            comparison = quantise_and_measure(predictor, exact, job.output, items)
            outcome = Outcome(about_exact, agreement(job.output), comparison)
    if pixels is None or job.graph.clips_at_once is None or not job.output.exists():
        return outcome
    return outcome._replace(targets=_targets(net, predictor.contract, job, pixels))


def _compared(net: nn.Module, contract: InputContract, path: Path, pixels: Pixels, graph: Graph) -> Agreement:
    from stzoo.export.around import VideoLevel, WithFeatures
    from stzoo.export.to_onnx import compare
    from stzoo.nets import Classifier
    from stzoo.video.frames import normalise

    if graph.with_features and isinstance(net, Classifier):
        net = WithFeatures(net)
    if graph.with_preprocess:
        return compare(VideoLevel(net, contract), path, pixels, graph.batch_sizes)
    return compare(net, path, normalise(pixels, contract), graph.batch_sizes)


def _targets(net: nn.Module, contract: InputContract, job: Job, pixels: Pixels) -> dict[str, Any]:
    import torch

    from stzoo.export.targets import targets
    from stzoo.video.frames import normalise

    clips = normalise(pixels[: job.graph.clips_at_once], contract)
    with torch.inference_mode():
        return targets(job.output, clips, net(torch.from_numpy(clips)).numpy())


def _keep_golden_clips(predictor: Predictor, job: Job, *, is_asked: bool, is_usual: bool) -> None:
    """Writes golden clips beside the file, unless the folder is that of the model's bundle and has them already."""
    from stzoo.bundle import golden as files
    from stzoo.prediction import golden

    path = files.golden_of(job.output)
    path.unlink(missing_ok=True)
    kept = files.beside(job.output)
    if not is_asked or (is_usual and kept is not None and files.read(kept).model_digest == predictor.digest):
        return
    golden.make(predictor, job.video).write(path)
