from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stzoo.video.frame_order import FrameOrder, reordered


def clip_of(frames: int) -> np.ndarray:
    return np.arange(frames, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


@given(st.integers(1, 40), st.integers(0, 2**32), st.sampled_from(["given", "reversed", "shuffled"]))
def test_no_frame_is_lost(frames: int, seed: int, order: FrameOrder) -> None:
    clip, draws = clip_of(frames), np.random.default_rng(seed).random(frames)
    seen = reordered(clip, order, draws)
    assert sorted(seen[:, 0, 0, 0]) == list(range(frames))
    assert np.array_equal(seen, reordered(clip, order, draws))
    if order == "reversed":
        assert np.array_equal(seen[::-1], clip)
    if order == "shuffled":
        assert np.array_equal(seen[:, 0, 0, 0], np.argsort(draws))
