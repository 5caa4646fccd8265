"""An ONNX file on onnxruntime, on the CPU or on a GPU."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from stzoo.errors import BundleError, StzooError, UsageError
from stzoo.runtimes.availability import has_gpu, threads
from stzoo.runtimes.onnx_file import OnnxFile, Precision, UnusableFileError
from stzoo.runtimes.session import Session

_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class OnnxRuntimeSession(Session):
    """Runs in float32, or in int8 where the file is quantised."""

    def __init__(self, file: OnnxFile, device: str | None, precision: Precision) -> None:
        if precision != file.precision:
            raise UsageError(
                f"{file.path} computes in {file.precision}, not in {precision}; write the other one with `stzoo export "
                "--precision`."
            )
        on_gpu = device == "cuda" or (device in (None, "auto") and has_gpu())
        super().__init__("onnxruntime", file, "cuda" if on_gpu else "cpu", precision)
        self._session = opened(file.content, self.device, str(file.path))

    def _of(self, file: OnnxFile) -> OnnxRuntimeSession:
        return OnnxRuntimeSession(file, self.device, self.precision)

    def _run(self, batch: np.ndarray[Any, np.dtype[Any]]) -> list[np.ndarray[Any, np.dtype[Any]]]:
        graph = self.file.graph
        with explaining(f"onnxruntime cannot run {self.file.path}", BundleError):
            return [np.asarray(answer) for answer in self._session.run(None, {graph.input: batch})]


def opened(model: bytes | str, device: str, name: str, kind: type[StzooError] = UnusableFileError) -> Any:
    """A session of a model, given as bytes or as a path, on `cpu` or `cuda`.

    Raises `UnusableFileError`, or what `kind` is, when onnxruntime refuses the model; `UsageError` when it reaches no
    GPU.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(4)  # what matters comes as an error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    # Threads that wait for work do not take the processor from those that decode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = [_CPU]
    missing = "onnxruntime finds no GPU that it can use; install onnxruntime-gpu, or choose the device cpu."
    if device == "cuda":
        if not has_gpu():
            raise UsageError(missing)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            onnxruntime.preload_dlls()
        providers = [(_GPU, {"use_tf32": "0"}), _CPU]
    with explaining(f"onnxruntime refuses {name}", kind):
        session = onnxruntime.InferenceSession(model, options, providers=providers)
    if device == "cuda" and session.get_providers()[0] != _GPU:
        raise UsageError(missing)
    return session


def loads_operator_set(opset: int) -> bool:
    """Whether the installed onnxruntime loads files of an operator set; it is tried with the smallest of graphs."""
    import onnx

    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "smallest", ends[:1], ends[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
    try:
        opened(model.SerializeToString(), "cpu", "a file of one operator")
    except BundleError:
        return False
    return True


@contextlib.contextmanager
def explaining(what: str, kind: type[StzooError]) -> Iterator[None]:
    """Turns onnxruntime's errors, which share no base class of their own, into one of ours."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise kind(f"{what}: {str(error).strip().partition(chr(10))[0]}") from error
