"""Fixed nets as ONNX: any number of clips at a time, labels and input contract inside, compared with torch."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

import stzoo
from stzoo.contract import InputContract
from stzoo.errors import ExportError
from stzoo.files import replacing
from stzoo.nets import is_template, merge
from stzoo.strategy import Strategy

INPUT, OUTPUT = "clips", "logits"
OLDEST_OPSET = 18
"""The oldest operator set that torch's exporter writes. It is the default: more runtimes read it than any newer one."""

TOLERANCE = 1e-4
"""The largest difference between a logit of torch and of the exported model that passes."""

Clips = Float32[np.ndarray, "clips 3 frames height width"]


@dataclass(frozen=True)
class Agreement:
    """How far onnxruntime on the CPU is from torch on the same clips, over every batch size that was tried."""

    largest_difference: float
    top1_agreement: float
    batch_sizes: tuple[int, ...]
    runtime: str

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
    opset: int = OLDEST_OPSET,
) -> None:
    """Writes a fixed net on the CPU, merged, as an ONNX file and checks the file's form.

    The model takes float32 `clips` [batch, 3, frames, crop, crop], normalised as the contract says, and gives `logits`
    [batch, classes]. Its metadata has `name`, `stzoo_version`, `labels` and `input` (both JSON), `strategy` and
    `strategy_digest`.

    Raises `ExportError` for a template, for an operator set that cannot be written, and for what torch's exporter or
    ONNX's checker refuses.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ExportError(f"the operator set {opset} cannot be written; choose one from {OLDEST_OPSET} to {newest}")
    if is_template(net):
        raise ExportError("a template has random outputs and cannot be exported; prune a strategy out of it first")
    clips = torch.zeros(2, 3, contract.frames, contract.crop, contract.crop)
    metadata = {
        "name": name,
        "stzoo_version": stzoo.__version__,
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "input": contract.model_dump_json(),
    }
    if strategy is not None:
        metadata |= {"strategy": strategy.text(), "strategy_digest": strategy.digest}
    try:
        with _quietly():
            program = torch.onnx.export(
                merge(net.eval()),
                (clips,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=opset,
            )
        assert program is not None
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
    if fixed := written.graph.input[0].type.tensor_type.shape.dim[0].dim_value:
        raise ExportError(f"{path} takes batches of {fixed} only; the net's code fixes their number")


def compare(net: nn.Module, path: Path | str, clips: Clips, batch_sizes: Sequence[int] = (1, 3)) -> Agreement:
    """Runs the ONNX file on onnxruntime's CPU provider and the net in torch, on the same clips.

    For every batch size the first so many clips are taken, so there must be at least the largest of them.

    Raises `ExportError` when onnxruntime refuses the file.
    """
    import onnxruntime

    differences, agreements = [], []
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for size in batch_sizes:
            batch = np.ascontiguousarray(clips[:size])
            assert len(batch) == size
            with torch.inference_mode():
                expected = net(torch.from_numpy(batch)).numpy()
            (given,) = session.run([OUTPUT], {INPUT: batch})
            differences.append(np.abs(given - expected).max())
            agreements.extend(given.argmax(axis=1) == expected.argmax(axis=1))
    except Exception as error:
        # onnxruntime's errors share no base class of their own.
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise ExportError(f"onnxruntime refuses {path}: {str(error).strip().partition(chr(10))[0]}") from error
    runtime = f"onnxruntime {onnxruntime.__version__}, CPUExecutionProvider"
    return Agreement(float(max(differences)), float(np.mean(agreements)), tuple(batch_sizes), runtime)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps the exporter's progress and its remarks on absent optional packages off the terminal."""
    import onnx_ir
    import onnxscript

    chatty = ("torch.onnx", onnxscript.__name__, onnx_ir.__name__)
    names = [name for name in logging.root.manager.loggerDict if name.startswith(chatty)]
    levels = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for name in names:
                logging.getLogger(name).setLevel(logging.CRITICAL)
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
