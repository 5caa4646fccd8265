"""A few dozen damaged files; `make fuzz` reads hundreds of every container."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.errors import VideoError
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from tests.conftest import MakeVideo

CONTRACT = InputContract(frames=4, fps=10.0, clips=3, resize=24, crop=16)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.avi", "a.ts", "a.gif"])
@pytest.mark.parametrize("cut", [False, True])
def test_damage_ends_in_clips_or_in_one_sentence(make_video: MakeVideo, tmp_path: Path, name: str, cut: bool) -> None:
    whole = np.frombuffer(make_video(name, 20).read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(0)
    path = tmp_path / f"damaged{Path(name).suffix}"
    for _ in range(8):
        content = whole[: rng.integers(1, len(whole))].copy() if cut else whole.copy()
        where = rng.integers(0, len(content), 8)
        content[where] ^= (1 << rng.integers(0, 8, 8)).astype(np.uint8)
        path.write_bytes(content.tobytes())
        sentence = failure(path)
        if sentence is not None:
            assert str(path) in sentence
            assert "\n" not in sentence


def failure(path: Path) -> str | None:
    try:
        assert read_clips(Video(path), CONTRACT).clips.shape == (3, 4, 16, 16, 3)
    except VideoError as error:
        return str(error)
    return None
