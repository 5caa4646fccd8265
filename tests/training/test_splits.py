from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data.datasets import Item
from stzoo.data.lists import read_lists
from stzoo.errors import DataError
from stzoo.recipe import read
from stzoo.training.splits import Splits, split, split_of, with_choice, without_selection


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


@given(st.lists(st.integers(0, 5), min_size=2, max_size=60), st.floats(0.05, 0.5), st.integers(0, 2**63 - 1))
def test_every_class_keeps_a_video_to_train_on(labels: list[int], fraction: float, seed: int) -> None:
    alone = [None] * len(labels)
    try:
        parts = split(alone, fraction, seed, labels)
    except DataError:
        assert round(len(labels) * fraction) == 0 or len({*labels}) == len(labels)
        return
    assert {labels[row] for row in parts.train} == {*labels}
    assert len(parts.selection) <= round(len(labels) * fraction)
    drawn = split(alone, fraction, seed)
    if {labels[row] for row in drawn.train} == {*labels}:
        assert np.array_equal(parts.selection, drawn.selection)


def test_a_recording_that_a_class_needs_is_not_drawn() -> None:
    for seed in range(20):
        parts = split(["x", "x", "y", "z"], 0.25, seed, [0, 0, 1, 1])
        assert parts.selection.tolist() in ([2], [3])
    with pytest.raises(DataError, match="cannot be held out, because every class keeps one group to train on"):
        split([None, None], 0.5, 0, [0, 1])


def test_classes_whose_only_source_trains_are_named() -> None:
    items = [Item(Path(f"{row}.mp4"), row // 2, group) for row, group in enumerate(["a", "a", "b", "c", "d", "d"])]
    parts = split([item.group for item in items], 0.17, 0, [item.label for item in items])
    sentence = without_selection(items, parts, ("run", "sit", "walk"))
    assert sentence == (
        "2 of 3 classes have one source alone, which trains, so that no video of theirs is in the selection split: "
        '"run", "walk".'
    )
    assert without_selection(items[:2] + items[2:4] * 2, Splits(np.arange(2), np.arange(6)), ("run", "sit")) is None


def test_the_seed_of_the_split_is_not_that_of_the_weights(motions: Path) -> None:
    def selected(*overrides: str) -> list[int]:
        recipe = read("recipes/smoke.toml", [f"data.root='{motions}'", *overrides])
        return split_of(read_lists(recipe.data).train, recipe).selection.tolist()

    assert selected() == selected("seed=1") != selected("data.split_seed=1")


@given(
    st.lists(st.sampled_from([None, "a", "b", "c", "d", "e"]), min_size=4, max_size=80),
    st.floats(0, 0.9),
    st.integers(0, 2**63 - 1),
)
def test_the_choice_takes_whole_sources_of_the_selection_split(
    groups: list[str | None], fraction: float, seed: int
) -> None:
    rows = np.arange(1, len(groups))
    parts = with_choice(Splits(np.array([0]), rows), groups, fraction, seed)
    assert parts.train.tolist() == [0]
    assert sorted([*parts.selection, *parts.choice]) == rows.tolist()
    assert len(parts.selection)
    assert not {groups[row] for row in parts.selection} & {groups[row] for row in parts.choice} - {None}
    wanted = round(len(rows) * fraction)
    largest = max(groups.count(group) if group else 1 for group in groups)
    assert len(parts.choice) < wanted + largest
    assert len(parts.choice) >= min(wanted, len(rows) - largest)


def test_only_a_recipe_that_finetunes_keeps_videos_for_the_choice(motions: Path) -> None:
    recipe = read("recipes/smoke.toml", [f"data.root='{motions}'"])
    items = read_lists(recipe.data).train
    with_finetuning, without = (split_of(items, one) for one in (recipe, recipe.model_copy(update={"finetune": None})))
    assert (len(with_finetuning.selection), len(with_finetuning.choice)) == (6, 2)
    assert sorted([*with_finetuning.selection, *with_finetuning.choice]) == without.selection.tolist()
    assert np.array_equal(with_finetuning.train, without.train)
    assert not len(without.choice)
