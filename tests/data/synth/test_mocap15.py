from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data.lists import read_lists
from stzoo.data.synth import mocap15
from stzoo.data.synth.mocap import CLASSES
from stzoo.data.synth.mocap15 import LEAST_CLIPS, MOST_CLIPS, TAKES, clips_of, make_mocap15, takes_within
from stzoo.data.synth.performance import plan
from stzoo.errors import DataError
from stzoo.recipe import read
from stzoo.video.decode import probe


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips of three frames over a grey picture."""
    monkeypatch.setattr(mocap15, "plan", lambda seeds: replace(plan(seeds), frames=3))
    monkeypatch.setattr(mocap15.pictures, "draw", lambda picture, seed: np.full((480, 640, 3), 90, np.uint8))


def test_the_full_set_is_balanced_and_tests_on_pictures_that_training_never_shows() -> None:
    clips = clips_of(TAKES, 0)
    assert Counter(clip.split for clip in clips) == {"train": 1350, "val": 300, "test": 300}
    for split, takes in TAKES.items():
        assert Counter(clip.action for clip in clips if clip.split == split) == dict.fromkeys(CLASSES, takes)
    shown = {split: {clip.picture.name for clip in clips if clip.split == split} for split in TAKES}
    assert not shown["train"] & (shown["val"] | shown["test"])
    assert len(shown["train"]) == 160
    assert clips != clips_of(TAKES, 1)


@given(clips=st.integers(LEAST_CLIPS, MOST_CLIPS))
def test_a_smaller_set_has_every_split_and_at_most_the_clips_asked_for(clips: int) -> None:
    takes = takes_within(clips)
    assert min(takes.values()) >= 1
    assert clips - len(CLASSES) < sum(takes.values()) * len(CLASSES) <= clips


def test_numbers_out_of_range_are_refused(tmp_path: Path, motion_files: Path) -> None:
    for arguments, words in (
        ({"clips": 44}, "44 clips cannot make the mocap15 set; ask for 45 to 6000, or leave the number out for 1950"),
        ({"seed": -1}, "The seed -1 of the mocap15 set is negative"),
        ({"workers": 0}, "0 workers cannot make the mocap15 set"),
        ({"motions": tmp_path}, "humanoid3d_backflip.txt cannot be read"),
    ):
        options: dict[str, Any] = {"motions": motion_files, **arguments}
        with pytest.raises(DataError, match=words):
            make_mocap15(tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


@pytest.mark.usefixtures("quick")
def test_interrupted_it_goes_on_to_a_set_that_its_recipe_reads(
    tmp_path: Path, motion_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, filmed = tmp_path / "set", []
    original = mocap15.film

    def film(*arguments: Any) -> Any:
        if len(filmed) == 4:
            raise KeyboardInterrupt
        filmed.append(1)
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(mocap15, "film", film)
        with pytest.raises(KeyboardInterrupt):
            make_mocap15(out, seed=3, clips=45, motions=motion_files)
    half = {path.name: path.read_bytes() for path in (out / "videos").iterdir()}
    assert len(half) == 4
    seen: list[tuple[int, int]] = []
    assert make_mocap15(out, 3, 45, progress=lambda done, total: seen.append((done, total)), motions=motion_files)
    assert (seen[0], seen[-1]) == ((0, 45), (45, 45))
    assert all((out / "videos" / name).read_bytes() == content for name, content in half.items())
    assert not make_mocap15(out, seed=3, clips=45, motions=tmp_path)

    lists = read_lists(read("recipes/mocap15.toml", [f"data.root='{out}'"]).data)
    assert lists.classes == CLASSES
    assert (len(lists.train), {name: len(items) for name, items in lists.tests.items()}) == (
        15,
        {"val": 15, "test": 15},
    )
    with (out / "clips.csv").open(newline="") as file:
        truth = {row["path"]: row for row in csv.DictReader(file)}
    for items in (lists.train, *lists.tests.values()):
        for item in items:
            row = truth[str(item.path.relative_to(out))]
            assert row["action"] == CLASSES[item.label]
            info = probe(item.path)
            assert (info.width, info.height, info.frames) == (int(row["width"]), int(row["height"]), 3)
    assert "zlib licence" in (out / "README.md").read_text(encoding="utf-8")
