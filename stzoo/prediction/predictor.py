"""Video -> scores: a net together with the way it wants to see and the names of its classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from jaxtyping import Float32, Float64

import stzoo
from stzoo.bundle.confidence import Confidence
from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.prediction.answers import Prediction, warn_of
from stzoo.prediction.clips import Clips, OfClips, mean_of_each
from stzoo.prediction.confidence import tempered
from stzoo.prediction.stream import Stream
from stzoo.prediction.timeline import Timeline, follow
from stzoo.runtimes import Precision, Runner, Runtime, Session, clips_at_once, refuse_forked, times_forked
from stzoo.strategies.strategy import Strategy
from stzoo.video.given import Channels, Fps, VideoLike, VideosLike, are_several, given_video, given_videos
from stzoo.video.reader import read_clips
from stzoo.video.video import Video

if TYPE_CHECKING:
    import torch
    from torch import nn

Many = Sequence[VideoLike]


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """A fixed net that takes videos. The attributes can be read and not set; `to` gives one on another device.

    Raises:
        UsageError: the net is a template, the device does not exist, or an ONNX file takes other clips than the
            contract says; and from every method in a process that was forked after the model was used.
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
    confidence: Confidence | None = dataclasses.field(default=None, kw_only=True, repr=False)
    """What the scores are calibrated with; None leaves them as the net gives them."""
    _runner: Runner = dataclasses.field(init=False, repr=False)
    _first_used: int | None = dataclasses.field(default=None, init=False, repr=False)
    """After how many forks: threads that compute do not come along with one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        runner: Runner
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
        if isinstance(runner, Session):  # whose threads start with it
            object.__setattr__(self, "_first_used", times_forked())

    def _repr_html_(self) -> str | None:
        return stzoo.notebook_html(self)

    @property
    def _running(self) -> Runner:
        """What runs the net. Raises `UsageError` in a process that was forked after it ran."""
        if self._first_used is None:
            object.__setattr__(self, "_first_used", times_forked())
        refuse_forked(self._first_used, self.name)
        return self._runner

    @property
    def runtime(self) -> Runtime:
        """What the net runs on."""
        return self.net.runtime if isinstance(self.net, Session) else "torch"

    @property
    def precision(self) -> Precision:
        """What the net's numbers are computed in."""
        return self.net.precision if isinstance(self.net, Session) else "fp32"

    @property
    def nets(self) -> int:
        """How many nets are averaged; 1 where it is one."""
        return self._runner.nets

    def to(self, device: torch.device | str | None) -> Predictor:
        """The same predictor on another device; the net itself moves there.

        Raises `UsageError` for a device that does not exist, and on another runtime than torch.
        """
        if isinstance(self.net, Session):
            raise UsageError(
                f"a model on {self.runtime} stays on its device; load it anew with device={str(device)!r}."
            )
        return dataclasses.replace(self, device=device)

    @overload
    def predict(  # type: ignore[overload-overlap]  # a list of single frames is one video
        self, video: VideoLike, topk: int = 5, clips: int | None = None, *, fps: Fps = None, channels: Channels = "rgb"
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self, video: Many, topk: int = 5, clips: int | None = None, *, fps: Fps = None, channels: Channels = "rgb"
    ) -> list[list[Prediction]]: ...

    def predict(
        self, video: VideosLike, topk: int = 5, clips: int | None = None, *, fps: Fps = None, channels: Channels = "rgb"
    ) -> list[Prediction] | list[list[Prediction]]:
        """The `topk` most probable classes of a video, best first; all of them where there are fewer.

        Args:
            video: a path (a file, a folder of frames, either in a zip file), the bytes of a file, a binary file that
                is open, uint8 frames, or an object that decodes, as `stzoo.video.given.VideoLike` has them all; or a
                list of any of these, which gives a list, in its order.
            topk: how many classes, at least 1.
            clips: clips spread uniformly over the video; by default as many as the net's contract says.
            fps: frames a second of frames, in a folder or in memory; files and decoders say their own.
            channels: `bgr` where frames in memory have OpenCV's order of colours.

        Raises:
            VideoError: the video cannot be read; the sentence says why.
            BundleError: the net answers with numbers that are not finite.
            UsageError: `topk` or `clips` is below 1, what was given is no video, or frames lack the `fps` that the
                contract needs.

        Warns:
            VideoWarning: the file is cut off or damaged, and the prediction is about the part that can be decoded.
        """
        number: object = topk
        if not isinstance(number, int | np.integer) or topk < 1:
            raise UsageError(f"the best {topk} classes were asked for; ask for at least 1.")
        found = [self.best(scores, topk) for scores in self._scores(given_videos(video, fps, channels), clips)]
        return found if are_several(video) else found[0]

    def embed(
        self, video: VideosLike, clips: int | None = None, *, fps: Fps = None, channels: Channels = "rgb"
    ) -> Float32[np.ndarray, "*videos numbers"]:
        """What a video is like, as a vector: the mean over its clips of what enters the classifier.

        A list of videos gives a row for each. Arguments, errors and warnings are those of `predict`; `UsageError` also
        for a net that does not show what enters its classifier.
        """
        found = list(self._means(self._running.clip_vectors, given_videos(video, fps, channels), clips))
        return np.stack(found) if are_several(video) else found[0]

    def features(
        self, video: VideoLike, clips: int | None = None, *, fps: Fps = None, channels: Channels = "rgb"
    ) -> dict[str, Float32[np.ndarray, "clips _channels _frames _height _width"]]:
        """What leaves every stage of the net, by the stage's name, for every clip of one video; in torch alone.

        Arguments, errors and warnings are those of `predict`; `UsageError` also on another runtime.
        """
        runner = self._running
        if isinstance(runner, Session):
            raise UsageError(f"{self.runtime} shows no stages of a net; load it with the runtime torch.")
        from stzoo.runtimes.torch_net import TorchNet

        assert isinstance(runner, TorchNet)
        return runner.stage_features(self._read(given_video(video, fps, channels), clips), self.contract)

    def best(self, scores: Float32[np.ndarray, " classes"], topk: int) -> list[Prediction]:
        """The `topk` classes with the highest scores, best first."""
        ranked = np.argsort(-scores, kind="stable")[:topk]
        return [Prediction(self.labels[index], float(scores[index])) for index in ranked.tolist()]

    def scores(
        self, video: VideosLike, clips: int | None = None, *, fps: Fps = None, channels: Channels = "rgb"
    ) -> Float32[np.ndarray, "*videos classes"]:
        """The probability of every class: the mean over the clips of the softmax of the logits.

        A list of videos gives a row for each. Arguments, errors and warnings are those of `predict`.
        """
        found = list(self._scores(given_videos(video, fps, channels), clips))
        return np.stack(found) if are_several(video) else found[0]

    @overload
    def timeline(  # type: ignore[overload-overlap]
        self,
        video: VideoLike,
        window_seconds: float = 2.0,
        hop_seconds: float = 1.0,
        *,
        fps: Fps = None,
        channels: Channels = "rgb",
        clips: int | None = None,
    ) -> Timeline: ...

    @overload
    def timeline(
        self,
        video: Many,
        window_seconds: float = 2.0,
        hop_seconds: float = 1.0,
        *,
        fps: Fps = None,
        channels: Channels = "rgb",
        clips: int | None = None,
    ) -> list[Timeline]: ...

    def timeline(
        self,
        video: VideosLike,
        window_seconds: float = 2.0,
        hop_seconds: float = 1.0,
        *,
        fps: Fps = None,
        channels: Channels = "rgb",
        clips: int | None = None,
    ) -> Timeline | list[Timeline]:
        """The scores of a window that moves along a video; arguments, errors and warnings are those of `predict` and
        `stzoo.prediction.timeline.follow`.
        """
        several = are_several(video)
        timelines = [
            follow(each, self.contract, self.labels, self.scores_of, window_seconds, hop_seconds, clips)
            for each in given_videos(video, fps, channels)
        ]
        warn_of(sentence for timeline in timelines for sentence in timeline.warnings)
        return timelines if several else timelines[0]

    def stream(
        self,
        fps: Fps = None,
        window_seconds: float = 2.0,
        hop_seconds: float = 1.0,
        *,
        channels: Channels = "rgb",
        clips: int | None = None,
    ) -> Stream:
        """A window that moves along frames that come one at a time; arguments and errors are those of `Stream`."""
        lengths = window_seconds, hop_seconds
        return Stream(self.contract, self.labels, self.scores_of, fps, *lengths, channels, clips=clips)

    def _means(
        self, of_clips: OfClips, videos: Iterable[Video], clips: int | None
    ) -> Iterator[Float32[np.ndarray, " numbers"]]:
        """What the net says of every video; on a GPU it is given the clips of several at a time."""
        read = (self._read(video, clips) for video in videos)
        at_once = clips_at_once(str(self.device).partition(":")[0])
        return mean_of_each(of_clips, read, self.contract, self.name, at_once=at_once)

    def _scores(self, videos: Iterable[Video], clips: int | None) -> Iterator[Float32[np.ndarray, " classes"]]:
        return (numbers.reshape(self.nets, -1).mean(axis=0) for numbers in self._means(self.clip_scores, videos, clips))

    def clip_scores(self, clips: Clips, contract: InputContract) -> Float64[np.ndarray, "views numbers"]:
        """Of every view the scores of each net, one after the other, at the temperature where there is one."""
        each = self._running.each_clip_scores(clips, contract)
        return np.concatenate(each if self.confidence is None else tempered(each, self.confidence.temperature), axis=1)

    def _read(self, video: Video, clips: int | None) -> Clips:
        read = read_clips(video, self.contract, clips)
        warn_of(read.warnings)
        return read.clips

    def vector_of(self, clips: Clips) -> Float32[np.ndarray, " numbers"]:
        """What `embed` gives, of clips that have been read already, as `scores_of` takes them."""
        return next(mean_of_each(self._running.clip_vectors, [clips], self.contract, self.name))

    def scores_of(self, clips: Clips) -> Float32[np.ndarray, " classes"]:
        """What `scores` gives, of clips that have been read already, as `read_clips` reads them.

        Args:
            clips: RGB of the contract's frames and crop; of every clip its `contract.crops` crops, one after another.

        Raises:
            UsageError: the clips are of another kind or shape.
            BundleError: as `predict`.
        """
        return self.scores_of_each_net(clips).mean(axis=0)

    def scores_of_each_net(self, clips: Clips) -> Float32[np.ndarray, "nets classes"]:
        """What `scores_of` averages, where several nets are averaged; else one row."""
        numbers = next(mean_of_each(self.clip_scores, [clips], self.contract, self.name))
        return numbers.reshape(self.nets, -1)
