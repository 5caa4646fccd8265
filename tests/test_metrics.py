from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stzoo.metrics import (
    accuracy,
    balanced_accuracy,
    brier,
    calibration,
    confusion,
    log_loss,
    mean_over_sources,
    per_class,
    rank_correlation,
    risk_coverage,
    share,
)


def answers(right: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    scores = np.zeros((n, 3), np.float32)
    scores[:, 1] = 1.0
    return scores, np.array([1] * right + [2] * (n - right))


# Wilson's intervals as Brown, Cai and DasGupta 2001, or statsmodels' `proportion_confint`, give them.
@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (80, 100, 0.7112, 0.8666),
        (3, 8, 0.1368, 0.6943),
        (700, 1000, 0.6709, 0.7276),
        (5, 5, 0.5655, 1.0),
        (0, 9, 0.0, 0.2991),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_shares_have_wilsons_interval(right: int, n: int, low: float, high: float) -> None:
    estimate = accuracy(*answers(right, n))
    assert (estimate.value, estimate.n) == (right / n, n)
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 300), st.data())
def test_an_interval_holds_its_estimate(n: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    estimate = accuracy(*answers(right, n))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
def test_an_interval_over_sources_holds_its_estimate(videos: list[tuple[bool, int]]) -> None:
    right, sources = np.array([one for one, _ in videos]), [str(source) for _, source in videos]
    estimate = share(right, sources)
    assert (estimate.value, estimate.n) == (right.mean(), len(right))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high


def test_clips_of_one_recording_tell_no_more_than_one() -> None:
    right = np.random.default_rng(1).random(60) < 0.7
    alone = share(right)
    assert share(right, [str(row) for row in range(60)]) == alone
    often = share(np.repeat(right, 10), often_sources(60, 10))
    assert (often.low, often.high) == pytest.approx((alone.low, alone.high), abs=0.03)
    assert share(np.ones(20, bool), ["a"] * 10 + ["b"] * 10).low == share(np.ones(2, bool)).low
    scores, labels = drawn(0, 60, 3)
    wide = calibration(*(np.repeat(values, 10, axis=0) for values in (scores, labels)), sources=often_sources(60, 10))
    narrow = calibration(*(np.repeat(values, 10, axis=0) for values in (scores, labels)))
    assert wide.error.value == narrow.error.value
    assert wide.error.high - wide.error.low > 2 * (narrow.error.high - narrow.error.low)


def often_sources(sources: int, times: int) -> list[str]:
    return [str(row // times) for row in range(sources * times)]


def drawn(seed: int, videos: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.ones(classes), videos).astype(np.float32)
    return scores, random.integers(0, classes, videos)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 60), st.integers(2, 8))
def test_the_numbers_agree_with_each_other(seed: int, videos: int, classes: int) -> None:
    scores, labels = drawn(seed, videos, classes)
    top = [accuracy(scores, labels, top=k).value for k in range(1, classes + 1)]
    assert top == sorted(top)
    assert top[-1] == 1.0
    matrix = confusion(scores, labels)
    np.testing.assert_array_equal(matrix.sum(axis=1), np.bincount(labels, minlength=classes))
    assert np.trace(matrix) / videos == pytest.approx(top[0])
    for index, found in enumerate(per_class(scores, labels)):
        if found is None:
            assert matrix[index].sum() == 0
        else:
            assert (found.value, found.n) == (pytest.approx(matrix[index, index] / found.n), matrix[index].sum())
    found = calibration(scores, labels, resamples=10)
    assert found.videos.sum() == videos
    assert found.accuracy @ found.videos / videos == pytest.approx(top[0])
    gaps = np.abs(found.confidence - found.accuracy) @ found.videos / videos
    assert found.error.value <= gaps + 1e-9
    assert 0 <= found.error.low <= found.error.value <= found.error.high <= 1


def test_calibration_of_known_answers() -> None:
    """Ten answers at 0.85 of which eight are right, ten at 0.55 of which none is."""
    scores = np.array([[0.85, 0.15]] * 10 + [[0.55, 0.45]] * 10, dtype=np.float32)
    labels = np.array([0] * 8 + [1] * 2 + [1] * 10)
    found = calibration(scores, labels, bins=10)
    assert found.videos.tolist() == [0, 0, 0, 0, 0, 10, 0, 0, 10, 0]
    np.testing.assert_allclose(found.accuracy[[5, 8]], [0.0, 0.8])
    assert found.error.value == pytest.approx((0.05 + 0.55) / 2, abs=0.03)  # less what chance adds to ten answers
    assert found.error.low < found.error.value < found.error.high


@pytest.mark.parametrize("videos", [100, 400, 2000])
def test_scores_that_keep_their_word_are_calibrated(videos: int) -> None:
    """The plain sum is 0.1 for a hundred videos of a predictor that is calibrated; little of it is left."""
    random = np.random.default_rng(0)
    errors, plain = [], []
    for _ in range(40):
        scores = random.dirichlet(np.ones(3), videos).astype(np.float32)
        labels = (scores.cumsum(axis=1) < random.random((videos, 1))).sum(axis=1).clip(0, 2)
        measured = calibration(scores, labels, resamples=50)
        errors.append(measured.error)
        plain.append(np.abs(measured.confidence - measured.accuracy) @ measured.videos / videos)
    assert np.mean([error.value for error in errors]) < 0.3 * np.mean(plain)
    assert np.mean([error.low < 0.01 for error in errors]) > 0.9


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_the_error_of_few_videos_is_that_of_many(power: float) -> None:
    random = np.random.default_rng(0)

    def measured(videos: int) -> float:
        true = random.dirichlet(np.ones(3), videos)
        labels = (true.cumsum(axis=1) < random.random((videos, 1))).sum(axis=1).clip(0, 2)
        said = true**power
        return calibration((said / said.sum(axis=1, keepdims=True)).astype(np.float32), labels, resamples=2).error.value

    assert np.mean([measured(400) for _ in range(30)]) == pytest.approx(measured(40_000), abs=0.012)


def test_equal_scores_count_in_the_order_of_classes() -> None:
    scores = np.full((2, 4), 0.25, np.float32)
    assert accuracy(scores, np.array([1, 3]), top=2).value == 0.5


def test_videos_of_one_source_count_as_one() -> None:
    values = np.random.default_rng(0).normal(size=40)
    alone = mean_over_sources(values, [str(row) for row in range(40)])
    assert alone.value == pytest.approx(values.mean())
    assert alone.error == pytest.approx(values.std(ddof=1) / np.sqrt(40))
    four_times = mean_over_sources(np.repeat(values, 4), [str(row // 4) for row in range(160)])
    assert four_times == pytest.approx(alone)
    assert np.isnan(mean_over_sources(values, ["one"] * 40).error)


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=30), st.integers(0, 1000))
def test_the_rank_correlation_is_that_of_ranks(numbers: list[int], seed: int) -> None:
    first = np.array(numbers, dtype=np.float64)
    second = np.random.default_rng(seed).normal(size=len(first))
    correlation = rank_correlation(first, second)
    if len(set(numbers)) == 1:
        assert np.isnan(correlation)
        return
    assert -1 - 1e-9 <= correlation <= 1 + 1e-9
    assert rank_correlation(second, first) == pytest.approx(correlation)
    assert rank_correlation(np.exp(first), second) == pytest.approx(correlation)
    assert rank_correlation(first, first) == pytest.approx(1)
    assert rank_correlation(first, -first) == pytest.approx(-1)


def test_a_known_rank_correlation() -> None:
    """Of ranks 1 2 3 4 5 and 2 1 4 3 5 it is 1 - 6 * 4 / (5 * 24)."""
    pairs = np.array([1.0, 2, 3, 4, 5]), np.array([20.0, 10, 40, 30, 50])
    assert rank_correlation(*pairs) == pytest.approx(0.8)


def test_losses_of_known_answers() -> None:
    scores = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]], np.float32)
    loss = log_loss(scores, np.array([0, 1]))
    assert loss.value == pytest.approx(np.log(2) / 2)
    assert loss.low == 0.0
    assert loss.high > loss.value
    assert log_loss(scores, np.array([0, 2])).value == pytest.approx((np.log(2) - np.log(1e-12)) / 2)
    assert brier(scores, np.array([0, 1])).value == pytest.approx((0.25 + 0.0625 * 2) / 2)
    assert brier(scores, np.array([1, 0])).value == pytest.approx((0.25 + 0.5625 + 0.0625 + 2) / 2)


