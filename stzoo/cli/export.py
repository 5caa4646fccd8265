"""`stzoo export`: a model as an ONNX file, compared with torch on real clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

from stzoo.cli.labelled import labelled, root_option
from stzoo.errors import DataError, ExportError, UsageError
from stzoo.files import write_json

if TYPE_CHECKING:
    from torch import nn

    from stzoo.contract import InputContract
    from stzoo.data.datasets import Item
    from stzoo.export.to_int8 import Int8Comparison
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
@click.option("--replace", is_flag=True, help="Let a file that stands there make way.")
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
    output: Path,
    replace: bool,
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
    of the weights in its metadata. A difference of more than 1e-4 in any number is an error, in int8 one of the file
    in fp32 that it is made of; the files are left for inspection.
    """
    from stzoo.export.to_onnx import OLDEST_OPSET, TOLERANCE
    from stzoo.files import packaged
    from stzoo.runtimes import Session
    from stzoo.video.reader import read_clips
    from stzoo.video.video import Video
    from stzoo.zoo.loading import load

    _refuse_contradictions(precision, calibrate, root, any_size)
    if output.exists() and not replace:
        raise UsageError(f"{output} exists; choose another name, or let it make way with --replace")
    graph = _Graph(OLDEST_OPSET if opset is None else opset, with_preprocess, any_size, form)
    job = _Job(output, graph, calibrate, video or packaged("bundled") / "sample.mp4")
    predictor = load(model, device="cpu")
    if isinstance(predictor.net, Session):
        raise UsageError(f"{model} is an exported file already; give the bundle that it was made of")
    items = labelled(calibrate, root, predictor.labels) if calibrate is not None else None
    pixels = read_clips(Video(job.video), predictor.contract, max(_BATCH_SIZES)).clips if verify else None
    reports = _reports(job.report)
    outcome = _write(predictor, job, pixels, items)
    _record(predictor, job, outcome, reports)
    _keep_golden_clips(predictor, job, is_asked=verify, is_usual=video is None)
    _say(job, outcome)
    if outcome.exact is not None and not outcome.exact.passed:
        raise ExportError(
            f"{output} does not agree with torch: a number differs by {outcome.exact.largest_difference:.1e}, more "
            f"than {TOLERANCE:.0e}, or a best label changes; do not use it, and see {job.report}"
        )


class _Graph(NamedTuple):
    """What the graph of the file is like, as `stzoo.export.to_onnx.export` takes it."""

    opset: int
    with_preprocess: bool
    any_size: bool
    form: Form


class _Job(NamedTuple):
    """What is written, the list that it is calibrated on for int8, and the video that it is compared with torch on."""

    output: Path
    graph: _Graph
    calibrate: Path | None
    video: Path

    @property
    def report(self) -> Path:
        return self.output.with_name(REPORT)


class _Outcome(NamedTuple):
    """What was found out: about the files in fp32 and in int8 beside torch, and about the second beside the first."""

    exact: Agreement | None
    quantised: Agreement | None = None
    comparison: Int8Comparison | None = None

    @property
    def written(self) -> Agreement | None:
        """About the file that was written."""
        return self.exact if self.comparison is None else self.quantised


def _refuse_contradictions(precision: str, calibrate: Path | None, root: Path | None, is_special: bool) -> None:
    if (precision == "int8") != (calibrate is not None):
        raise UsageError(
            "int8 is calibrated on videos like those to be predicted; give --precision int8 and --calibrate LIST both"
        )
    if root is not None and calibrate is None:
        raise UsageError("--root is where the paths of a list of --calibrate start; leave it out, or give both")
    if calibrate is not None and is_special:
        raise UsageError("in int8 there are files that take clips of the model's input; leave --any-size out")


