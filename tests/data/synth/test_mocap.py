from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stzoo.data.synth.mocap import CLASSES, POINTS, Motion, read_motions
from stzoo.errors import DataError
from tests.data.synth.conftest import frame


def motion(folder: Path, frames: list[list[float]], loop: str = "wrap") -> Motion:
    """What is read of these frames, put in place of one class's."""
    (folder / "humanoid3d_walk.txt").write_text(json.dumps({"Loop": loop, "Frames": frames}))
    return read_motions(folder)["walk"]


@pytest.fixture
def folder(motion_files: Path, tmp_path: Path) -> Path:
    for file in motion_files.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def place(found: Motion, name: str, seconds: float = 0.0) -> np.ndarray:
    return found.at(np.array([seconds]))[0, POINTS.index(name)]


def test_someone_upright_stands_as_the_body_is_built(folder: Path) -> None:
    found = motion(folder, [frame(0.1), frame(0.1)])
    assert place(found, "head") == pytest.approx([0, 0.9 + 0.236151 + 0.223894 + 0.175, 0])
    assert place(found, "right ankle") == pytest.approx([0, 0.9 - 0.421546 - 0.40987, 0.084887])
    assert place(found, "left wrist")[2] == pytest.approx(-0.18311)


def test_joints_turn_what_hangs_on_them(folder: Path) -> None:
    bent = motion(folder, [frame(0.1, knee=-np.pi / 2), frame(0.1)])
    assert place(bent, "right knee") == pytest.approx([0, 0.9 - 0.421546, 0.084887])
    assert place(bent, "right ankle") == pytest.approx([-0.40987, 0.9 - 0.421546, 0.084887])
    leaning = motion(folder, [frame(0.1, chest=np.pi / 2), frame(0.1)])
    assert place(leaning, "head") == pytest.approx([-0.223894 - 0.175, 0.9 + 0.236151, 0])
    turned = motion(folder, [frame(0.1, turn=np.pi / 2), frame(0.1)])
    assert place(turned, "right hip") == pytest.approx([0.084887, 0.9, 0], abs=1e-9)


def test_limbs_keep_their_length_in_any_pose(folder: Path) -> None:
    poses = np.random.default_rng(0).normal(0, 2, (200, 44))
    poses[:, 0] = 0.1
    found = motion(folder, poses.tolist())
    for begin, end, length in (("left hip", "left knee", 0.421546), ("neck", "head", 0.175)):
        limb = found.points[:, POINTS.index(end)] - found.points[:, POINTS.index(begin)]
        assert np.linalg.norm(limb, axis=1) == pytest.approx(np.full(200, length))


def test_a_loop_goes_on_from_where_it_led_to(folder: Path) -> None:
    walk = motion(folder, [frame(0.5), frame(0.5, x=1.0), frame(0.0, x=2.0)])
    assert walk.duration_seconds == pytest.approx(1.0)
    assert [place(walk, "root", t)[0] for t in (0.25, 0.5, 1.0, 2.75)] == pytest.approx([0.5, 1.0, 2.0, 5.5])
    square = motion(folder, [frame(1.0), frame(0.0, x=1.0, turn=np.pi / 2)])
    corners = [place(square, "root", t) for t in (1.0, 2.0, 3.0, 4.0)]
    assert np.stack(corners)[:, [0, 2]] == pytest.approx(np.array([[1, 0], [1, -1], [0, -1], [0, 0]]), abs=1e-6)
    seconds = np.linspace(0, 5, 400)
    assert np.abs(np.diff(square.at(seconds), axis=0)).max() < 0.05


def test_what_does_not_loop_stands_still_at_its_end(folder: Path) -> None:
    kick = motion(folder, [frame(0.5), frame(0.5, x=1.0)], loop="none")
    assert place(kick, "root", 9.0) == pytest.approx(place(kick, "root", 0.5))


def test_a_wheel_is_read_as_its_folder(motion_files: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "pybullet-3-cp311.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in motion_files.iterdir():
            archive.write(file, f"pybullet_data/data/motions/{file.name}")
    one, other = read_motions(motion_files), read_motions(wheel)
    assert tuple(one) == CLASSES == tuple(other)
    assert all(np.array_equal(one[name].points, other[name].points) for name in CLASSES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "humanoid3d_walk.txt is not a motion file: Expecting"),
        ("[]", "is not a motion file"),
        ('{"Frames": [[1' + "0" * 400 + "]]}", "is not a motion file"),
        ('{"Frames": [[1, 2], [3]]}', "is not a motion file"),
        ('{"Frames": [[1, 2], [3, 4]]}', "its frames are not a duration and 43 numbers each"),
        (json.dumps({"Frames": [[0.1] * 44]}), "its frames are not"),
        (json.dumps({"Frames": [[0.0] * 44] * 3}), "its frames are not"),
        ('{"Frames": [[' + "NaN, " * 43 + "1], [" + "1, " * 43 + "1]]}", "its frames are not"),
    ],
)
def test_what_is_no_motion_is_refused(folder: Path, text: str, words: str) -> None:
    (folder / "humanoid3d_walk.txt").write_text(text)
    with pytest.raises(DataError, match=words):
        read_motions(folder)


def test_what_is_not_there_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "humanoid3d_spin.txt").unlink()
    with pytest.raises(DataError, match=r"humanoid3d_spin\.txt cannot be read from .*No such file"):
        read_motions(folder)
    (tmp_path / "no.whl").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"cannot be read from .*not a zip"):
        read_motions(tmp_path / "no.whl")
    with zipfile.ZipFile(tmp_path / "empty.whl", "w"):
        pass
    with pytest.raises(DataError, match=r"empty\.whl holds no humanoid3d_backflip"):
        read_motions(tmp_path / "empty.whl")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'stzoo\[mocap\]'"):
        read_motions()
