"""How far scores are to be believed, fitted on labelled videos: a temperature, and thresholds for wanted precisions.

Reference: Guo et al. 2017, "On calibration of modern neural networks", section 4.2; of several nets the probabilities
are averaged after the temperature.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from stzoo import metrics
from stzoo.bundle.confidence import Confidence, Threshold

PRECISIONS = (0.8, 0.9, 0.95, 0.98, 0.99)
"""Those that a threshold is looked for, besides what a user asks for."""

_TEMPERATURES = (0.05, 20.0)
_STEPS, _ROUNDS = 41, 4
_LEAST = 1e-300
_MARGIN = 1e-3
"""Below the least of all scores: as far as runtimes may differ from torch, as `stzoo verify` has it."""

ClipScores = Float64[np.ndarray, "nets _clips classes"]


def tempered(scores: ClipScores, temperature: float) -> ClipScores:
    """The softmax of logits divided by a temperature, from the softmax of the logits themselves."""
    logarithms = np.log(np.maximum(scores, _LEAST)) / temperature
    powers = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def fit(
    clip_scores: Sequence[ClipScores], labels: Int64[np.ndarray, " videos"], data: str, precisions: Sequence[float] = ()
) -> Confidence:
    """The temperature of least log loss, and the thresholds that the videos show with it.

    Args:
        clip_scores: of every video, what each net says of each clip.
        labels: the right classes.
        data: what the videos are called.
        precisions: that thresholds are looked for, besides `PRECISIONS`.
    """
    low, high = np.log(_TEMPERATURES)
    best = 0.0
    for _ in range(_ROUNDS):  # the loss falls towards the best temperature from both sides
        tried = np.linspace(low, high, _STEPS)
        losses = [metrics.log_loss(of_videos(clip_scores, float(np.exp(one))), labels).value for one in tried]
        place = int(np.argmin(losses))
        best = float(tried[place])
        low, high = tried[max(place - 1, 0)], tried[min(place + 1, _STEPS - 1)]
    temperature = round(float(np.exp(best)), 4)
    return Confidence(
        nets=len(clip_scores[0]),
        temperature=temperature,
        thresholds=thresholds(of_videos(clip_scores, temperature), labels, precisions),
        videos=len(labels),
        data=data,
    )


def thresholds(
    scores: Float32[np.ndarray, "videos classes"],
    labels: Int64[np.ndarray, " videos"],
    precisions: Sequence[float] = (),
) -> tuple[Threshold, ...]:
    """Those of `PRECISIONS` and of the given precisions that the videos show, lowest precision first."""
    curve = metrics.risk_coverage(scores, labels)
    shown = []
    for precision in sorted({*PRECISIONS, *precisions}):
        if (reached := curve.least_score(precision)) is not None:
            score, coverage = reached
            shown.append(Threshold(precision=precision, score=_below(score, curve.score), coverage=coverage))
    return tuple(shown)


def _below(score: float, scores: Float64[np.ndarray, " points"]) -> float:
    """Halfway to the next lower score, where there is one: a runtime that rounds otherwise decides the same."""
    lower = scores[scores < score]
    return (score + float(lower.max())) / 2 if len(lower) else max(0.0, score - _MARGIN)


def of_videos(clip_scores: Sequence[ClipScores], temperature: float) -> Float32[np.ndarray, "videos classes"]:
    """What is said of every video at a temperature: the mean over its clips and nets."""
    clips = np.array([scores.shape[1] for scores in clip_scores])
    first = np.cumsum(clips) - clips
    sums = np.add.reduceat(tempered(np.concatenate(clip_scores, axis=1), temperature), first, axis=1)
    return (sums / clips[:, None]).mean(axis=0).astype(np.float32)
