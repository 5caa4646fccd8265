from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stzoo.video.decode import probe, read_frames
from tests.video.photos import photo, write_photos


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright_as_opencv_turns_and_mirrors_them(tmp_path: Path, orientation: int) -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :24], picture[:16, 24:], picture[16:, :24] = 250, 170, 90
    content = photo(picture, orientation)
    write_photos(tmp_path / "photos.mov", [content, content])
    info = probe(tmp_path / "photos.mov")
    upright = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert (info.height, info.width) == upright.shape[:2]
    frame = read_frames(info, np.array([0]), np.array)[0]
    np.testing.assert_allclose(frame.mean(-1), upright.mean(-1), atol=12)
