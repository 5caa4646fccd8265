"""`stzoo export`: a model as an ONNX file, compared with torch on real clips."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.cli.labelled import labelled, root_option
from stzoo.errors import DataError, ExportError, UsageError
from stzoo.files import write_json

if TYPE_CHECKING:
    from torch import nn

    from stzoo.contract import InputContract
    from stzoo.export.to_int8 import Loss
    from stzoo.export.to_onnx import Agreement, Pixels
    from stzoo.prediction.predictor import Predictor
    from stzoo.runtimes.onnx_file import Form

REPORT = "export.json"
_BATCH_SIZES = (1, 3)


@click.command()
@click.argument("model", metavar="NAME|PATH")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The ONNX file to write. What was found out about it is written into {REPORT} beside it.",
)
@click.option("--opset", type=int, help="ONNX's operator set.  [default: the oldest that torch writes]")
@click.option(
    "--with-preprocess",
    is_flag=True,
    help="Take the pixels of a video's clips, uint8 [clips, frames, height, width, 3] in RGB, and give the video's "
    "probabilities: normalisation, softmax and the mean over clips inside.",
)
@click.option(
    "--any-size",
    is_flag=True,
    help="Take any number of frames and any size of picture; by default those of the model's input, which runs faster.",
)
@click.option(
    "--form",
    type=click.Choice(["images", "volumes"]),
    default="images",
    show_default=True,
    help="2D operations on images, which onnxruntime runs fastest, or 3D operations, which openvino does.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "int8"]),
    default="fp32",
    show_default=True,
    help="int8 is quantised on clips of the videos of --calibrate, and measured on all of them.",
)
@click.option(
    "--calibrate",
    metavar="LIST",
    type=click.Path(path_type=Path, exists=True),
    help="For int8: labelled videos like those to be predicted, as for `stzoo evaluate --data`.",
)
@root_option
@click.option(
    "--verify/--no-verify", default=True, show_default=True, help="Compare with torch on clips of a real video."
)
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="The video whose clips are compared.  [default: the sample that ships with stzoo]",
)
def export(
    model: str,
    output: Path,
    opset: int | None,
    with_preprocess: bool,
    any_size: bool,
    form: Form,
    precision: str,
    calibrate: Path | None,
    root: Path | None,
    verify: bool,
    video: Path | None,
) -> None:
    """Write a model as ONNX, checked against torch.

    The file takes any number of clips at a time, and has the labels, the input contract, the strategy and the digest
    of the weights in its metadata. A difference of more than 1e-4 in any number is an error; the files are left for
    inspection.
    """
    from stzoo.export import to_onnx
    from stzoo.files import packaged
    from stzoo.runtimes import Session
    from stzoo.video.reader import read_clips
    from stzoo.video.video import Video
    from stzoo.zoo.loading import load

    if (precision == "int8") != (calibrate is not None):
        raise UsageError(
            "int8 is calibrated on videos like those to be predicted; give --precision int8 and --calibrate LIST both"
        )
    if root is not None and calibrate is None:
        raise UsageError("--root is where the paths of a list of --calibrate start; leave it out, or give both")
    if calibrate is not None and (with_preprocess or any_size):
        raise UsageError("in int8 there are files that take clips of the model's input; leave the other options out")
    predictor = load(model, device="cpu")
    net = predictor.net
    assert not isinstance(net, Session)
    items = [] if calibrate is None else labelled(calibrate, root, predictor.labels)
    source = video or packaged("bundled") / "sample.mp4"
    pixels = read_clips(Video(source), predictor.contract, max(_BATCH_SIZES)).clips if verify else None
    reports = _reports(output.with_name(REPORT))
    chosen = to_onnx.OLDEST_OPSET if opset is None else opset
    agreement: Agreement | None = None
    loss: Loss | None = None
    with TemporaryDirectory() as folder:
        exact = output if calibrate is None else Path(folder) / output.name
        to_onnx.export(
            net,
            exact,
            predictor.contract,
            predictor.labels,
            name=predictor.name,
            strategy=predictor.strategy,
            digest=predictor.digest,
            opset=chosen,
            with_preprocess=with_preprocess,
            any_size=any_size,
            form=form,
        )
        if pixels is not None:
            agreement = _compared(net, predictor.contract, exact, pixels, with_preprocess)
        if calibrate is not None and (agreement is None or agreement.passed):
            from stzoo.export.to_int8 import quantise_and_measure

            loss = quantise_and_measure(predictor, exact, output, items)
    if output.exists():
        click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB, operator set {chosen}")
    reports.pop(output.name, None)
    if agreement is not None or loss is not None:
        compared = {} if agreement is None else _comparison(agreement, source)
        if calibrate is not None and loss is not None:
            compared = {"int8": {"calibrated_on": calibrate.name, **asdict(loss), "made_of": compared}}
        passed = agreement is None or agreement.passed
        reports[output.name] = _report(output, predictor, chosen, precision, passed) | compared
    if reports or output.with_name(REPORT).exists():
        write_json(output.with_name(REPORT), reports)
    if loss is not None:
        click.echo(
            f"In int8 on {loss.videos} videos of {calibrate}: top-1 {loss.top1_int8.value:.1%}, in fp32 "
            f"{loss.top1_fp32.value:.1%}; same best label {loss.same_best_label:.0%}"
        )
    if agreement is not None:
        click.echo(
            f"Compared with torch on {source} at batch sizes {' and '.join(map(str, agreement.batch_sizes))}: largest "
            f"difference of a {'probability' if with_preprocess else 'logit'} {agreement.largest_difference:.1e}, same "
            f"best label {agreement.top1_agreement:.0%}; {agreement.milliseconds_a_clip:.1f} ms a clip on "
            f"{agreement.provider}"
        )
        if not agreement.passed:
            raise ExportError(
                f"{output} does not agree with torch: a number differs by {agreement.largest_difference:.1e}, more "
                f"than {to_onnx.TOLERANCE:.0e}, or a best label changes; do not use it, and see "
                f"{output.with_name(REPORT)}"
            )


def _compared(net: nn.Module, contract: InputContract, path: Path, pixels: Pixels, with_preprocess: bool) -> Agreement:
    from stzoo.export.to_onnx import VideoLevel, compare
    from stzoo.video.frames import normalise

    if with_preprocess:
        return compare(VideoLevel(net, contract), path, pixels, _BATCH_SIZES)
    return compare(net, path, normalise(pixels, contract), _BATCH_SIZES)


def _reports(path: Path) -> dict[str, Any]:
    """What is known of the files in the folder. Raises `DataError` when the file is about something else."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(report, dict) for report in found.values()):
        raise DataError(f"{path} does not hold what stzoo writes about ONNX files; move it away")
    return found


def _report(output: Path, predictor: Predictor, opset: int, precision: str, passed: bool) -> dict[str, Any]:
    import onnx
    import torch

    import stzoo

    return {
        "model": predictor.name,
        "model_digest": predictor.digest,
        "sha256": hashlib.sha256(output.read_bytes()).hexdigest() if output.exists() else None,
        "opset": opset,
        "precision": precision,
        "passed": passed,
        "versions": {"stzoo": stzoo.__version__, "torch": torch.__version__, "onnx": onnx.__version__},
    }


def _comparison(agreement: Agreement, video: Path) -> dict[str, Any]:
    """What is said of a file in fp32, and in int8 of the file that it was made of."""
    from stzoo.export.to_onnx import TOLERANCE

    return {"tolerance": TOLERANCE, **asdict(agreement), "video": video.name}