@given(st.integers(1, 60), st.integers(0, 1000), st.sampled_from([0.5, 0.8, 0.95]))
def test_silence_below_a_score_leaves_answers_that_are_right_so_often(n: int, seed: int, precision: float) -> None:
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.full(4, 0.5), n).round(1).astype(np.float32)
    labels = np.where(random.random(n) < 0.9, scores.argmax(axis=1), random.integers(0, 4, n)).astype(np.int64)
    curve = risk_coverage(scores, labels)
    right = scores.argmax(axis=1) == labels
    assert curve.coverage[-1] == 1.0
    assert curve.risk[-1] == pytest.approx(1 - right.mean())
    assert (np.diff(curve.score) < 0).all()
    for score, coverage, risk in zip(curve.score, curve.coverage, curve.risk, strict=True):
        answered = scores.max(axis=1) >= score
        assert coverage == pytest.approx(answered.mean())
        assert risk == pytest.approx(1 - right[answered].mean())
    assert 0 <= curve.area <= 1
    lows = [share(right[scores.max(axis=1) >= score]).low for score in curve.score]
    enough = [score for score, low in zip(curve.score, lows, strict=True) if low >= precision]
    reached = curve.least_score(precision)
    assert (reached is None) == (not enough)
    if reached is not None:
        assert reached[0] == min(enough)
        assert reached[1] == pytest.approx((scores.max(axis=1) >= reached[0]).mean())


def test_the_area_is_that_of_a_known_curve() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]], np.float32)
    curve = risk_coverage(scores, np.array([0, 1, 0, 1]))
    assert curve.risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_balanced_accuracy_counts_classes_and_not_videos() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    scores = np.zeros((100, 2), np.float32)
    scores[:, 0] = 1.0  # always the frequent class
    measured = balanced_accuracy(scores, labels)
    assert (measured.value, measured.n) == (0.5, 100)
    scores[90:95] = (0.0, 1.0)
    assert balanced_accuracy(scores, labels).value == 0.75
    assert balanced_accuracy(scores, labels).low < 0.75 < balanced_accuracy(scores, labels).high


def test_balanced_accuracy_of_right_answers_alone_is_not_certain() -> None:
    measured = balanced_accuracy(np.eye(2, dtype=np.float32)[[0, 1] * 10], np.array([0, 1] * 10))
    assert measured.value == 1.0
    assert 0.8 < measured.low < 0.9
