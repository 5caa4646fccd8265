from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stzoo.errors import DataError
from stzoo.recipe import read
from stzoo.training.batches import DecodedClips
from stzoo.training.data import RunData
from stzoo.training.draws import Draws
from stzoo.training.splits import split
from stzoo.training.voice import Voice


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
