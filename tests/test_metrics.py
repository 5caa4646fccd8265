from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stzoo.metrics import accuracy, calibration, confusion, per_class


def answers(right: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    scores = np.zeros((n, 3), np.float32)
    scores[:, 1] = 1.0
    return scores, np.array([1] * right + [2] * (n - right))


@pytest.mark.parametrize(("right", "n"), [(80, 100), (3, 8), (700, 1000)])
def test_the_interval_is_that_of_a_bootstrap_over_videos(right: int, n: int) -> None:
    scores, labels = answers(right, n)
    found = accuracy(scores, labels)
    assert found.value == right / n
    assert found.n == n
    resampled = np.random.default_rng(1).choice(labels == 1, size=(4000, n)).mean(1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=1.01 / n + 0.003)
    assert found.high == pytest.approx(high, abs=1.01 / n + 0.003)
    assert accuracy(scores, labels) == found


@pytest.mark.parametrize(("right", "value"), [(0, 0.0), (9, 1.0)])
def test_where_all_answers_agree_the_interval_is_a_point(right: int, value: float) -> None:
    found = accuracy(*answers(right, 9))
    assert (found.value, found.low, found.high) == (value, value, value)


def drawn(seed: int, videos: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.ones(classes), videos).astype(np.float32)
    return scores, random.integers(0, classes, videos)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 60), st.integers(2, 8))
def test_the_numbers_agree_with_each_other(seed: int, videos: int, classes: int) -> None:
    scores, labels = drawn(seed, videos, classes)
    top = [accuracy(scores, labels, top=k, resamples=10).value for k in range(1, classes + 1)]
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
    assert found.error.value == pytest.approx(gaps)


def test_calibration_of_known_answers() -> None:
    """Ten answers at 0.85 of which eight are right, ten at 0.55 of which none is."""
    scores = np.array([[0.85, 0.15]] * 10 + [[0.55, 0.45]] * 10, dtype=np.float32)
    labels = np.array([0] * 8 + [1] * 2 + [1] * 10)
    found = calibration(scores, labels, bins=10)
    assert found.videos.tolist() == [0, 0, 0, 0, 0, 10, 0, 0, 10, 0]
    np.testing.assert_allclose(found.accuracy[[5, 8]], [0.0, 0.8])
    assert found.error.value == pytest.approx((0.05 + 0.55) / 2, abs=1e-6)
    assert found.error.low < found.error.value < found.error.high


def test_scores_that_keep_their_word_are_calibrated() -> None:
    random = np.random.default_rng(0)
    scores = random.dirichlet(np.ones(3), 20_000).astype(np.float32)
    labels = (scores.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1).clip(0, 2)
    assert calibration(scores, labels, resamples=2).error.value < 0.02


def test_equal_scores_count_in_the_order_of_classes() -> None:
    scores = np.full((2, 4), 0.25, np.float32)
    assert accuracy(scores, np.array([1, 3]), top=2).value == 0.5
