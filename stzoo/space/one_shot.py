"""One-shot answers: what the net of a strategy says that is pruned out of a template, nothing trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8
from torch import Tensor

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.inference import video_scores
from stzoo.nets.classifier import Classifier
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.strategies.strategy import Strategy

_LEAST = 1e-12  # a likelihood, so that no loss is infinite


class SelectionScore(NamedTuple):
    """Accuracy and mean cross-entropy in nats of a fixed net on the selection split, as a file of scores holds them."""

    accuracy: float
    cross_entropy: float

    @property
    def sort_key(self) -> tuple[float, float]:
        """Is least for the best net: that with least cross-entropy, and of equal ones the most accurate.

        Accuracy alone takes half a dozen values among good strategies, and cross-entropy on the same videos tells more
        of them: chosen by it, strategies are better on other videos.
        """
        return self.cross_entropy, -self.accuracy


class Answers(NamedTuple):
    """What nets say of some videos: how likely each video's own class is, and whether it is the likeliest."""

    likelihoods: Float32[np.ndarray, "*nets videos"]
    right: Bool[np.ndarray, "*nets videos"]

    @classmethod
    def of(cls, scores: Float32[np.ndarray, "*nets videos classes"], labels: Int64[np.ndarray, " videos"]) -> Answers:
        """What these scores say of videos of these classes."""
        return cls(scores[..., np.arange(len(labels)), labels], scores.argmax(axis=-1) == labels)

    @property
    def losses(self) -> Float64[np.ndarray, "*nets videos"]:
        """The cross-entropy of every video in nats."""
        return -np.log(np.maximum(self.likelihoods.astype(np.float64), _LEAST))

    def score(self) -> SelectionScore:
        """The means over all videos of one net, rounded as a file holds them."""
        return SelectionScore(round(float(self.right.mean()), 6), round(float(self.losses.mean()), 6))


@dataclass(frozen=True, eq=False)
class SelectionClips:
    """The clips that strategies are compared on, and how a net's batch norm is prepared for them.

    A net is given `at_once` clips at most. `calibration` gives the batches of training clips that batch-norm statistics
    are re-estimated from; None keeps the template's. `sources` are the videos' own.
    """

    clips: UInt8[np.ndarray, "videos clips frames height width 3"]
    labels: Int64[np.ndarray, " videos"]
    contract: InputContract
    device: torch.device
    calibration: Callable[[], Iterator[Float[Tensor, "clips 3 frames height width"]]] | None
    at_once: int = 64
    sources: Sequence[str] = ()

    def answers(
        self, net: Callable[[Tensor], Tensor], rows: Int64[np.ndarray, " rows"] | slice = slice(None)
    ) -> Answers:
        """What a net, or several that take the same clips, says of the videos in these rows."""
        scores = video_scores(net, self.clips[rows], self.contract, device=self.device, at_once=self.at_once)
        return Answers.of(scores, self.labels[rows])


def pruned(template: Classifier, strategy: Strategy, data: SelectionClips) -> Classifier:
    """The strategy's fixed net in eval mode, with batch-norm statistics of its own unless the template's are kept."""
    net = nets.prune(template, strategy).eval()
    if data.calibration is not None:
        reestimate_batch_norm(net, data.calibration())
    return net


def one_shot_score(template: Classifier, strategy: Strategy, data: SelectionClips) -> SelectionScore:
    """What a strategy reaches that is pruned out of the template, its batch norm re-estimated, nothing trained."""
    return data.answers(pruned(template, strategy, data)).score()
