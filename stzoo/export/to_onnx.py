"""Fixed nets as ONNX: any number of clips at a time, labels and input contract inside, compared with torch."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

import stzoo
from stzoo.bundle.confidence import Confidence
from stzoo.contract import InputContract
from stzoo.errors import ExportError, UsageError
from stzoo.export.around import InForm, VideoLevel, WithFeatures
from stzoo.export.targets import refuse_unportable
from stzoo.export.torchvision import writable
from stzoo.files import replacing
from stzoo.nets import Classifier, is_template, merge
from stzoo.nets.torchvision import TorchvisionNet
from stzoo.runtimes import threads
from stzoo.runtimes.graph import Graph
from stzoo.runtimes.onnx_file import FEATURES, FRAMES, INPUT, MOST_BYTES, OUTPUT, PROBABILITIES, Form
from stzoo.runtimes.onnxruntime_session import explaining, loads_operator_set, opened
from stzoo.runtimes.values import FLOAT, UINT8, RefusalError
from stzoo.strategies.strategy import Strategy
from stzoo.terminal.quiet import quietly

OLDEST_OPSET = 18
"""The oldest operator set that torch's exporter writes. It is the default: more runtimes read it than any newer one."""

TOLERANCE = 1e-4
"""The largest difference between a number of torch and of the exported model that passes."""

_TIMED_RUNS = 5

Clips = Float32[np.ndarray, "clips 3 frames height width"]
Pixels = UInt8[np.ndarray, "clips frames height width 3"]


@dataclass(frozen=True)
class Agreement:
    """How far onnxruntime is from torch on the same clips, over every batch size that was tried."""

    largest_difference: float
    """Of a logit, or of a probability where the file gives probabilities; and of a feature where it gives them."""
    top1_agreement: float
    batch_sizes: tuple[int, ...]
    milliseconds_a_clip: float
    """The median of a few runs with the fewest clips that were tried, on the clock."""
    runtime: str
    provider: str
    threads: int

    @property
    def passed(self) -> bool:
        return self.largest_difference <= TOLERANCE and self.top1_agreement == 1.0


