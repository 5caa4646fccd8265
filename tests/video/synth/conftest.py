"""A tiny camera set, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.video.synth.camera import make_camera


@pytest.fixture(scope="session")
def tiny_camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest camera set: two known pictures, one unseen, 38 clips, seed 3, made by two workers."""
    out = tmp_path_factory.mktemp("camera") / "set"
    assert make_camera(out, seed=3, clips=38, workers=2)
    return out
