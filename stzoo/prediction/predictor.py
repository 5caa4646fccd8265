"""Video file -> scores: a net together with the way it wants to see and the names of its classes."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from stzoo.contract import InputContract
from stzoo.errors import BundleError, UsageError
from stzoo.prediction.timeline import Timeline, follow
from stzoo.runtimes import Precision, Runtime, Session
from stzoo.strategies.strategy import Strategy
from stzoo.video.reader import read_clips
from stzoo.video.video import Video

if TYPE_CHECKING:
    import torch
    from torch import nn

    from stzoo.runtimes.torch_net import TorchNet


class VideoWarning(UserWarning):
    """A prediction was made from less than the whole video: the file is cut off or damaged."""


class Prediction(NamedTuple):
    """A class and its probability, between 0 and 1."""

    label: str
    score: float


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """A fixed net that takes video files. The attributes can be read and not set; `to` gives one on another device.

    Raises:
        UsageError: the net is a template, the device does not exist, or an ONNX file takes other clips than the
            contract says.
    """

    net: nn.Module | Session = dataclasses.field(repr=False)
    """Takes float32 [clips, 3, frames, height, width] and gives logits [clips, classes].

    A net of torch is in eval mode and on `device`. `predict` and `scores` run a merged copy of it, made at their first
    call and again when a weight has changed, so the weights are held twice. With forward hooks on any of its modules
    the net itself is run. On another runtime it is the session of an ONNX file.
    """
    contract: InputContract
    labels: tuple[str, ...]
    """The classes in the order of the logits."""
    name: str = ""
    device: torch.device | str | None = None
    """None and "auto" take a GPU if there is one; the attribute then holds what was found."""
    strategy: Strategy | None = dataclasses.field(default=None, kw_only=True, repr=False)
    digest: str = dataclasses.field(default="", kw_only=True, repr=False)
    """SHA-256 of the weights file; empty where the net's weights are not those of one."""
    _runner: TorchNet | Session = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        runner: TorchNet | Session
        if isinstance(self.net, Session):
            if not self.net.file.takes(self.contract):
                raise UsageError(
                    f"{self.net.file.path} takes clips of {self.net.file.frames_and_size}, the input is "
                    f"{self.contract.text}; choose the runtime torch, or export a model for that input."
                )
            runner = self.net
        else:
            from stzoo.runtimes.torch_net import TorchNet

            runner = TorchNet(self.net, self.device)
        object.__setattr__(self, "_runner", runner)
        object.__setattr__(self, "device", runner.device)

    @property
    def runtime(self) -> Runtime:
        """What the net runs on."""
        return self.net.runtime if isinstance(self.net, Session) else "torch"

    @property
    def precision(self) -> Precision:
        """What the net's numbers are computed in."""
        return self.net.precision if isinstance(self.net, Session) else "fp32"

    def to(self, device: torch.device | str | None) -> Predictor:
        """The same predictor on another device; the net itself moves there.

        Raises `UsageError` for a device that does not exist, and on another runtime than torch.
        """
        if isinstance(self.net, Session):
            raise UsageError(
                f"a model on {self.runtime} stays on its device; load it anew with device={str(device)!r}."
            )
        return dataclasses.replace(self, device=device)

    def predict(
        self, path: Path | str, topk: int = 5, clips: int | None = None, *, frame_rate: float | None = None
    ) -> list[Prediction]:
        """The `topk` most probable classes of a video, best first; all of them where there are fewer.

        Args:
            path: a video file of any length, frame rate and size; or a folder of frames, also within a zip file.
            topk: how many classes, at least 1.
            clips: clips spread uniformly over the video; by default as many as the net's contract says.
            frame_rate: frames a second of a folder of frames.

        Raises:
            VideoError: the file cannot be read; the sentence says why.
            BundleError: the net answers with numbers that are not finite.
            UsageError: `topk` or `clips` is below 1, or a folder lacks the `frame_rate` that the contract needs.

        Warns:
            VideoWarning: the file is cut off or damaged, and the prediction is about the part that can be decoded.
        """
        number: object = topk
        if not isinstance(number, int | np.integer) or topk < 1:
            raise UsageError(f"the best {topk} classes were asked for; ask for at least 1.")
        return self.best(self._scores(Video(path, frame_rate), clips), topk)

    def best(self, scores: Float32[np.ndarray, " classes"], topk: int) -> list[Prediction]:
        """The `topk` classes with the highest scores, best first."""
        ranked = np.argsort(-scores, kind="stable")[:topk]
        return [Prediction(self.labels[index], float(scores[index])) for index in ranked.tolist()]

    def scores(
        self, path: Path | str, clips: int | None = None, *, frame_rate: float | None = None
    ) -> Float32[np.ndarray, " classes"]:
        """The probability of every class: the mean over the clips of the softmax of the logits.

        Arguments, errors and warnings are those of `predict`.
        """
        return self._scores(Video(path, frame_rate), clips)

    def timeline(
        self,
        path: Path | str,
        window_seconds: float = 2.0,
        hop_seconds: float = 1.0,
        *,
        frame_rate: float | None = None,
    ) -> Timeline:
        """The scores of a window that moves along a video; arguments and errors are those of `predict` and of
        `stzoo.prediction.timeline.follow`.

        Warns as `predict` does.
        """
        timeline = follow(
            Video(path, frame_rate),
            self.contract,
            self.labels,
            self.scores_of,
            window_seconds=window_seconds,
            hop_seconds=hop_seconds,
        )
        for sentence in timeline.warnings:
            warnings.warn(sentence, VideoWarning, stacklevel=2)
        return timeline

    def _scores(self, video: Video, clips: int | None) -> Float32[np.ndarray, " classes"]:
        read = read_clips(video, self.contract, clips)
        for sentence in read.warnings:
            warnings.warn(sentence, VideoWarning, stacklevel=3)
        return self.scores_of(read.clips)

    def scores_of(self, clips: UInt8[np.ndarray, "clips frames height width 3"]) -> Float32[np.ndarray, " classes"]:
        """What `scores` gives, of clips that have been read already, as `read_clips` reads them.

        Args:
            clips: RGB of the contract's frames and crop; of every clip its `contract.crops` crops, one after another.

        Raises:
            UsageError: the clips are of another kind or shape.
            BundleError: as `predict`.
        """
        _check_clips(clips, self.contract)
        scores = self._runner.scores(np.ascontiguousarray(clips), self.contract)
        if not np.isfinite(scores).all():
            raise BundleError(
                f"the net{f' {self.name}' if self.name else ''} answers with numbers that are not finite; its weights "
                "or its input contract cannot be right"
            )
        return scores.astype(np.float32)


def _check_clips(clips: object, contract: InputContract) -> None:
    """Raises `UsageError` for what is no array of clips that the contract describes."""
    wanted = (contract.frames, contract.crop, contract.crop, 3)
    shape = f"uint8 [{'views' if contract.crops > 1 else 'clips'}, {', '.join(map(str, wanted))}]"
    if not isinstance(clips, np.ndarray):
        raise UsageError(f"clips are given as a NumPy array, {shape}, and these are of type {type(clips).__name__}.")
    if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[1:] != wanted:
        raise UsageError(
            f"this model takes clips as {shape}, and these are {clips.dtype} {list(clips.shape)}; read them as "
            "stzoo.video.reader.read_clips does."
        )
    if len(clips) == 0 or len(clips) % contract.crops:
        crops = f" of {contract.crops} crops each" if contract.crops > 1 else ""
        raise UsageError(f"{len(clips)} views are not one or more clips{crops}; give all that belong to the video.")
