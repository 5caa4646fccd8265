"""Video file -> scores: a net together with the way it wants to see and the names of its classes."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from stzoo.contract import InputContract
from stzoo.errors import BundleError, UsageError
from stzoo.evaluation import clip_scores
from stzoo.nets import is_template, merge
from stzoo.strategy import Strategy
from stzoo.timeline import Timeline, follow
from stzoo.video.reader import read_clips

_CLIPS_A_BATCH_ON_GPU = 8


class VideoWarning(UserWarning):
    """A prediction was made from less than the whole video: the file is cut off or damaged."""


class _Merged(NamedTuple):
    """A merged net, and which tensors it was made of: their ids, and how often each had been written to."""

    made_of: list[tuple[int, int]]
    net: nn.Module


class Prediction(NamedTuple):
    """A class and its probability, between 0 and 1."""

    label: str
    score: float


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """A fixed net that takes video files. The attributes can be read and not set; `to` gives one on another device.

    Raises:
        UsageError: the net is a template, or the device does not exist.
    """

    net: nn.Module = dataclasses.field(repr=False)
    """Takes float32 [clips, 3, frames, height, width] and gives logits [clips, classes]; in eval mode, on `device`.

    `predict` and `scores` run a merged copy of it, made at their first call and again when a weight has changed, so the
    weights are held twice. With forward hooks on any of its modules the net itself is run.
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
    _merged: _Merged | None = dataclasses.field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if is_template(self.net):
            raise UsageError("a template has random outputs and cannot predict; prune a strategy out of it first.")
        object.__setattr__(self, "labels", tuple(self.labels))
        device = _found(self.device)
        object.__setattr__(self, "device", device)
        self.net.eval().to(device)

    def to(self, device: torch.device | str | None) -> Predictor:
        """The same predictor on another device; the net itself moves there."""
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
        if topk < 1:
            raise UsageError(f"the best {topk} classes were asked for; ask for at least 1.")
        return self.best(self._scores(path, clips, frame_rate), topk)

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
        return self._scores(path, clips, frame_rate)

    def timeline(
        self,
        path: Path | str,
        window_seconds: float = 2.0,
        hop_seconds: float = 1.0,
        *,
        frame_rate: float | None = None,
    ) -> Timeline:
        """The scores of a window that moves along a video; arguments and errors are those of `stzoo.timeline.follow`.

        Warns as `predict` does.
        """
        found = follow(
            path,
            self.contract,
            self.labels,
            self.scores_of,
            window_seconds=window_seconds,
            hop_seconds=hop_seconds,
            frame_rate=frame_rate,
        )
        for sentence in found.warnings:
            warnings.warn(sentence, VideoWarning, stacklevel=2)
        return found

    def _scores(self, path: Path | str, clips: int | None, frame_rate: float | None) -> Float32[np.ndarray, " classes"]:
        read = read_clips(path, self.contract, clips, frame_rate=frame_rate)
        for sentence in read.warnings:
            warnings.warn(sentence, VideoWarning, stacklevel=3)
        return self.scores_of(read.clips)

    def scores_of(self, clips: UInt8[np.ndarray, "clips frames height width 3"]) -> Float32[np.ndarray, " classes"]:
        """What `scores` gives, of clips that have been read already, as `read_clips` reads them."""
        device = _found(self.device)
        net = self._net_to_run()
        # One clip at a time on a CPU: a batch is no faster there and takes more memory.
        step = 1 if device.type == "cpu" else _CLIPS_A_BATCH_ON_GPU
        total = np.zeros(len(self.labels), dtype=np.float64)
        with torch.inference_mode():
            for start in range(0, len(clips), step):
                batch = torch.from_numpy(clips[start : start + step]).to(device)
                total += clip_scores(net, batch, self.contract).sum(dim=0).cpu().numpy()
        if not np.isfinite(total).all():
            raise BundleError(
                f"the net{f' {self.name}' if self.name else ''} answers with numbers that are not finite; its weights "
                "or its input contract cannot be right"
            )
        return np.asarray(total / len(clips), dtype=np.float32)

    def _net_to_run(self) -> nn.Module:
        if any(module._forward_hooks or module._forward_pre_hooks for module in self.net.modules()):
            return self.net
        tensors = (*self.net.parameters(), *self.net.buffers())
        made_of = [(id(tensor), 0 if tensor.is_inference() else tensor._version) for tensor in tensors]
        if self._merged is None or self._merged.made_of != made_of:
            object.__setattr__(self, "_merged", _Merged(made_of, merge(self.net)))
        assert self._merged is not None
        return self._merged.net


def _found(device: torch.device | str | None) -> torch.device:
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f'there is no device "{device}"; choose auto, cpu or cuda.') from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"the device {device} was asked for and torch finds no such GPU here; choose auto or cpu.")
    return found
