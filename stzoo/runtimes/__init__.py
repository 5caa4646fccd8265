"""The same net on torch, onnxruntime or openvino: which of them are there, and what they have in common. No torch.

onnx_file            an ONNX file that nobody vouches for
onnxruntime_session  an ONNX file on onnxruntime
openvino_session     an ONNX file on openvino
torch_net            a net in torch
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
from abc import ABC, abstractmethod
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from stzoo.contract import InputContract
from stzoo.errors import UsageError, did_you_mean
from stzoo.pool import processors
from stzoo.runtimes.onnx_file import OnnxFile, Precision
from stzoo.video.frames import normalise

__all__ = [
    "CLIPS_A_BATCH_ON_GPU",
    "INSTALL",
    "RUNTIMES",
    "OnnxFile",
    "Precision",
    "Runtime",
    "Session",
    "has_gpu",
    "is_there",
    "open_session",
    "refuse_impossible",
    "refuse_unknown",
    "threads",
]

Runtime = Literal["torch", "onnxruntime", "openvino"]
RUNTIMES: tuple[Runtime, ...] = ("torch", "onnxruntime", "openvino")
INSTALL = "pip install 'stzoo[openvino]'"

CLIPS_A_BATCH_ON_GPU = 8


class Session(ABC):
    """An ONNX file opened by a runtime, ready to be run.

    `device` is `cpu` or `cuda`; `precision` what its numbers are computed in.
    """

    def __init__(self, runtime: Runtime, file: OnnxFile, device: str, precision: Precision) -> None:
        self.runtime = runtime
        self.file = file
        self.device = device
        self.precision = precision

    @abstractmethod
    def logits(self, clips: Float32[np.ndarray, "clips 3 frames height width"]) -> Float32[np.ndarray, "clips classes"]:
        """The net's outputs for normalised clips."""

    def scores(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, " classes"]:
        """The mean over the clips of the softmax of the logits."""
        # One clip at a time on a CPU: a batch is no faster there and takes more memory.
        step = 1 if self.device == "cpu" else CLIPS_A_BATCH_ON_GPU
        total: Float64[np.ndarray, " classes"] | float = 0.0
        for start in range(0, len(clips), step):
            logits = self.logits(normalise(clips[start : start + step], contract)).astype(np.float64)
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            total = total + (powers / powers.sum(axis=1, keepdims=True)).sum(axis=0)
        return np.asarray(total / len(clips), dtype=np.float64)


def open_session(runtime: Runtime, file: OnnxFile, device: str | None, precision: Precision) -> Session:
    """The file in a runtime other than torch; a `device` of None or `auto` takes a GPU if the runtime can.

    Raises `UsageError` for a runtime that is not installed, a device or a precision that it does not have, and
    `BundleError` when it refuses the file.
    """
    refuse_impossible(runtime, device, precision)
    if runtime == "openvino":
        from stzoo.runtimes.openvino_session import OpenVinoSession

        return OpenVinoSession(file, precision)
    if runtime == "onnxruntime":
        from stzoo.runtimes.onnxruntime_session import OnnxRuntimeSession

        return OnnxRuntimeSession(file, device, precision)
    raise UsageError("torch runs nets, not ONNX files; choose onnxruntime or openvino.")


def refuse_unknown(runtime: str, precision: str) -> None:
    """Raises `UsageError` for what is no runtime, nor `auto`, and what is no precision."""
    for what, given, known in (
        ("runtime", runtime, ("auto", *RUNTIMES)),
        ("precision", precision, get_args(Precision)),
    ):
        if given not in known:
            hint = did_you_mean(given, known)
            raise UsageError(f'there is no {what} "{given}"; choose one of {", ".join(known)}.{hint}')


def refuse_impossible(runtime: Runtime, device: str | None, precision: Precision) -> None:
    """Raises `UsageError` for what a runtime cannot do here, whatever the file."""
    if runtime == "onnxruntime" and precision == "bf16":
        raise UsageError("onnxruntime does not compute in bf16; use openvino for it, or fp32.")
    if runtime == "openvino" and device == "cuda":
        raise UsageError("openvino runs on the CPU here; choose the device cpu, or another runtime.")
    if runtime == "openvino" and not is_there(runtime):
        raise UsageError(f"openvino is not installed; install it with `{INSTALL}`, or choose another runtime.")


def is_there(runtime: Runtime) -> bool:
    """Whether a runtime is installed; it is not imported."""
    return importlib.util.find_spec(runtime) is not None


@functools.cache
def has_gpu() -> bool:
    """Whether NVIDIA's driver shows a GPU to this process; it is asked directly, without torch."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def threads() -> int:
    """How many threads a net is computed with: OMP_NUM_THREADS, as for torch, or one a processor."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(given)) if given.isdecimal() else processors()
