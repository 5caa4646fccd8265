"""A tiny camera set, made once, and captured motions of nobody."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stzoo.data.synth.camera import make_camera
from stzoo.data.synth.mocap import CLASSES


@pytest.fixture(scope="session")
def tiny_camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest camera set: two known pictures, one unseen, 38 clips, seed 3, made by two workers."""
    out = tmp_path_factory.mktemp("camera") / "set"
    assert make_camera(out, seed=3, clips=38, workers=2)
    return out


@pytest.fixture(scope="session")
def motion_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a motion of every class in the format of pybullet's: someone who stands, walks, and sways alike."""
    folder = tmp_path_factory.mktemp("motions")
    for number, name in enumerate(CLASSES):
        walk = [frame(0.1, x=0.1 * time, chest=0.1 * number * time) for time in range(6)]
        text = json.dumps({"Loop": "none" if name.startswith("getup") else "wrap", "Frames": walk})
        (folder / f"humanoid3d_{name.replace('-', '_')}.txt").write_text(text)
    return folder


def frame(seconds: float, *, x: float = 0.0, chest: float = 0.0, turn: float = 0.0, knee: float = 0.0) -> list[float]:
    """One line of a motion file: someone upright, turned about y, with the angles of chest and right knee about z."""
    values = [x, 0.9, 0.0, np.cos(turn / 2), 0.0, np.sin(turn / 2), 0.0]
    values += [np.cos(chest / 2), 0.0, 0.0, np.sin(chest / 2)]
    straight = [1.0, 0.0, 0.0, 0.0]
    values += [*straight, *straight, knee, *straight, *straight, 0.0, *straight, 0.0, *straight, *straight, 0.0]
    return [seconds, *(float(value) for value in values)]
