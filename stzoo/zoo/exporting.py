"""A model as an ONNX file, compared with torch on real clips: `stzoo.export_onnx`, and what the command does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import torch
from torch import nn

from stzoo.bundle import golden as files
from stzoo.bundle.confidence import CONFIDENCE
from stzoo.bundle.confidence import read as read_confidence
from stzoo.bundle.tensors import Storage
from stzoo.contract import InputContract
from stzoo.data.datasets import Item
from stzoo.data.labelled import labelled
from stzoo.errors import ExportError, UsageError
from stzoo.export import to_executorch, to_fp16, to_int8, to_onnx
from stzoo.export.around import VideoLevel, WithFeatures
from stzoo.export.targets import targets
from stzoo.export.to_onnx import OLDEST_OPSET, TOLERANCE, Agreement, Pixels
from stzoo.export.triton import served_file
from stzoo.files import packaged
from stzoo.nets import Classifier
from stzoo.prediction import golden
from stzoo.prediction.predictor import Predictor
from stzoo.runtimes import Session
from stzoo.runtimes.executorch_net import refuse_missing
from stzoo.runtimes.onnx_file import Form, Precision
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from stzoo.zoo import torchvision
from stzoo.zoo.export_report import PTE, Graph, Job, Outcome, read_reports, record
from stzoo.zoo.loading import load
from stzoo.zoo.reference import find

MAKE_WAY = "let it make way (--replace; in Python replace=True)"


def export_onnx(model: Path | str, output: Path | str, **options: Any) -> dict[str, Any]:
    """Writes a model as ONNX and compares it with torch on real clips, as `stzoo export` does.

    Args:
        model: a reference as `stzoo.load` takes it, but an ONNX file.
        output: the file to write; what was found out is written into `export.json` beside it, too.
        options: as `write` takes them.

    Returns:
        What `export.json` says of the file: its digest, precision, form and operator set, and how far it is from torch.

    Raises:
        ExportError: a number differs from torch's by more than 1e-4. The files are left for inspection.
        UsageError: options that do not go together, or a file that is in the way.
    """
    paths = {name: Path(options[name]) for name in ("weights", "calibrate", "root", "video") if options.get(name)}
    job, outcome = write(model, Path(output), **(options | paths))
    refuse_disagreement(job, outcome)
    reports = read_reports(job.report)
    return dict(reports.get(job.output.name, {}))


def write(
    model: Path | str,
    output: Path | None,
    *,
    triton: Path | None = None,
    weights: Path | None = None,
    replace: bool = False,
    opset: int | None = None,
    with_preprocess: bool = False,
    with_features: bool = False,
    any_size: bool = False,
    form: Form = "images",
    clips: int | None = None,
    precision: Precision = "fp32",
    storage: Storage = "float32",
    calibrate: Path | None = None,
    root: Path | None = None,
    verify: bool = True,
    video: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Job, Outcome]:
    """Writes the file and `export.json`, and golden clips beside it; says what was to be written and was found out.

    Args:
        model: a reference as `stzoo.load` takes it.
        output: the file to write, or None.
        triton: in its place, a model repository of Triton that it is written into.
        weights: of a model `torchvision:NAME`, a local file of them.
        replace: whether a file that stands there makes way.
        opset: ONNX's operator set; by default the oldest that torch writes.
        with_preprocess: whether it takes pixels and gives a video's probabilities.
        with_features: whether it gives what enters the classifier, too.
        any_size: whether it takes any number of frames and any size.
        form: `images`, `volumes` or `portable`.
        clips: how many a portable file takes at a time.
        precision: `fp32`, `fp16` (portable alone) or `int8`.
        storage: `float16` writes kernels in 16 bits, which are widened when the file is loaded.
        calibrate: for int8, labelled videos.
        root: the folder that the paths of a list to calibrate on start in.
        verify: whether it is compared with torch, and golden clips are kept.
        video: whose clips are compared and kept; by default the sample that ships with stzoo.
        say: is told how many files of `calibrate` are passed over.
    """
    _refuse_unknown(precision, form, storage, clips)
    _refuse_contradictions(precision, calibrate, root, any_size)
    if output is not None and output.suffix.lower() == PTE:
        is_plain = precision == "fp32" and storage == "float32" and opset is None and form != "volumes"
        if not is_plain or with_preprocess or with_features or any_size:
            raise UsageError(
                f"{output} is to be an ExecuTorch program, which is portable and in fp32; leave all other options of "
                "ONNX files out, or write an .onnx file"
            )
        refuse_missing()
        form = "portable"
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
    ref = model if weights is None else torchvision.with_weights(str(model), weights)
    predictor = load(ref, device="cpu")
    if isinstance(predictor.net, Session):
        raise UsageError(f"{model} is an exported file already; give the bundle that it was made of")
    if output is None:
        assert triton is not None
        output = served_file(triton, predictor.name)
        _refuse_existing(output, replace)
    fits = read_confidence(find(ref, files=(CONFIDENCE,)).folder, predictor.digest)
    job = Job(output, graph, precision, calibrate, video or packaged("bundled") / "sample.mp4", storage, fits.get(1))
    if job.is_executorch:
        job = job._replace(graph=graph._replace(opset=None))
    items = None if calibrate is None else labelled(calibrate, root, predictor.labels, say=say)
    most = max(graph.batch_sizes) * (golden.CLIPS if job.is_executorch else 1)
    pixels = read_clips(Video(job.video), predictor.contract, most).clips if verify else None
    reports = read_reports(job.report)
    outcome = _written(predictor, job, pixels, items)
    record(predictor, job, outcome, reports)
    _keep_golden_clips(predictor, job, is_asked=verify, is_usual=video is None)
    return job, outcome


def _refuse_existing(output: Path, replace: bool) -> None:
    if output.exists() and not replace:
        raise UsageError(f"{output} exists; choose another name, or {MAKE_WAY}")


def refuse_disagreement(job: Job, outcome: Outcome) -> None:
    """Raises `ExportError` where the file does not answer as torch does."""
    if outcome.exact is not None and not outcome.exact.passed:
        raise ExportError(
            f"{job.output} does not agree with torch: a number differs by {outcome.exact.largest_difference:.1e}, more "
            f"than {TOLERANCE:.0e}, or a best label changes; do not use it, and see {job.report}"
        )


def _refuse_unknown(precision: object, form: object, storage: object, clips: object) -> None:
    for what, value, known in (
        ("precision", precision, ("fp32", "fp16", "int8")),
        ("form", form, get_args(Form)),
        ("storage", storage, get_args(Storage)),
    ):
        if value not in known:
            raise UsageError(f"{what} is one of {', '.join(known)}, and not {value!r:.40}")
    if clips is not None and not (isinstance(clips, int) and not isinstance(clips, bool) and clips >= 1):
        raise UsageError(f"clips is how many a portable file takes at a time, 1 or more, and not {clips!r:.40}")


def _refuse_contradictions(precision: str, calibrate: Path | None, root: Path | None, is_special: bool) -> None:
    if (precision == "int8") != (calibrate is not None):
        raise UsageError(
            "int8 is calibrated on videos like those to be predicted; give --precision int8 and --calibrate LIST both"
        )
    if root is not None and calibrate is None:
        raise UsageError("--root is where the paths of a list of --calibrate start; leave it out, or give both")
    if calibrate is not None and is_special:
        raise UsageError("in int8 there are files that take clips of the model's input; leave --any-size out")


def _written(predictor: Predictor, job: Job, pixels: Pixels | None, items: Sequence[Item] | None) -> Outcome:
    """Writes the file: in fp32, compared with torch on `pixels` if they are given; in int8 where `items` are given.

    Nothing is written in fewer bits where the file in fp32, which is temporary then, does not agree with torch.
    """
    net = predictor.net
    assert not isinstance(net, Session)
    if job.is_executorch:
        return _program(net, predictor, job, pixels)
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
            comparison = to_int8.quantise_and_measure(predictor, exact, job.output, items)
            outcome = Outcome(about_exact, agreement(job.output), comparison)
    if pixels is None or job.graph.clips_at_once is None or not job.output.exists():
        return outcome
    return outcome._replace(targets=_targets(net, predictor.contract, job, pixels))


def _program(net: nn.Module, predictor: Predictor, job: Job, pixels: Pixels | None) -> Outcome:
    """Writes an ExecuTorch program, and compares it with torch on as many of the clips as it takes by turns."""
    at_once = job.graph.clips_at_once
    assert at_once is not None
    delegation = to_executorch.export(
        net,
        job.output,
        predictor.contract,
        predictor.labels,
        name=predictor.name,
        strategy=predictor.strategy,
        digest=predictor.digest,
        confidence=job.confidence,
        clips_at_once=at_once,
    )
    if pixels is None:
        return Outcome(None, targets={"executorch": {"how": "written, not run", **delegation._asdict()}})
    agreement = to_executorch.compare(net, job.output, normalise(pixels, predictor.contract), at_once)
    facts = {"how": "run", **delegation._asdict(), "largest_difference": agreement.largest_difference}
    return Outcome(agreement, targets={"executorch": facts})


def _compared(net: nn.Module, contract: InputContract, path: Path, pixels: Pixels, graph: Graph) -> Agreement:
    if graph.with_features and isinstance(net, Classifier):
        net = WithFeatures(net)
    if graph.with_preprocess:
        return to_onnx.compare(VideoLevel(net, contract), path, pixels, graph.batch_sizes)
    return to_onnx.compare(net, path, normalise(pixels, contract), graph.batch_sizes)


def _targets(net: nn.Module, contract: InputContract, job: Job, pixels: Pixels) -> dict[str, Any]:
    clips = normalise(pixels[: job.graph.clips_at_once], contract)
    with torch.inference_mode():
        return targets(job.output, clips, net(torch.from_numpy(clips)).numpy())


def _keep_golden_clips(predictor: Predictor, job: Job, *, is_asked: bool, is_usual: bool) -> None:
    """Writes golden clips beside the file, unless the folder is that of the model's bundle and has them already.

    What is in int8 answers otherwise than the model, and has its own.
    """
    path = files.golden_of(job.output)
    path.unlink(missing_ok=True)
    if not is_asked:
        return
    if job.precision == "int8":
        if job.output.exists():
            golden.make(load(job.output, runtime="onnxruntime"), job.video).write(path)
        return
    kept = files.beside(job.output)
    if is_usual and kept is not None and files.read(kept).model_digest == predictor.digest:
        return
    golden.make(predictor, job.video).write(path)
