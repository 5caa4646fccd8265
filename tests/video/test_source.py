from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stzoo.errors import UsageError, VideoError
from stzoo.video import source as module
from stzoo.video.decode import VideoInfo
from stzoo.video.frames import resize_and_crop
from stzoo.video.source import look_into, open_source
from stzoo.video.video import Video
from tests.conftest import LEVELS, MakeVideo
from tests.data.layouts import write_frames, zip_frames


@pytest.fixture(params=["a.mp4", "folder", "x.zip", "x.zip/1"])
def video(request: pytest.FixtureRequest, make_video: MakeVideo, tmp_path: Path) -> Video:
    """Ten frames, ten a second, each brighter than the one before."""
    if request.param == "a.mp4":
        return Video(make_video("a.mp4", 10, fps=10))
    write_frames(tmp_path / "folder", 10)
    zip_frames(tmp_path / "x.zip", ["1/"], 10)
    return Video(tmp_path / request.param, 10.0)


def square(frame: np.ndarray, pixel_aspect: float = 1.0) -> np.ndarray:
    return resize_and_crop(frame, 16, 16, pixel_aspect)


def test_both_ways_to_the_frames_give_the_same_whatever_a_video_is_kept_as(video: Video) -> None:
    source = open_source(video)
    assert source.timed
    np.testing.assert_allclose(source.info.timestamps_seconds, np.arange(10) / 10)
    streamed = {index: square(frame) for index, frame in source.frames(np.array([1, 4, 7]))}
    frames, info = source.read(lambda _: np.array([[7, 4], [1, 1]]), square)
    assert frames.shape == (2, 2, 16, 16, 3)
    np.testing.assert_array_equal(frames.reshape(-1, 16, 16, 3), np.stack([streamed[index] for index in (7, 4, 1, 1)]))
    np.testing.assert_allclose(frames.mean(axis=(2, 3, 4)) / LEVELS, [[7, 4], [1, 1]], atol=0.5)
    assert (info.width, info.height) == (source.info.width, source.info.height)


def test_only_pictures_can_lack_a_rate(make_video: MakeVideo, tmp_path: Path) -> None:
    write_frames(tmp_path / "folder", 3)
    assert look_into(Video(make_video("a.mp4", 3))).timed
    assert not look_into(Video(tmp_path / "folder")).timed
    with pytest.raises(UsageError, match="folder holds frames and not their rate; say how many a second it holds"):
        open_source(Video(tmp_path / "folder"))


def test_nothing_decodable_is_an_error(make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_all(info: VideoInfo) -> VideoInfo:
        return VideoInfo(info.path, 1, 1, 0, False, np.zeros(0), True, True)

    source = look_into(Video(make_video("a.mp4", 4)))
    monkeypatch.setattr(module, "read_frames", lambda *_, **__: {})
    with pytest.raises(VideoError, match="differently each time"):
        source.read(lambda info: np.arange(info.frames), square)
    monkeypatch.setattr(module, "decodable", lambda info, _: lose_all(info))
    with pytest.raises(VideoError, match="no frame that can be decoded"):
        source.read(lambda info: np.arange(info.frames), square)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "1.jpg").write_bytes(b"")
    with pytest.raises(VideoError, match="no frame that can be decoded"):
        open_source(Video(tmp_path / "folder", 5.0))
