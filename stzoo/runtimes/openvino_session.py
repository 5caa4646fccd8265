"""An ONNX file on openvino, on the CPU."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from stzoo.errors import BundleError, UsageError
from stzoo.runtimes.availability import threads
from stzoo.runtimes.onnx_file import OnnxFile, Precision, UnusableFileError
from stzoo.runtimes.session import Session
from stzoo.telemetry import without_openvinos

_HINTS = {"fp32": "f32", "fp16": "f32", "int8": "f32", "bf16": "bf16"}


class OpenVinoSession(Session):
    """Runs in float32, which has to be asked for, or in bfloat16; in int8 where the file is quantised."""

    def __init__(self, file: OnnxFile, precision: Precision) -> None:
        if precision != file.precision and (precision, file.precision) != ("bf16", "fp32"):
            raise UsageError(
                f"{file.path} computes in {file.precision}, not in {precision}; write the other one with `stzoo export "
                "--precision`."
            )
        with without_openvinos():
            import openvino

        super().__init__("openvino", file, "cpu", precision)
        self._alone = threading.Lock()  # a request that two threads use answers one of them with the other's clip
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UsageError("this processor does not compute in bf16; use fp32 or int8.")
        # openvino takes bfloat16 by itself where the processor has it.
        hints = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            model = core.read_model(model=file.content, weights=b"")
            if not file.takes_pixels and file.clips_at_once is None:
                model.reshape([1, *(size or -1 for size in file.shape[1:])])
            self._request = core.compile_model(model, "CPU", hints).create_infer_request()
        except RuntimeError as error:
            raise UnusableFileError(f"openvino refuses {file.path}: {_reason(error)}") from error

    def _of(self, file: OnnxFile) -> OpenVinoSession:
        return OpenVinoSession(file, self.precision)

    def _run(self, batch: np.ndarray[Any, np.dtype[Any]]) -> list[np.ndarray[Any, np.dtype[Any]]]:
        try:
            with self._alone:
                if self.file.takes_pixels or self.file.clips_at_once is not None:
                    return self._infer(batch)
                answers = [self._infer(clip[None]) for clip in batch]
                return [np.concatenate(outputs) for outputs in zip(*answers, strict=True)]
        except RuntimeError as error:
            raise BundleError(f"openvino cannot run {self.file.path}: {_reason(error)}") from error

    def _infer(self, batch: np.ndarray[Any, np.dtype[Any]]) -> list[np.ndarray[Any, np.dtype[Any]]]:
        answers = self._request.infer({0: batch})
        return [np.array(answers[output]) for output in range(len(answers))]


def _reason(error: RuntimeError) -> str:
    """The first line of openvino's summary, or the last of an error without one; the others tell of its own source."""
    lines = [line.lstrip("- ") for line in str(error).splitlines() if line.strip()]
    return lines[lines.index("Summary:") + 1] if "Summary:" in lines[:-1] else lines[-1]
