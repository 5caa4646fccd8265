"""What video-level scores say: accuracies with intervals, the confusion matrix and the calibration. Plain numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

BINS = 15
_SEED, _RESAMPLES = 0, 2000

Scores = Float32[np.ndarray, "videos classes"]
Labels = Int64[np.ndarray, " videos"]


@dataclass(frozen=True)
class Estimate:
    """A value measured on `n` videos, such as a share of right answers, and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often answers given with a certain confidence are right: one entry a bin of equal width from 0 to 1.

    Reference: Guo et al. 2017, "On calibration of modern neural networks", section 2.
    """

    confidence: Float64[np.ndarray, " bins"]
    """Mean score of the best class; 0 in a bin without videos."""
    accuracy: Float64[np.ndarray, " bins"]
    """Share of right answers; 0 in a bin without videos."""
    videos: Int64[np.ndarray, " bins"]
    error: Estimate
    """The expected calibration error: the mean distance of confidence and accuracy, weighted by videos."""


def accuracy(scores: Scores, labels: Labels, *, top: int = 1, resamples: int = _RESAMPLES) -> Estimate:
    """How often the right class is among the `top` best, with a percentile bootstrap over videos (seed 0).

    Classes with equal scores count in their order.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return _share((best == labels[:, None]).any(axis=1), resamples)


def per_class(scores: Scores, labels: Labels) -> list[Estimate | None]:
    """Top-1 accuracy among the videos of each class; None for a class without any."""
    right = scores.argmax(axis=1) == labels
    return [
        _share(right[labels == index], _RESAMPLES) if (labels == index).any() else None
        for index in range(scores.shape[1])
    ]


def confusion(scores: Scores, labels: Labels) -> Int64[np.ndarray, "classes classes"]:
    """Videos by right class (row) and best class (column)."""
    matrix = np.zeros((scores.shape[1],) * 2, dtype=np.int64)
    np.add.at(matrix, (labels, scores.argmax(axis=1)), 1)
    return matrix


def calibration(scores: Scores, labels: Labels, *, bins: int = BINS, resamples: int = 1000) -> Calibration:
    """The best class's score against how often it is right, with a percentile bootstrap over videos (seed 0)."""
    confidence = scores.max(axis=1).astype(np.float64)
    right = (scores.argmax(axis=1) == labels).astype(np.float64)
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    videos = np.bincount(places, minlength=bins)
    some = np.maximum(videos, 1)
    means = [np.bincount(places, values, minlength=bins) / some for values in (confidence, right)]
    n = len(labels)
    # A bin's part of the error is |sum of (confidence - right)| / n, so a resample needs that sum alone.
    distances = confidence - right
    random = np.random.default_rng(_SEED)
    errors = []
    for _ in range(resamples):
        drawn = random.integers(0, n, n)
        errors.append(np.abs(np.bincount(places[drawn], distances[drawn], minlength=bins)).sum() / n)
    low, high = np.percentile(errors, [2.5, 97.5])
    value = float(np.abs(np.bincount(places, distances, minlength=bins)).sum() / n)
    return Calibration(means[0], means[1], videos, Estimate(value, float(low), float(high), n))


def _share(right: Bool[np.ndarray, " videos"], resamples: int) -> Estimate:
    share = float(right.mean())
    counts = np.random.default_rng(_SEED).binomial(len(right), share, size=resamples)
    low, high = np.percentile(counts / len(right), [2.5, 97.5])
    return Estimate(share, float(low), float(high), len(right))
