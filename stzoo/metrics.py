"""What video-level scores say: shares with intervals, the confusion matrix, calibration, losses, means and ranks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

BINS = 15
_SEED, _RESAMPLES = 0, 1000
_LEAST_LIKELIHOOD = 1e-12  # so that no loss is infinite
Z = 1.959964
"""Half the width of a 95 % interval of a normal distribution, in standard deviations."""

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
    """The expected calibration error: the mean distance of confidence and accuracy, weighted by videos.

    Chance alone parts the two in every bin, which makes the sum too large for few videos; what it adds is taken off.
    """


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What is gained by keeping silent below a score: how often answers are wrong, by the share that is answered.

    Reference: El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017, "Selective classification for deep networks".
    """

    score: Float64[np.ndarray, " points"]
    """The least score that is answered, highest first; one a point, and no score twice."""
    coverage: Float64[np.ndarray, " points"]
    """The share of videos that are answered."""
    right: Int64[np.ndarray, " points"]
    """How many of these answers are right."""
    n: int
    """All videos."""

    @property
    def answered(self) -> Int64[np.ndarray, " points"]:
        """How many videos are answered."""
        return np.rint(self.coverage * self.n).astype(np.int64)

    @property
    def risk(self) -> Float64[np.ndarray, " points"]:
        """The share of wrong answers among those that are given."""
        return 1.0 - self.right / self.answered

    @property
    def area(self) -> float:
        """Under the curve: the mean risk over all coverages; 0 where nothing is wrong."""
        return float((self.risk * np.diff(self.coverage, prepend=0.0)).sum())

    def least_score(self, precision: float) -> tuple[float, float] | None:
        """The least score at and above which answers are right that often, with the coverage there.

        The lower end of the 95 % interval of what is right must reach `precision`; None where it nowhere does.
        """
        reached = np.flatnonzero(wilson(self.right / self.answered, self.answered)[0] >= precision)
        return None if not len(reached) else (float(self.score[reached[-1]]), float(self.coverage[reached[-1]]))