def _write(predictor: Predictor, job: _Job, pixels: Pixels | None, items: Sequence[Item] | None) -> _Outcome:
    """Writes the file: in fp32, compared with torch on `pixels` if they are given; in int8 where `items` are given.

    Nothing is written in int8 where the file in fp32, which is temporary then, does not agree with torch.
    """
    from stzoo.export import to_onnx
    from stzoo.export.to_int8 import quantise_and_measure
    from stzoo.runtimes import Session

    net = predictor.net
    assert not isinstance(net, Session)
    with TemporaryDirectory() as folder:
        exact = job.output if items is None else Path(folder) / job.output.name
        to_onnx.export(
            net,
            exact,
            predictor.contract,
            predictor.labels,
            name=predictor.name,
            strategy=predictor.strategy,
            digest=predictor.digest,
            **job.graph._asdict(),
        )

        def agreement(path: Path) -> Agreement | None:
            if pixels is None:
                return None
            return _compared(net, predictor.contract, path, pixels, job.graph.with_preprocess)

        about_exact = agreement(exact)
        if items is None or (about_exact is not None and not about_exact.passed):
            return _Outcome(about_exact)
        comparison = quantise_and_measure(predictor, exact, job.output, items)
        return _Outcome(about_exact, agreement(job.output), comparison)


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
        reports = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        reports = None
    if not isinstance(reports, dict) or not all(isinstance(report, dict) for report in reports.values()):
        raise DataError(f"{path} does not hold what stzoo writes about ONNX files; move it away")
    return reports


def _record(predictor: Predictor, job: _Job, outcome: _Outcome, reports: dict[str, Any]) -> None:
    """Writes what was found out about the file beside what is known of the others; nothing where there is nothing."""
    reports.pop(job.output.name, None)
    if outcome.exact is not None or outcome.comparison is not None:
        reports[job.output.name] = _facts(predictor, job, outcome) | _findings(job, outcome)
    if reports or job.report.exists():
        write_json(job.report, reports)


def _keep_golden_clips(predictor: Predictor, job: _Job, *, is_asked: bool, is_usual: bool) -> None:
    """Writes golden clips beside the file, unless the folder is that of the model's bundle and has them already."""
    from stzoo.bundle import golden as files
    from stzoo.prediction import golden

    path = files.golden_of(job.output)
    path.unlink(missing_ok=True)
    kept = files.beside(job.output)
    if not is_asked or (is_usual and kept is not None and files.read(kept).model_digest == predictor.digest):
        return
    golden.make(predictor, job.video).write(path)


def _facts(predictor: Predictor, job: _Job, outcome: _Outcome) -> dict[str, Any]:
    import onnx
    import torch

    import stzoo

    return {
        "model": predictor.name,
        "model_digest": predictor.digest,
        "sha256": hashlib.sha256(job.output.read_bytes()).hexdigest() if job.output.exists() else None,
        "opset": job.graph.opset,
        "precision": "fp32" if job.calibrate is None else "int8",
        "passed": outcome.exact is None or outcome.exact.passed,
        "versions": {"stzoo": stzoo.__version__, "torch": torch.__version__, "onnx": onnx.__version__},
    }


def _findings(job: _Job, outcome: _Outcome) -> dict[str, Any]:
    """What is said of a file in fp32, and in int8 also of the file that it was made of."""
    from stzoo.export.to_onnx import TOLERANCE

    def beside_torch(agreement: Agreement | None) -> dict[str, Any]:
        return {} if agreement is None else {**asdict(agreement), "video": job.video.name}

    exact = beside_torch(outcome.exact)
    if exact:
        exact = {"tolerance": TOLERANCE, **exact}
    if job.calibrate is None or outcome.comparison is None:
        return exact
    about = {"calibrated_on": job.calibrate.name, **asdict(outcome.comparison)}
    return {"int8": {**about, "beside_torch": beside_torch(outcome.quantised), "made_of": exact}}


def _say(job: _Job, outcome: _Outcome) -> None:
    agreement, comparison = outcome.written, outcome.comparison
    if job.output.exists():
        click.echo(f"{job.output}: {job.output.stat().st_size / 1e6:.1f} MB, operator set {job.graph.opset}")
    if comparison is not None:
        click.echo(
            f"In int8 on {comparison.videos} videos of {job.calibrate}: top-1 {comparison.top1_int8.value:.1%}, in "
            f"fp32 {comparison.top1_fp32.value:.1%}; same best label {comparison.same_best_label:.0%}"
        )
    if agreement is not None:
        click.echo(
            f"Compared with torch on {job.video} at batch sizes {' and '.join(map(str, agreement.batch_sizes))}: "
            f"largest difference of a {'probability' if job.graph.with_preprocess else 'logit'} "
            f"{agreement.largest_difference:.1e}, same best label {agreement.top1_agreement:.0%}; "
            f"{agreement.milliseconds_a_clip:.1f} ms a clip on {agreement.provider}"
        )
