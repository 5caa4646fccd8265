"""Whether a model answers here as it did where it was made: its golden clips, run on every runtime that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from stzoo import bundle as bundles
from stzoo.bundle.reading import locate
from stzoo.errors import BundleError, StzooError, UsageError, require
from stzoo.runtimes import RUNTIMES, Precision, Runtime, is_there
from stzoo.zoo.export_report import PTE
from stzoo.zoo.loading import load
from stzoo.zoo.reference import Ref, exported_file, find, text_of

if TYPE_CHECKING:
    from stzoo.bundle.golden import Golden
    from stzoo.prediction.golden import Differences, Reading
    from stzoo.prediction.predictor import Predictor


class Way(NamedTuple):
    """What runs a model, and what it computes in."""

    runtime: Runtime | Literal["executorch"]
    precision: Precision


@dataclass(frozen=True)
class Verification:
    """What was found out about one model."""

    golden: Golden
    video: Path | None
    """The video that the clips are of, where it is at hand."""
    reading: Reading | None
    """How it was read anew."""
    answers: dict[Way, Differences | str]
    """What each runtime answers, or a sentence that says why it does not."""

    @property
    def passed(self) -> bool:
        read = self.reading is None or self.reading.passed
        return read and all(not isinstance(answer, str) and answer.passed for answer in self.answers.values())


def verify(
    ref: Ref,
    runtime: Runtime | Literal["all"] = "all",
    video: Path | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Runs the golden clips of a model on one runtime, or on all that are installed and can run it.

    Args:
        ref: as `load` takes it, or an ExecuTorch program.
        runtime: an ONNX file is run by onnxruntime and openvino, a bundle by torch too, and in int8 where it has such a
            file; an ExecuTorch program by executorch alone.
        video: the video that the clips are of; by default one that is at hand, which need not be.
        say: is told what takes long.

    Raises `BundleError` for a model without golden clips, or with those of another model or video; `UsageError` for a
    runtime that cannot run it; and what `load` raises for a model that is none.
    """
    from stzoo.bundle import golden as files
    from stzoo.prediction import golden as clips

    model = (
        program(ref)
        or exported_file(ref)
        or find(ref, files=(*bundles.TEXTS, bundles.MODEL, *bundles.EXPORTED, files.GOLDEN, files.GOLDEN_INT8)).folder
    )
    path = files.beside(model)
    if path is None:
        raise BundleError(
            f"{model} has no golden clips; make them with `stzoo verify {ref} --make`, or export it again"
        )
    golden = files.read(path)
    video = clips.find_video(golden, path.parent) if video is None else clips.refuse_another_video(golden, video)
    answers: dict[Way, Differences | str] = {}
    reading = None
    for way in ways(model, runtime):
        try:
            predictor = opened(ref, way, say)
        except StzooError as error:
            if runtime != "all" or way.runtime == "executorch":
                raise
            answers[way] = str(error)
            continue
        expected, shown = golden, video
        if way.precision == "int8" and (own := locate(model, files.GOLDEN_INT8)) is not None:
            expected = files.read(own)
            shown = clips.find_video(expected, (video or path).parent)
        clips.refuse_another_model(expected, predictor)
        answers[way._replace(precision=predictor.precision)] = clips.differences(expected, predictor, shown)
        if reading is None and video is not None:
            reading = clips.read_anew(golden, video, predictor.contract)
    return Verification(golden, video, reading, answers)


def program(ref: Ref) -> Path | None:
    """The ExecuTorch program that a reference means; None where it is no file with its suffix."""
    path = Path(text_of(ref)).expanduser()
    return path if path.suffix.lower() == PTE and path.is_file() else None


def opened(ref: Ref, way: Way, say: Callable[[str], None] = lambda _: None) -> Predictor:
    """A model as it is run in one way. Raises as `load`, and `MissingPackageError` without executorch."""
    if way.runtime != "executorch":
        return load(ref, runtime=way.runtime, precision=way.precision, say=say)
    require("torch")
    from stzoo.prediction.predictor import Predictor
    from stzoo.runtimes.executorch_net import ExecutorchNet

    net = ExecutorchNet(Path(text_of(ref)).expanduser())
    about = net.about
    return Predictor(net, about.input, about.labels, about.name, "cpu", digest=about.model_digest)


def make(ref: Ref, video: Path | None = None) -> Path:
    """Makes the golden clips of a bundle, with torch, of a video or of the sample; returns the file.

    Raises `UsageError` for what is no bundle's folder on this machine, and what `load` and `read_clips` raise.
    """
    from stzoo.bundle import golden as files
    from stzoo.prediction import golden as clips

    if (file := exported_file(ref)) is not None:
        raise UsageError(
            f"{file} has golden clips from where it was exported; make them for the bundle, or export it again"
        )
    location = find(ref, offline=True)
    if location.repository is not None:
        raise UsageError(f"{ref} is what the Hub has; golden clips are made for the folder of a bundle")
    path = location.folder / files.GOLDEN
    clips.make(load(location.folder, device="cpu"), video or clips.sample()).write(path)
    return path


def ways(model: Path, runtime: Runtime | Literal["all"] = "all") -> Iterator[Way]:
    """What can run the model here: torch, where it is a bundle, and the runtimes of ONNX files.

    Raises `UsageError` for a runtime of ONNX files and a program of ExecuTorch.
    """
    if model.suffix.lower() == PTE and model.is_file():
        if runtime != "all":
            raise UsageError(f"{model} is run by executorch alone; leave --runtime {runtime} out")
        yield Way("executorch", "fp32")
        return
    is_bundle = model.is_dir()
    for name in RUNTIMES if runtime == "all" else (runtime,):
        if runtime == "all" and not (is_there(name) and (is_bundle or name != "torch")):
            continue
        yield Way(name, "fp32")
        if is_bundle and name != "torch" and (model / bundles.ONNX_INT8).exists():
            yield Way(name, "int8")