def accuracy(scores: Scores, labels: Labels, *, top: int = 1, sources: Sequence[str] = ()) -> Estimate:
    """How often the right class is among the `top` best, with the interval of `share`.

    Classes with equal scores count in their order.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return share((best == labels[:, None]).any(axis=1), sources)


def per_class(scores: Scores, labels: Labels) -> list[Estimate | None]:
    """Top-1 accuracy among the videos of each class; None for a class without any."""
    right = scores.argmax(axis=1) == labels
    return [share(right[labels == index]) if (labels == index).any() else None for index in range(scores.shape[1])]


def confusion(scores: Scores, labels: Labels) -> Int64[np.ndarray, "classes classes"]:
    """Videos by right class (row) and best class (column)."""
    matrix = np.zeros((scores.shape[1],) * 2, dtype=np.int64)
    np.add.at(matrix, (labels, scores.argmax(axis=1)), 1)
    return matrix


def calibration(
    scores: Scores, labels: Labels, *, bins: int = BINS, resamples: int = _RESAMPLES, sources: Sequence[str] = ()
) -> Calibration:
    """The best class's score against how often it is right, with a bootstrap over sources (seed 0).

    Every video is a source of its own where there are no `sources`.
    """
    confidence = scores.max(axis=1).astype(np.float64)
    right = (scores.argmax(axis=1) == labels).astype(np.float64)
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    videos = np.bincount(places, minlength=bins)
    some = np.maximum(videos, 1)
    means = [np.bincount(places, values, minlength=bins) / some for values in (confidence, right)]
    n = len(labels)
    # A bin's part of the error is |sum of (confidence - right)| / n, so a resample needs that sum alone.
    columns = np.stack([confidence - right, confidence * (1.0 - confidence)])

    def error(drawn: Int64[np.ndarray, " drawn"]) -> float:
        parts, variances = (np.bincount(places[drawn], column[drawn], minlength=bins) for column in columns)
        return _without_chance(parts / len(drawn), variances / len(drawn) ** 2)

    value = error(np.arange(n))
    errors = np.array([error(drawn) for drawn in _resampled(sources or range(n), resamples)])
    low, _, high = np.sort(
        np.clip(value + np.append(np.percentile(errors, [2.5, 97.5]) - errors.mean(), 0.0), 0.0, 1.0)
    )
    return Calibration(means[0], means[1], videos, Estimate(max(0.0, value), low, high, n))


def _without_chance(parts: Float64[np.ndarray, " bins"], variances: Float64[np.ndarray, " bins"]) -> float:
    """The sum of the parts' sizes, less what chance adds to it: negative where it is less than chance would give.

    What chance adds to a part is known where its true size is; that is taken to be its measured size, shrunk by as much
    as the squares of all parts exceed their variances (James and Stein 1961).
    """
    square = float(np.square(parts).sum())
    sizes = np.abs(parts) * max(0.0, 1.0 - float(variances.sum()) / square if square > 0 else 0.0)
    deviations = np.sqrt(np.maximum(variances, 1e-30))
    ratios = sizes / deviations
    normal = np.exp(-np.square(ratios) / 2) * math.sqrt(2 / math.pi)
    expected = deviations * normal + sizes * np.array([math.erf(ratio / math.sqrt(2)) for ratio in ratios.tolist()])
    return float((np.abs(parts) - (expected - sizes)).sum())


def share(right: Bool[np.ndarray, " videos"], sources: Sequence[str] = ()) -> Estimate:
    """A share of right answers with its 95 % interval, which has a width also where all are right or none.

    Where several videos come from one source, which are right or wrong together, the interval is that of a bootstrap
    over sources (percentiles, seed 0). Otherwise, and where all sources are alike, it is Wilson's with as many answers
    as there are sources.

    Reference: Wilson 1927; Brown, Cai and DasGupta 2001 recommend it. Davison and Hinkley 1997, section 3.8, for whole
    clusters.
    """
    n, value = len(right), float(right.mean())
    independent = len(set(sources)) if sources else n
    low = high = value
    if independent < n:
        low, high = np.percentile([right[drawn].mean() for drawn in _resampled(sources, _RESAMPLES)], [2.5, 97.5])
    if low == high:
        (low,), (high,) = wilson(np.array([value]), np.array([independent]))
    return Estimate(value, float(min(value, low)), float(max(value, high)), n)


def balanced_accuracy(scores: Scores, labels: Labels, *, sources: Sequence[str] = ()) -> Estimate:
    """The mean over classes of the share of their videos that are right, whatever their numbers.

    Its 95 % interval is that of a bootstrap over sources (percentiles, seed 0), or over videos; where it has no width,
    Wilson's with as many answers as there are of these.
    """
    right = (scores.argmax(axis=1) == labels).astype(np.float64)

    def mean(rows: Int64[np.ndarray, " drawn"]) -> float:
        counts = np.bincount(labels[rows])
        shares = np.bincount(labels[rows], right[rows])[counts > 0] / counts[counts > 0]
        return float(shares.mean())

    n = len(labels)
    value = mean(np.arange(n))
    drawn = [mean(rows) for rows in _resampled(sources or range(n), _RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    if low == high:
        (low,), (high,) = wilson(np.array([value]), np.array([len(set(sources or range(n)))]))
    return Estimate(value, float(min(value, low)), float(max(value, high)), n)


def wilson(
    value: Float64[np.ndarray, " shares"], n: Int64[np.ndarray, " shares"]
) -> tuple[Float64[np.ndarray, " shares"], Float64[np.ndarray, " shares"]]:
    """The ends of Wilson's 95 % interval of shares of `n` each."""
    middle = (value + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * np.sqrt(value * (1 - value) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return np.maximum(0.0, np.minimum(value, middle - half)), np.minimum(1.0, np.maximum(value, middle + half))


def log_loss(scores: Scores, labels: Labels, *, sources: Sequence[str] = ()) -> Estimate:
    """The mean negative logarithm of the right class's score, in nats; a score of 0 counts as 1e-12."""
    likelihoods = scores[np.arange(len(labels)), labels].astype(np.float64)
    return _mean(-np.log(np.maximum(likelihoods, _LEAST_LIKELIHOOD)), -math.log(_LEAST_LIKELIHOOD), sources)


def brier(scores: Scores, labels: Labels, *, sources: Sequence[str] = ()) -> Estimate:
    """The mean squared distance of the scores from the right class's ones and zeros: 0 at best, 2 at worst.

    Reference: Brier 1950.
    """
    wanted = np.eye(scores.shape[1])[labels]
    return _mean(np.square(scores.astype(np.float64) - wanted).sum(axis=1), 2.0, sources)


def _mean(values: Float64[np.ndarray, " videos"], most: float, sources: Sequence[str]) -> Estimate:
    """A mean of values from 0 to `most`, with its normal 95 % interval over sources; all of that range for one."""
    mean = mean_over_sources(values, sources or [str(row) for row in range(len(values))])
    half = most if math.isnan(mean.error) else Z * mean.error
    return Estimate(mean.value, max(0.0, mean.value - half), max(mean.value, min(most, mean.value + half)), len(values))


def risk_coverage(scores: Scores, labels: Labels) -> RiskCoverage:
    """Of answers by the best class's score: one point for every score that occurs."""
    confidence = scores.max(axis=1).astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum(scores.argmax(axis=1)[order] == labels[order])
    ordered = confidence[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    n = len(labels)
    return RiskCoverage(ordered[last], (last + 1) / n, right[last].astype(np.int64), n)


def _resampled(sources: Sequence[object], resamples: int) -> Iterator[Int64[np.ndarray, " drawn"]]:
    """The rows of all videos of as many sources, drawn with replacement."""
    members: dict[object, list[int]] = {}
    for row, source in enumerate(sources):
        members.setdefault(source, []).append(row)
    random = np.random.default_rng(_SEED)
    counts = np.array([len(rows) for rows in members.values()])
    starts = np.cumsum(counts) - counts
    rows = np.concatenate([np.array(rows, dtype=np.int64) for rows in members.values()])
    for _ in range(resamples):
        drawn = random.integers(0, len(counts), len(counts))
        lengths = counts[drawn]
        ends = np.cumsum(lengths)
        yield rows[np.repeat(starts[drawn] - ends + lengths, lengths) + np.arange(ends[-1])]


class Mean(NamedTuple):
    """A mean over videos and its standard error."""

    value: float
    error: float

    @property
    def known_error(self) -> float | None:
        """The standard error; None, and not nan, where there is none."""
        return None if math.isnan(self.error) else self.error

    def estimate(self, n: int) -> Estimate:
        """The same with its 95 % interval over n videos."""
        return Estimate(self.value, self.value - Z * self.error, self.value + Z * self.error, n)


def mean_over_sources(values: Float64[np.ndarray, " videos"], sources: Sequence[str]) -> Mean:
    """The mean over videos, whose standard error takes videos of one source to be right or wrong together.

    The error is nan where there is only one source.

    Reference: Liang and Zeger 1986, with the correction G / (G - 1) for G sources.
    """
    value = float(values.mean())
    _, places = np.unique(np.array(sources), return_inverse=True)
    residuals = np.bincount(places, values - value)
    count = len(residuals)
    if count < 2:
        return Mean(value, math.nan)
    return Mean(value, math.sqrt(count / (count - 1) * float(np.square(residuals).sum())) / len(values))


def rank_correlation(first: Float64[np.ndarray, " pairs"], second: Float64[np.ndarray, " pairs"]) -> float:
    """Spearman's: the correlation of ranks, in which equal values share the mean of theirs; nan where all are equal."""
    ranks = [_ranks(values) for values in (first, second)]
    deviations = [values - values.mean() for values in ranks]
    scale = math.sqrt(float(np.square(deviations[0]).sum() * np.square(deviations[1]).sum()))
    return float((deviations[0] * deviations[1]).sum()) / scale if scale > 0 else math.nan


def _ranks(values: Float64[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places], dtype=np.float64)
