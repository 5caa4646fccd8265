from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo import metrics
from stzoo.prediction.confidence import fit, of_videos, tempered


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@given(st.floats(0.1, 10), st.integers(0, 1000))
def test_scores_at_a_temperature_are_the_softmax_of_logits_divided_by_it(temperature: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 5, (2, 3, 4))
    np.testing.assert_allclose(tempered(softmax(logits), temperature), softmax(logits / temperature), atol=1e-12)


def test_a_score_of_nothing_stays_one() -> None:
    assert tempered(np.array([[[1.0, 0.0]]]), 5.0).tolist() == [[[1.0, pytest.approx(0.0, abs=1e-50)]]]


@pytest.mark.parametrize("planted", [0.4, 1.0, 3.0])
def test_a_temperature_that_was_planted_is_found(planted: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (3000, 5))
    labels = np.array([random.choice(5, p=row) for row in softmax(logits)], dtype=np.int64)
    scores = [softmax(row * planted)[None, None] for row in logits]
    found = fit(scores, labels, "made", [0.7])
    assert found.temperature == pytest.approx(planted, rel=0.1)
    assert (found.nets, found.videos, found.data) == (1, 3000, "made")
    assert metrics.log_loss(of_videos(scores, found.temperature), labels).value <= min(
        metrics.log_loss(of_videos(scores, other), labels).value for other in (1.0, planted)
    )
    assert [threshold.precision for threshold in found.thresholds][:2] == [0.7, 0.8]
    calibrated = of_videos(scores, found.temperature)
    for threshold in found.thresholds:
        answered = calibrated.max(axis=1) >= threshold.score
        assert answered.mean() == pytest.approx(threshold.coverage)
        assert (calibrated.argmax(axis=1) == labels)[answered].mean() >= threshold.precision


def test_a_threshold_lies_between_two_scores_that_were_seen() -> None:
    best = np.linspace(0.6, 0.95, 100)
    scores = [np.array([[[one, 1 - one]]]) for one in best]
    labels = (best < 0.7).astype(np.int64)  # wrong below
    found = fit(scores, labels, "made", [0.75])
    seen = of_videos(scores, found.temperature).max(axis=1).astype(np.float64)
    assert len(found.thresholds) > 1
    for threshold in found.thresholds:
        nearest, next_ = np.sort(np.abs(seen - threshold.score))[:2]
        assert nearest == pytest.approx(next_)
        assert nearest > 1e-3
        assert (seen >= threshold.score).mean() == pytest.approx(threshold.coverage)


def test_a_threshold_that_all_reach_lies_below_all() -> None:
    best = np.linspace(0.6, 0.95, 100)
    scores = [np.array([[[one, 1 - one]]]) for one in best]
    found = fit(scores, np.zeros(100, np.int64), "made")
    seen = of_videos(scores, found.temperature).max(axis=1)
    assert {threshold.coverage for threshold in found.thresholds} == {1.0}
    assert all(threshold.score == pytest.approx(seen.min() - 1e-3) for threshold in found.thresholds)


def test_clips_and_nets_are_averaged_after_the_temperature() -> None:
    one = np.array([[[0.9, 0.1]], [[0.4, 0.6]]])
    two = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.2, 0.8], [0.3, 0.7]]])
    found = of_videos([one, two, one], 2.0)
    for scores, of_video in zip((one, two, one), found, strict=True):
        np.testing.assert_allclose(of_video, tempered(scores, 2.0).mean(axis=(0, 1)), atol=1e-6)
