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


def test_a_part_has_the_frames_that_are_shown_from_its_start_to_its_end(video: Video) -> None:
    whole = open_source(video)
    part = open_source(Video(f"{video.path}#t=0.25,0.7", video.frame_rate))
    np.testing.assert_allclose(part.info.timestamps_seconds, [0.2, 0.3, 0.4, 0.5, 0.6])
    assert part.info.duration_seconds == pytest.approx(0.5)
    everything = {index: square(frame) for index, frame in whole.frames(np.arange(10))}
    frames, info = part.read(lambda info: np.arange(info.frames)[None], square)
    np.testing.assert_array_equal(frames[0], np.stack([everything[index] for index in range(2, 7)]))
    assert info.frames == 5
    streamed = {index: square(frame) for index, frame in part.in_order().frames(np.array([0, 4]))}
    np.testing.assert_array_equal(np.stack([streamed[0], streamed[4]]), frames[0][[0, 4]])
    assert part.repaired().info.frames == 5


def test_a_part_may_begin_with_the_video_or_end_with_it(video: Video) -> None:
    assert open_source(Video(f"{video.path}#t=,0.3", video.frame_rate)).info.frames == 3
    assert open_source(Video(f"{video.path}#t=0.8", video.frame_rate)).info.frames == 2
    assert open_source(Video(f"{video.path}#t=0.8,1.2", video.frame_rate)).info.frames == 2  # rounded up


@pytest.mark.parametrize("part", ["1.5,2", "0.5,9", "1"])
def test_a_part_beyond_the_video_is_an_error(video: Video, part: str) -> None:
    with pytest.raises(VideoError, match=r"is 1\.00 s long, and the part from"):
        open_source(Video(f"{video.path}#t={part}", video.frame_rate))


def test_a_part_of_frames_without_a_rate_cannot_be_told(tmp_path: Path) -> None:
    write_frames(tmp_path / "folder", 3)
    with pytest.raises(UsageError, match="a part of it is wanted in seconds; say how many a second"):
        look_into(Video(f"{tmp_path / 'folder'}#t=0,1"))
