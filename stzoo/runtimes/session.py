"""What runs a net on clips; and an ONNX file that a runtime has opened, which every runtime but torch has in common."""

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


class Runner(ABC):
    """What runs a net on the pixels of clips, whatever the runtime; or several `nets`, whose answers are averaged."""

    nets: int = 1

    @abstractmethod
    def clip_scores(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, "clips classes"]:
        """The softmax of the logits of every clip."""

    def each_clip_scores(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, "nets clips classes"]:
        """The same of every net, where several are averaged; else of the one."""
        return self.clip_scores(clips, contract)[None]

    def scores(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, " classes"]:
        """What is said of a video that consists of these clips: the mean over them of the softmax of the logits."""
        return np.asarray(self.clip_scores(clips, contract).mean(axis=0))

    @abstractmethod
    def clip_vectors(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, "clips numbers"]:
        """What enters the classifier for every clip. Raises `UsageError` for a net that shows no such thing."""


class Session(Runner):
    """An ONNX file opened by a runtime, ready to be run.

    `device` is `cpu` or `cuda`; `precision` what its numbers are computed in.
    """

    def __init__(self, runtime: Runtime, file: OnnxFile, device: str, precision: Precision) -> None:
        self.runtime = runtime
        self.file = file
        self.device = device
        self.precision = precision
        self._with_vectors: Session | None = None

    @abstractmethod
    def _run(self, batch: np.ndarray[Any, np.dtype[Any]]) -> list[np.ndarray[Any, np.dtype[Any]]]:
        """The graph's outputs for its input."""

    @abstractmethod
    def _of(self, file: OnnxFile) -> Session:
        """The same session of another file."""

    def logits(self, clips: Float32[np.ndarray, "clips 3 frames height width"]) -> Float32[np.ndarray, "clips classes"]:
        """The net's outputs for normalised clips.

        Where the graph takes several clips at a time and there are too few, the last one is given again.

        Raises `BundleError` where the graph cannot be run on them, or answers with something else than logits;
        `UsageError` for a file that takes pixels, whose answer is that of all its clips, and not of so many.
        """
        return self._checked(clips)

    def clip_scores(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, "clips classes"]:
        """The softmax of the logits of every clip, as `stzoo.inference.clip_scores` has it in torch.

        Raises as `logits` does.
        """
        if self.file.takes_pixels:
            step = self.file.clips_at_once or 1
            groups = [clips[start : start + step] for start in range(0, len(clips), step)]
            return np.concatenate([[self._checked(group)] * len(group) for group in groups]).astype(np.float64)
        step = self.file.clips_at_once or clips_at_once(self.device)
        batches = [clips[start : start + step] for start in range(0, len(clips), step)]
        logits = np.concatenate([self.logits(normalise(batch, contract)) for batch in batches]).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def clip_vectors(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, "clips numbers"]:
        """What enters the classifier for every clip, by a second session where the file does not give it.

        Raises `UsageError` where the graph does not end in a classifier or takes several clips at a time, and
        `BundleError` as `logits` does.
        """
        if self._with_vectors is None:
            self._with_vectors = self if self.file.gives_vectors else self._of(self.file.giving_vectors())
        vectors = [self._with_vectors.vector(clip, contract) for clip in clips]
        return np.stack(vectors).astype(np.float64)

    def vector(
        self, clip: UInt8[np.ndarray, "frames height width 3"], contract: InputContract
    ) -> Float32[np.ndarray, " numbers"]:
        """What enters the classifier for one clip, of a file that gives it. Raises `BundleError` as `logits` does."""
        batch = clip[None] if self.file.takes_pixels else normalise(clip[None], contract)
        self.file.refuse_input(batch.shape)
        vector = np.asarray(self._run(batch)[1], dtype=np.float32)
        self.file.refuse_vector(vector)
        return vector.ravel()

    def _checked(self, batch: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        step = self.file.clips_at_once or len(batch)
        missing = -len(batch) % step
        if missing and self.file.takes_pixels:
            raise UsageError(
                f"{self.file.path} takes {step} clips at a time, and these are {len(batch)}; ask for a multiple of "
                f"{step}, or export it with other --clips."
            )
        whole = np.concatenate([batch, batch[-1:].repeat(missing, axis=0)]) if missing else batch
        parts = [self._answer(whole[start : start + step]) for start in range(0, len(whole), step)]
        return np.concatenate(parts)[: len(batch) if missing else None]

    def _answer(self, batch: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.file.refuse_input(batch.shape)
        answer = np.asarray(self._run(batch)[0], dtype=np.float32)
        self.file.refuse_answer(answer, len(batch))
        return answer


def clips_at_once(device: str) -> int:
    """How many clips a net is given at a time: one on a CPU, where a batch is no faster and takes more memory."""
    return 1 if device == "cpu" else 8
