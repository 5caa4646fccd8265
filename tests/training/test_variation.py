from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.training.draws import Draws
from stzoo.training.variation import erased, varied

SIDE = 40

drawn = st.lists(st.floats(0, 1, exclude_max=True), min_size=5, max_size=5).map(np.array)


def clip() -> np.ndarray:
    """Pixels below 100 and, so that the mean colour is nowhere, above 155."""
    random = np.random.default_rng(0)
    dark = random.integers(0, 100, (4, SIDE, SIDE, 3), dtype=np.uint8)
    return np.where(random.random(dark.shape) < 0.5, dark, dark + 156).astype(np.uint8)


@given(drawn)
def test_one_rectangle_is_erased_in_all_frames(draws: np.ndarray) -> None:
    given, before = clip(), clip()
    seen = erased(given, 1.0, draws)
    assert np.array_equal(given, before)
    gone = (seen == given.mean(axis=(0, 1, 2)).round()).all(axis=-1)
    assert (gone == gone[:1]).all()
    rows, columns = gone[0].any(axis=1), gone[0].any(axis=0)
    assert np.array_equal(gone[0], rows[:, None] & columns[None])
    assert 0.015 < gone[0].mean() < 0.36
    assert np.array_equal(seen[~gone], given[~gone])


def test_as_many_clips_lose_a_part_as_are_asked_for() -> None:
    lost = [
        not np.array_equal(varied(clip(), "given", 0.25, sample, Draws(0, "warmup", 2)), clip())
        for sample in range(400)
    ]
    assert np.mean(lost) == pytest.approx(0.25, abs=0.07)


def test_what_is_erased_changes_from_epoch_to_epoch_and_nothing_else_decides_it() -> None:
    seen = [varied(clip(), "given", 0.999, 3, Draws(0, "warmup", epoch)) for epoch in (0, 1, 0)]
    assert np.array_equal(seen[0], seen[2])
    assert not np.array_equal(seen[0], seen[1])


def test_frames_are_put_in_order_before_a_part_is_erased() -> None:
    draws = Draws(0, "warmup", 0)
    assert np.array_equal(varied(clip(), "reversed", 0.999, 3, draws), varied(clip(), "given", 0.999, 3, draws)[::-1])
