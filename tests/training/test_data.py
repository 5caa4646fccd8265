from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.errors import DataError
from stzoo.training.data import split


@given(st.integers(2, 500), st.floats(0.01, 0.5), st.integers(0, 2**63 - 1))
def test_the_selection_split_is_a_seeded_part_of_train(videos: int, fraction: float, seed: int) -> None:
    if not 0 < round(videos * fraction) < videos:
        with pytest.raises(DataError, match="leaves one split empty"):
            split(videos, fraction, seed)
        return
    parts = split(videos, fraction, seed)
    assert len(parts.selection) == round(videos * fraction)
    assert sorted([*parts.train, *parts.selection]) == list(range(videos))
    again = split(videos, fraction, seed)
    assert np.array_equal(parts.train, again.train)
    assert np.array_equal(parts.selection, again.selection)
