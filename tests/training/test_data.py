from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data.datasets import Item
from stzoo.data.lists import read_lists
from stzoo.errors import DataError
from stzoo.recipe import read
from stzoo.training.batches import DecodedClips
from stzoo.training.data import RunData, Splits, split, split_of, without_selection
from stzoo.training.draws import Draws
from stzoo.training.voice import Voice


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


def test_what_folders_hold_besides_videos_is_said(tmp_path: Path) -> None:
    for name in ("train/a/1.mp4", "train/a/2.mp4", "train/b/1.mp4", "train/b/2.mp4", "train/notes.txt", "val/a/3.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    overrides = [f"data.root='{tmp_path}'", "data.format=folders", "data.selection_fraction=0.25"]
    said: list[str] = []
    RunData(read("recipes/smoke.toml", overrides), tmp_path, Voice(said.append, progress=False))
    assert said == [f"1 file in {tmp_path / 'train'} passed over, because its name ends like no video's (.txt)."]


@pytest.mark.parametrize("cached", ["true", "false"])
def test_a_net_of_single_frames_is_right_half_of_the_time_about_the_arrow(
    motions: Path, tmp_path: Path, cached: str
) -> None:
    """A clip and its reverse are the same frames, when training cuts them and when they are measured on."""
    overrides = [f"data.root='{motions}'", "data.frame_order=arrow", f"data.cache={cached}", "compute.workers=1"]
    data = RunData(read("recipes/smoke.toml", overrides), tmp_path)
    assert data.labels == ("forward", "reversed")
    cache, _ = data.test("val")
    forward, backward = cache.clips[cache.labels == 0], cache.clips[cache.labels == 1]
    np.testing.assert_array_equal(forward, backward[:, :, ::-1])
    training = data.training()
    assert len(training) % 2 == 0
    rows = data._splits()
    sources = [{data.train_items[row].source for row in part} for part in (rows.train, rows.selection)]
    assert not sources[0] & sources[1]
    batch = training.batch(np.arange(len(training)), Draws(0, "warmup", 0))
    assert batch.labels.sum() == len(training) // 2


def test_training_clips_are_decoded_from_the_videos_where_nothing_is_cached(motions: Path, tmp_path: Path) -> None:
    overrides = [f"data.root='{motions}'", "data.cache=false", "compute.workers=1", "augment.flip=label-aware"]
    data = RunData(read("recipes/smoke.toml", overrides), tmp_path)
    training = data.training()
    assert isinstance(training, DecodedClips)
    assert training.mirrored == (0, 2, 1)
    assert not list(tmp_path.iterdir())
    selection = data.selection(torch.device("cpu"), training)
    assert len(training) + len(selection.labels) == len(data.train_items)
    assert selection.calibration is not None
    first, again = (torch.cat(list(selection.calibration())) for _ in range(2))
    assert torch.equal(first, again)
    (batch, *_) = training.epoch(Draws(0, "warmup", 0), 4)
    assert first.shape[2:] == batch.clips.shape[2:3] + batch.clips.shape[3:5]


def test_a_net_is_calibrated_on_no_more_clips_at_once_than_the_device_is_to_compute(
    motions: Path, clip_cache: Path
) -> None:
    calibrations = []
    for micro_batch, sizes in ((0, [16]), (16, [16]), (6, [6, 5, 5])):
        recipe = read("recipes/smoke.toml", [f"data.root='{motions}'", f"compute.micro_batch={micro_batch}"])
        data = RunData(recipe, clip_cache)
        selection = data.selection(torch.device("cpu"), data.training())
        assert selection.calibration is not None
        batches = list(selection.calibration())
        assert [len(batch) for batch in batches] == sizes
        calibrations.append(torch.cat(batches))
    assert torch.equal(calibrations[0], calibrations[1])
    assert torch.equal(calibrations[0], calibrations[2])


@pytest.mark.parametrize("cached", ["true", "false"])
def test_training_cuts_otherwise_than_the_contract_where_the_recipe_says_so(
    motions: Path, clip_cache: Path, cached: str
) -> None:
    overrides = [f"data.root='{motions}'", f"data.cache={cached}", "compute.workers=1", "augment.crop=24"]
    overrides += ["augment.frames=3"]
    data = RunData(read("recipes/smoke.toml", overrides), clip_cache)
    training = data.training()
    selection = data.selection(torch.device("cpu"), training)
    (batch, *_) = training.epoch(Draws(0, "warmup", 0), 4)
    assert batch.clips.shape[2:5] == (3, 24, 24)
    assert selection.clips.shape[2:5] == (4, 32, 32)
    assert selection.at_once == 8 * 3 * 24 * 24 // (4 * 32 * 32), "no more pixels than training has in a batch of 8"


def test_videos_that_are_not_there_are_counted_before_anything_is_trained(motions: Path, tmp_path: Path) -> None:
    listed = (motions / read("recipes/smoke.toml").data.train).read_text()
    (tmp_path / "train.txt").write_text(f"{listed}gone.mp4 0\n")
    overrides = [
        f"data.root='{motions}'",
        f"data.train='{tmp_path / 'train.txt'}'",
        "data.groups=none",
        "data.cache=false",
    ]
    said: list[str] = []
    few = read("recipes/smoke.toml", [*overrides, "data.max_broken=0.5"])
    RunData(few, tmp_path, Voice(said.append, progress=False))
    (sentence,) = said
    assert "gone.mp4" in sentence
    assert "will be left out" in sentence
    with pytest.raises(DataError, match=r"1 of the \d+ videos of train .* more than data.max_broken = 0.0 allows"):
        RunData(read("recipes/smoke.toml", [*overrides, "data.max_broken=0.0"]), tmp_path)


def test_what_is_not_on_disk_is_counted_and_not_said_again_when_it_is_decoded(motions: Path, tmp_path: Path) -> None:
    smoke = read("recipes/smoke.toml")
    rows = (motions / smoke.data.train).read_text().splitlines()
    gone, torn = split([None] * len(rows), smoke.data.selection_fraction, smoke.seed).train[:2].tolist()
    (tmp_path / "torn.mp4").write_bytes(b"no video")
    rows[gone] = f"{tmp_path / 'gone.mp4'} 0"
    rows[torn] = f"{tmp_path / 'torn.mp4'} 0"
    (tmp_path / "train.txt").write_text("\n".join(rows))
    overrides = [
        f"data.root='{motions}'",
        f"data.train='{tmp_path / 'train.txt'}'",
        "data.groups=none",
        "data.cache=false",
    ]
    overrides += [f"data.max_broken={2.5 / len(rows)}", "compute.workers=1"]
    said: list[str] = []
    training = RunData(read("recipes/smoke.toml", overrides), tmp_path, Voice(said.append, progress=False)).training()
    assert training.left_out == 1
    clips = sum(len(batch.labels) for batch in training.epoch(Draws(0, "warmup", 0), 8))
    assert clips == len(training) - 2
    assert training.left_out == 2
    assert [("gone.mp4" in sentence, "torn.mp4" in sentence) for sentence in said] == [(True, False), (False, True)]


@pytest.mark.parametrize("selected", [True, False])
def test_every_gap_of_cached_data_is_said_once_and_counted(motions: Path, tmp_path: Path, selected: bool) -> None:
    """A video that is not there, and one that cannot be read, on either side of the selection split.

    More of them than these two, of the whole list, would be too many.
    """
    smoke = read("recipes/smoke.toml")
    rows = (motions / smoke.data.train).read_text().splitlines()
    parts = split([None] * len(rows), smoke.data.selection_fraction, smoke.seed)
    gone, torn = (parts.selection if selected else parts.train)[:2].tolist()
    (tmp_path / "torn.mp4").write_bytes(b"no video")
    rows[gone] = f"{tmp_path / 'gone.mp4'} 0"
    rows[torn] = f"{tmp_path / 'torn.mp4'} 0"
    (tmp_path / "train.txt").write_text("\n".join(rows))
    overrides = [f"data.root='{motions}'", f"data.train='{tmp_path / 'train.txt'}'", "data.groups=none"]
    overrides.append(f"data.max_broken={2.5 / len(rows)}")
    said: list[str] = []
    data = RunData(read("recipes/smoke.toml", overrides), tmp_path / "cache", Voice(said.append, progress=False))
    training = data.training()
    data.selection(torch.device("cpu"), training)
    assert [("gone.mp4" in sentence, "torn.mp4" in sentence) for sentence in said] == [(True, False), (False, True)]
    assert said[1].startswith(f"1 of the {len(rows)} videos of train cannot be read and are left out")
    assert training.left_out == (0 if selected else 2)
