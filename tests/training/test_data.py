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
            split([None] * videos, fraction, seed)
        return
    parts = split([None] * videos, fraction, seed)
    assert len(parts.selection) == round(videos * fraction)
    assert sorted([*parts.train, *parts.selection]) == list(range(videos))
    again = split([None] * videos, fraction, seed)
    assert np.array_equal(parts.train, again.train)
    assert np.array_equal(parts.selection, again.selection)


@given(
    st.lists(st.sampled_from([None, "a", "b", "c", "d", "e"]), min_size=2, max_size=80),
    st.floats(0.05, 0.5),
    st.integers(0, 2**63 - 1),
)
def test_groups_never_straddle_the_split(groups: list[str | None], fraction: float, seed: int) -> None:
    try:
        parts = split(groups, fraction, seed)
    except DataError:
        largest = max(groups.count(group) if group else 1 for group in groups)
        assert (
            round(len(groups) * fraction) in (0, len(groups)) or len(groups) < round(len(groups) * fraction) + largest
        )
        return
    assert sorted([*parts.train, *parts.selection]) == list(range(len(groups)))
    assert not {groups[row] for row in parts.train} & {groups[row] for row in parts.selection} - {None}
    wanted = round(len(groups) * fraction)
    assert wanted <= len(parts.selection) < wanted + max(groups.count(group) if group else 1 for group in groups)
