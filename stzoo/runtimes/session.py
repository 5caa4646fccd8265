"""An ONNX file that a runtime has opened: what every runtime but torch has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.runtimes.onnx_file import OnnxFile, Precision
from stzoo.video.frames import normalise

Runtime = Literal["torch", "onnxruntime", "openvino"]


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
    def _run(self, batch: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
        """The graph's output for its input."""

    def logits(self, clips: Float32[np.ndarray, "clips 3 frames height width"]) -> Float32[np.ndarray, "clips classes"]:
        """The net's outputs for normalised clips.

        Raises `BundleError` where the graph cannot be run on them, or answers with something else than logits;
        `UsageError` where it takes so many clips at a time that these cannot be shared out.
        """
        return self._checked(clips)

    def scores(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, " classes"]:
        """The mean over the clips of the softmax of the logits, as `stzoo.inference.clip_scores` has it in torch.

        Raises as `logits` does.
        """
        if self.file.takes_pixels:
            return self._checked(clips).astype(np.float64)
        step = self.file.clips_at_once or clips_at_once(self.device)
        total: Float64[np.ndarray, " classes"] | float = 0.0
        for start in range(0, len(clips), step):
            logits = self.logits(normalise(clips[start : start + step], contract)).astype(np.float64)
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            total = total + (powers / powers.sum(axis=1, keepdims=True)).sum(axis=0)
        return np.asarray(total / len(clips), dtype=np.float64)

    def _checked(self, batch: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        step = self.file.clips_at_once or len(batch)
        if len(batch) % step:
            raise UsageError(
                f"{self.file.path} takes {step} clips at a time, and these are {len(batch)}; ask for a multiple of "
                f"{step}, or export it with other --clips."
            )
        parts = [self._answer(batch[start : start + step]) for start in range(0, len(batch), step)]
        return np.concatenate(parts)

    def _answer(self, batch: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.file.refuse_input(batch.shape)
        answer = np.asarray(self._run(batch), dtype=np.float32)
        self.file.refuse_answer(answer, len(batch))
        return answer


def clips_at_once(device: str) -> int:
    """How many clips a net is given at a time: one on a CPU, where a batch is no faster and takes more memory."""
    return 1 if device == "cpu" else 8
