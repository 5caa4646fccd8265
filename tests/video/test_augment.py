from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.video.augment import DRAWS, random_clip

LAST = np.nextafter(1.0, 0.0)


def strip(frames: int, size: int) -> np.ndarray:
    """Pixel (frame, row, column) holds (frame, row, column)."""
    return np.stack(np.meshgrid(*(np.arange(n, dtype=np.uint8) for n in (frames, size, size)), indexing="ij"), axis=-1)


@given(
    st.tuples(st.integers(1, 6), st.integers(0, 4)),
    st.tuples(st.integers(1, 6), st.integers(0, 4)),
    st.lists(st.floats(0.0, LAST), min_size=DRAWS, max_size=DRAWS),
    st.booleans(),
)
def test_a_clip_is_a_box_cut_out_of_its_strip(
    lengths: tuple[int, int], sides: tuple[int, int], draws: list[float], flip: bool
) -> None:
    (frames, more_frames), (crop, more_size) = lengths, sides
    clip = random_clip(
        strip(frames + more_frames, crop + more_size), np.array(draws), frames=frames, crop=crop, flip=flip
    )
    assert clip.shape == (frames, crop, crop, 3)
    first, top = clip[0, 0, 0, :2]
    left = clip[0, 0, :, 2].min()
    columns = np.arange(left, left + crop)
    if flip and draws[3] < 0.5:
        columns = columns[::-1]
    expected = np.stack(
        np.meshgrid(np.arange(first, first + frames), np.arange(top, top + crop), columns, indexing="ij"), axis=-1
    )
    assert np.array_equal(clip, expected)


def test_every_position_is_taken_equally_often() -> None:
    source = strip(5, 6)
    rng = np.random.default_rng(0)
    corners = np.array(
        [random_clip(source, rng.random(DRAWS), frames=3, crop=4, flip=False)[0, 0, 0] for _ in range(3000)]
    )
    for axis in range(3):
        values, counts = np.unique(corners[:, axis], return_counts=True)
        assert values.tolist() == [0, 1, 2]
        assert counts.min() > 900
    assert np.abs(np.corrcoef(corners.T) - np.eye(3)).max() < 0.08


@pytest.mark.parametrize(("draw", "corner"), [(0.0, [0, 0, 0]), (LAST, [2, 2, 2])])
def test_the_first_and_the_last_position_are_reached(draw: float, corner: list[int]) -> None:
    clip = random_clip(strip(5, 6), np.full(DRAWS, draw), frames=3, crop=4, flip=False)
    assert clip[0, 0, 0].tolist() == corner


def test_mirroring_is_asked_for_and_happens_to_half() -> None:
    source = strip(1, 4)
    rng = np.random.default_rng(0)
    mirrored = [
        random_clip(source, rng.random(DRAWS), frames=1, crop=4, flip=True)[0, 0, 0, 2] == 3 for _ in range(1000)
    ]
    assert 450 < sum(mirrored) < 550
