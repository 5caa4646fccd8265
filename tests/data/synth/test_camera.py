"""The set as a whole: its lists, its truth, its bytes, and how it is interrupted and refused."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data.synth import camera, render
from stzoo.data.synth.camera import Layout, clips_of, make_camera
from stzoo.data.synth.motions import CLASSES
from stzoo.errors import DataError
from stzoo.video.decode import probe

SPLITS = ("train", "val", "test")


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def read(out: Path, question: str, split: str) -> dict[str, str]:
    """Path -> name of the label."""
    classes = (out / question / "classes.txt").read_text().splitlines()
    lines = (out / question / f"{split}.txt").read_text().splitlines()
    return {path: classes[int(index)] for path, index in (line.rsplit(" ", 1) for line in lines)}


def truth(out: Path) -> dict[str, dict[str, str]]:
    with (out / "clips.csv").open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_the_full_set_is_within_its_limits_and_balanced() -> None:
    plan = clips_of(Layout())
    assert len(plan) == Layout().clips <= camera.MOST_CLIPS
    assert Counter(clip.split for clip in plan) == {"train": 4800, "val": 320, "test": 320, "test-unseen": 400}
    for split in (*SPLITS, "test-unseen"):
        counts = Counter(clip.motion for clip in plan if clip.split == split)
        assert set(counts) == set(CLASSES)
        assert len(set(counts.values())) == 1
    scenes = {split: {clip.picture.name for clip in plan if clip.split == split} for split in (*SPLITS, "test-unseen")}
    assert scenes["train"] == scenes["val"] == scenes["test"]
    assert len(scenes["train"]) == 160
    assert not scenes["train"] & scenes["test-unseen"]


def test_the_files_of_the_full_set_are_planned_to_stay_within_its_bytes() -> None:
    sample = clips_of(Layout())[::40]
    mean_limit = sum(render.plan(clip.motion, clip.seeds(0)).most_bytes for clip in sample) / len(sample)
    # Files take about 0.7 of their limits, measured over 900 clips.
    assert 0.8 * mean_limit * Layout().clips < camera.MOST_BYTES


@given(clips=st.integers(38, camera.MOST_CLIPS))
def test_a_smaller_set_has_the_same_shape_and_at_most_the_clips_asked_for(clips: int) -> None:
    layout = Layout.within(clips)
    assert layout.clips <= clips
    assert layout.known >= 2
    assert layout.unseen >= 1
    assert layout.clips > 0.55 * min(clips, Layout().clips)


def test_the_three_questions_agree_with_each_other_and_with_the_truth(tiny_camera: Path) -> None:
    rows = truth(tiny_camera)
    assert (tiny_camera / "motion/classes.txt").read_text().split() == list(CLASSES)
    for split in SPLITS:
        motion, scene, both = (read(tiny_camera, question, split) for question in ("motion", "scene", "both"))
        assert motion.keys() == scene.keys() == both.keys()
        assert motion.keys() == {path for path, row in rows.items() if row["split"] == split}
        for path in motion:
            assert motion[path] == rows[path]["motion"]
            assert scene[path] == rows[path]["picture"]
            assert both[path] == f"{motion[path]} {scene[path]}"
    unseen = read(tiny_camera, "motion", "test-unseen")
    assert {rows[path]["picture"] for path in unseen}.isdisjoint(read(tiny_camera, "scene", "train").values())
    assert not (tiny_camera / "scene/test-unseen.txt").exists()
    assert len(rows) == 38 == len(list((tiny_camera / "videos").iterdir()))


def test_every_file_is_a_video_as_the_table_says(tiny_camera: Path) -> None:
    for path, row in truth(tiny_camera).items():
        info = probe(tiny_camera / path)
        assert (info.width, info.height, info.frames) == (int(row["width"]), int(row["height"]), int(row["frames"]))
        assert (tiny_camera / path).stat().st_size == int(row["bytes"]) < 25_000


def test_the_readme_names_the_photographs_with_their_terms(tiny_camera: Path) -> None:
    text = (tiny_camera / "README.md").read_text(encoding="utf-8")
    assert "Eileen Collins, NASA, public domain" in text
    assert "scikit-image" in text


def test_interrupted_it_goes_on_to_the_same_files_with_other_workers_and_finished_it_does_nothing(
    tiny_camera: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    filmed: list[str] = []
    original = render.film

    def film(shot: render.Shot, picture: render.Picture) -> render.Frames:
        if len(filmed) == 3 and not out.with_suffix(".resumed").exists():
            raise KeyboardInterrupt
        filmed.append(str(shot.seeds))
        return original(shot, picture)

    monkeypatch.setattr(render, "film", film)
    with pytest.raises(KeyboardInterrupt):
        make_camera(out, seed=3, clips=38)
    assert len(list((out / "videos").iterdir())) == 3
    (out / "videos" / ".00003.mp4.half.tmp").write_bytes(b"half a film")
    for number in range(5, 38):
        shutil.copy(tiny_camera / "videos" / f"{number:05d}.mp4", out / "videos")
    out.with_suffix(".resumed").touch()
    seen: list[tuple[int, int]] = []
    assert make_camera(out, seed=3, clips=38, progress=lambda done, total: seen.append((done, total)))
    assert len(filmed) == 5
    assert seen[0] == (0, 38)
    assert seen[-1] == (38, 38)
    assert contents(out) == contents(tiny_camera)
    assert not make_camera(out, seed=3, clips=38)
    assert len(filmed) == 5


def test_a_folder_with_something_else_is_refused_and_left_alone(tiny_camera: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="holds something else"):
        make_camera(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match="is a file"):
        make_camera(tmp_path / "thesis.txt")
    with pytest.raises(DataError, match="seed 3 instead of 4"):
        make_camera(tiny_camera, seed=4, clips=38)
    with pytest.raises(DataError, match="clips 38 instead of 5840"):
        make_camera(tiny_camera, seed=3)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "camera.json").write_text("{")
    with pytest.raises(DataError, match="not the mark of a camera set"):
        make_camera(tmp_path / "broken")


@pytest.mark.parametrize("clips", [0, 37, 6001])
def test_a_number_of_clips_that_cannot_be_made_is_refused(clips: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{clips} clips cannot make"):
        make_camera(tmp_path / "set", clips=clips)
    assert not (tmp_path / "set").exists()


def test_seed_and_workers_are_checked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="seed -1"):
        make_camera(tmp_path / "set", seed=-1)
    with pytest.raises(DataError, match="0 workers"):
        make_camera(tmp_path / "set", workers=0)
