"""Which runtime a file is opened with, and what is said of one that cannot be had."""

from __future__ import annotations

from typing import get_args

from stzoo.errors import UsageError, did_you_mean
from stzoo.runtimes.availability import is_there
from stzoo.runtimes.onnx_file import OnnxFile, Precision
from stzoo.runtimes.session import Runtime, Session

RUNTIMES: tuple[Runtime, ...] = ("torch", "onnxruntime", "openvino")
INSTALL = "pip install 'stzoo[openvino]'"


def open_session(runtime: Runtime, file: OnnxFile, device: str | None, precision: Precision) -> Session:
    """The file in a runtime other than torch; a `device` of None or `auto` takes a GPU if the runtime can.

    Raises `UsageError` for a runtime that is not installed, a device or a precision that it does not have, and
    `BundleError` when it refuses the file.
    """
    refuse_impossible(runtime, device, precision)
    file.refuse_unrunnable()
    if runtime == "openvino":
        from stzoo.runtimes.openvino_session import OpenVinoSession

        return OpenVinoSession(file, precision)
    if runtime == "onnxruntime":
        from stzoo.runtimes.onnxruntime_session import OnnxRuntimeSession

        return OnnxRuntimeSession(file, device, precision)
    raise UsageError("torch runs nets, not ONNX files; choose onnxruntime or openvino.")


def refuse_unknown(runtime: str, precision: str) -> None:
    """Raises `UsageError` for what is no runtime, nor `auto`, and what is no precision."""
    for what, word, known in (
        ("runtime", runtime, ("auto", *RUNTIMES)),
        ("precision", precision, get_args(Precision)),
    ):
        if word not in known:
            hint = did_you_mean(str(word), known)
            raise UsageError(f'there is no {what} "{word}"; choose one of {", ".join(known)}.{hint}')


def refuse_impossible(runtime: Runtime, device: str | None, precision: Precision) -> None:
    """Raises `UsageError` for what a runtime cannot do here, whatever the file."""
    if runtime != "torch" and device not in (None, "auto", "cpu", "cuda"):
        raise UsageError(f"{runtime} runs on cpu or cuda, not on {device}; choose one of them, or the runtime torch.")
    if runtime == "onnxruntime" and precision == "bf16":
        raise UsageError("onnxruntime does not compute in bf16; use openvino for it, or fp32.")
    if runtime == "openvino" and device == "cuda":
        raise UsageError("openvino runs on the CPU here; choose the device cpu, or another runtime.")
    if runtime == "openvino" and not is_there(runtime):
        raise UsageError(f"openvino is not installed; install it with `{INSTALL}`, or choose another runtime.")