def export(
    net: nn.Module,
    path: Path | str,
    contract: InputContract,
    labels: Sequence[str],
    *,
    name: str = "",
    strategy: Strategy | None = None,
    digest: str = "",
    confidence: Confidence | None = None,
    opset: int = OLDEST_OPSET,
    with_preprocess: bool = False,
    with_features: bool = False,
    any_size: bool = False,
    form: Form = "images",
    clips_at_once: int | None = None,
) -> None:
    """Writes a fixed net on the CPU, merged, as an ONNX file, and checks that it is a valid one.

    The model takes float32 `clips` [batch, 3, frames, crop, crop], normalised as the contract says, and gives `logits`
    [batch, classes]; `with_preprocess`, it takes uint8 `frames` [clips, frames, crop, crop, 3], the pixels of a video's
    clips in RGB, and gives the video's `probabilities` [classes]. `with_features` it gives `features` too, what enters
    the classifier: [batch, width], or [width] of the video. With `any_size`, frames, height and width are free.
    The `form` changes no number but those of rounding: 2D operations on `images` are what onnxruntime runs fastest, 3D
    operations on `volumes` what openvino does, and all that there is of torchvision's nets. What is `portable` has 2D
    operations on tensors of four dimensions at most, weights that are constants, and static shapes: it takes
    `clips_at_once` clips, and no other number.
    Its metadata has `name`, `stzoo_version`, `labels` and `input` (both JSON), `precision`, `form`, `model_digest` (the
    SHA-256 of the weights file, as `digest` gives it), `strategy` and `strategy_digest`, and `confidence`
    (JSON) where the bundle was calibrated.

    Raises `ExportError` for a template, for a net that shows no features where they are wanted, for an operator set
    that cannot be written, and for what torch's exporter or ONNX's checker refuses; `UsageError` for another suffix
    than .onnx, by which ONNX's readers choose a format, and for a number of clips where it is free, or none where it
    is not.
    """
    import onnx

    if Path(path).suffix.lower() != ".onnx":
        raise UsageError(f'{path} has the suffix "{Path(path).suffix}"; ONNX files are called .onnx')
    if (form == "portable") != (clips_at_once is not None) or (clips_at_once is not None and any_size):
        raise UsageError("a portable file takes a fixed number of clips of a fixed size, and no other file does")
    if form == "portable" and with_preprocess:
        raise UsageError("a portable file takes normalised clips, since targets lack what pixels need; give other ones")
    newest = OLDEST_OPSET if opset == OLDEST_OPSET else newest_opset()
    if not OLDEST_OPSET <= opset <= newest:
        raise ExportError(f"the operator set {opset} cannot be written; choose one from {OLDEST_OPSET} to {newest}")
    if (is_foreign := isinstance(net, TorchvisionNet)) and form == "portable":
        raise UsageError("torchvision's nets have operations on five dimensions and no portable form; give another one")
    if is_foreign:
        form = "volumes"
    if is_template(net):
        raise ExportError("a template has random outputs and cannot be exported; prune a strategy out of it first")
    metadata = {
        "name": name,
        "stzoo_version": stzoo.__version__,
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "input": contract.model_dump_json(),
        "precision": "fp32",
        "form": form,
        "model_digest": digest,
    }
    if strategy is not None:
        metadata |= {"strategy": strategy.text(), "strategy_digest": strategy.digest}
    if confidence is not None:
        metadata["confidence"] = confidence.model_dump_json()
    merged = merge(net.eval())
    if with_features:
        if not isinstance(merged, Classifier):
            raise ExportError(f"a {type(net).__name__} does not show what enters its head; leave the features out")
        merged = WithFeatures(merged)
    graph: nn.Module = InForm(merged, form)
    sizes = (contract.frames, contract.crop, contract.crop)
    number = 2 if clips_at_once is None else clips_at_once
    clips = torch.zeros(number, 3, *sizes)
    free = {0: "batch"} | ({2: "frames", 3: "height", 4: "width"} if any_size else {})
    if with_preprocess:
        graph = VideoLevel(graph, contract)
        clips = torch.zeros(number, *sizes, 3, dtype=torch.uint8)
        free = {0: "clips"} | ({1: "frames", 2: "height", 3: "width"} if any_size else {})
    if clips_at_once is not None:
        free = {}
    try:
        with (
            quietly("torch.onnx", "onnxscript", "onnx_ir"),
            writable(graph, clips) if is_foreign else contextlib.nullcontext(),
        ):
            program = torch.onnx.export(
                graph,
                (clips,),
                dynamo=True,
                verbose=False,
                input_names=[FRAMES if with_preprocess else INPUT],
                output_names=[PROBABILITIES if with_preprocess else OUTPUT, *[FEATURES] * with_features],
                dynamic_shapes=(free,),
                opset_version=opset,
            )
            assert program is not None
            if form == "portable":
                _fold_constants(program.model)
        for node in program.model.graph.all_nodes():
            node.metadata_props.clear()  # stack traces with the paths of this machine, half of a small file
        program.model.metadata_props.update(metadata)
        with replacing(path) as temporary:
            program.save(temporary)
            onnx.checker.check_model(str(temporary), full_check=True)
    except (torch.onnx.errors.OnnxExporterError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ExportError(f"{path} cannot be written with operator set {opset}: {reason}") from error
    written = onnx.load(str(path), load_external_data=False)
    if written.opset_import[0].version != opset:
        raise ExportError(
            f"{path} has the operator set {written.opset_import[0].version}, because some of the net's operators "
            f"cannot be converted to {opset}; ask for that one"
        )
    dims = written.graph.input[0].type.tensor_type.shape.dim
    for axis, what in free.items():
        if dims[axis].dim_value:
            raise ExportError(f"{path} takes {dims[axis].dim_value} {what} only; the net's code fixes their number")
    if form == "portable":
        refuse_unportable(written)
    try:
        Graph(written).follow(UINT8 if with_preprocess else FLOAT, tuple(clips.shape))
    except RefusalError as error:
        raise ExportError(f"{path} {error}, so no file of this net would be read; tell the authors of stzoo") from error


def _fold_constants(model: Any) -> None:
    """Computes what follows from constants alone, whatever its size, so that every weight is one."""
    from onnxscript import optimizer

    optimizer.optimize(model, input_size_limit=MOST_BYTES, output_size_limit=MOST_BYTES)


def newest_opset() -> int:
    """The newest operator set that is known to ONNX and that the installed onnxruntime loads."""
    import onnx

    known = range(onnx.defs.onnx_opset_version(), OLDEST_OPSET, -1)
    return next((opset for opset in known if loads_operator_set(opset)), OLDEST_OPSET)


def compare(
    net: nn.Module, path: Path | str, clips: Clips | Pixels, batch_sizes: Sequence[int] = (1, 3), device: str = "cpu"
) -> Agreement:
    """Runs the ONNX file on onnxruntime and the net in torch on the CPU, on the same clips.

    `net` takes and gives what the file does: a `VideoLevel` is compared with a file that has the preprocessing inside,
    and one `WithFeatures` with a file that gives them. For every
    batch size the first so many clips are taken, so there must be at least the largest of them.

    Raises `ExportError` when onnxruntime refuses the file.
    """
    import onnxruntime

    differences, agreements = [], []
    with explaining(f"onnxruntime cannot run {path}", ExportError):
        session = opened(str(path), device, str(path), ExportError)
        name = session.get_inputs()[0].name
        for size in batch_sizes:
            batch = np.ascontiguousarray(clips[:size])
            assert len(batch) == size
            with torch.inference_mode():
                outputs = net(torch.from_numpy(batch))
            expected = [output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]
            answers = session.run(None, {name: batch})
            differences += [np.abs(ours - theirs).max() for ours, theirs in zip(answers, expected, strict=True)]
            agreements.append(np.mean(answers[0].argmax(axis=-1) == expected[0].argmax(axis=-1)))
        fewest = min(batch_sizes)
        first = np.ascontiguousarray(clips[:fewest])
        seconds = median_seconds(lambda: session.run(None, {name: first}))
    return Agreement(
        largest_difference=float(max(differences)),
        top1_agreement=float(np.mean(agreements)),
        batch_sizes=tuple(batch_sizes),
        milliseconds_a_clip=round(1000 * seconds / fewest, 3),
        runtime=f"onnxruntime {onnxruntime.__version__}",
        provider=session.get_providers()[0],
        threads=threads(),
    )


def median_seconds(run: Callable[[], object]) -> float:
    """Of a few runs, on the clock."""
    return statistics.median(_seconds(run) for _ in range(_TIMED_RUNS))


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
