from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.video.reader import read_clips, read_strip
from stzoo.video.video import Video
from tests.conftest import LEVELS, MakeVideo

CONTRACT = InputContract(frames=4, fps=5.0, clips=3, resize=24, crop=16)


def levels(clips: np.ndarray) -> np.ndarray:
    return clips.mean(axis=(-3, -2, -1)) / LEVELS


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.avi"])
def test_clips_hold_the_planned_frames(make_video: MakeVideo, name: str) -> None:
    read = read_clips(Video(make_video(name, 20, fps=10)), CONTRACT)
    assert read.clips.shape == (3, 4, 16, 16, 3)
    assert read.clips.dtype == np.uint8
    assert read.warnings == ()
    np.testing.assert_allclose(levels(read.clips)[0], [0, 2, 4, 6], atol=0.5)
    np.testing.assert_allclose(levels(read.clips)[-1], [13, 15, 17, 19], atol=0.5)


def test_the_number_of_clips_can_be_asked_for(make_video: MakeVideo) -> None:
    read = read_clips(Video(make_video("a.mp4", 21, fps=10)), CONTRACT, clips=1)
    assert read.clips.shape[0] == 1
    np.testing.assert_allclose(levels(read.clips)[0], [7, 9, 11, 13], atol=0.5)


@pytest.mark.parametrize("options", [{"width": 47, "height": 31}, {"rotate": 90}, {"width": 300, "height": 8}])
def test_any_shape_of_picture(make_video: MakeVideo, options: dict[str, int]) -> None:
    assert read_clips(Video(make_video("a.mp4", 6, **options)), CONTRACT).clips.shape == (3, 4, 16, 16, 3)


def test_one_frame(make_video: MakeVideo) -> None:
    read = read_clips(Video(make_video("one.mp4", 1)), CONTRACT)
    assert (read.clips == read.clips[0, 0]).all()
    assert read.warnings == ()


@pytest.mark.parametrize(
    ("times_ms", "words"),
    [
        (range(0, 4000, 400), "3 of 3 clips of"),  # 2.5 frames a second, of which 5 are wanted
        ([*range(0, 800, 100), *range(4000, 4800, 100)], "1 of 3 clips of"),  # a gap in the middle
        (range(0, 4000, 200), None),
        (range(0, 600, 200), None),  # shorter than a clip: its last frame is repeated by policy
        ([0], None),
    ],
)
def test_clips_that_repeat_frames_of_a_video_that_is_long_enough_are_said(
    make_video: MakeVideo, times_ms: list[int], words: str | None
) -> None:
    path = make_video("a.mkv", len(times_ms), times_ms=list(times_ms))
    warnings = read_clips(Video(path), CONTRACT).warnings
    assert len(warnings) == (words is not None)
    for warning in warnings:
        assert warning.startswith(f"{words} {path} repeat frames, down to 2 different ones of 4: the video has ")
        assert warning.endswith(" frames a second on average, and 5 are wanted.")
    counting = CONTRACT.model_copy(update={"fps": None, "stride_frames": 2})
    assert read_clips(Video(path), counting).warnings == ()


def test_a_cut_off_file_gives_clips_of_what_is_there_and_a_warning(cut_off_video: Path) -> None:
    read = read_clips(Video(cut_off_video), CONTRACT)
    assert read.clips.shape == (3, 4, 16, 16, 3)
    (warning,) = read.warnings
    assert str(cut_off_video) in warning
    assert f"only its {read.info.frames} decodable frames" in warning


def test_when_frames_are_missing_the_clips_are_planned_again(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged middle: the packets are all there, and some of them cannot be decoded."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 48, 3), dtype=np.uint8)
    path = make_video("damaged.mp4", 40, pixels=noise, encoder={"g": "5", "bf": "0"})
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : -len(content) // 4] = bytes(len(content[len(content) // 3 : -len(content) // 4]))
    path.write_bytes(content)
    read = read_clips(Video(path), CONTRACT.model_copy(update={"fps": None, "stride_frames": 1}), clips=8)
    assert read.clips.shape[0] == 8
    assert len(read.warnings) == 1


def test_a_strip_is_one_run_around_the_centre(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 21, fps=10)
    strip = read_strip(Video(path), CONTRACT, frames=6, size=20)
    assert strip.shape == (6, 20, 20, 3)
    np.testing.assert_allclose(levels(strip), [5, 7, 9, 11, 13, 15], atol=0.5)


def test_native_frames_are_never_kept(make_video: MakeVideo) -> None:
    path = make_video("large.mp4", 16, width=640, height=480, fps=5)
    native = 640 * 480 * 3
    tracemalloc.start()
    read_clips(Video(path), CONTRACT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * native


def test_crops_of_a_clip_stand_together(make_video: MakeVideo) -> None:
    path = make_video(
        "wide.mp4", 12, width=96, pixels=np.random.default_rng(0).integers(0, 256, (12, 32, 96, 3), np.uint8)
    )
    one = read_clips(Video(path), CONTRACT)
    three = read_clips(Video(path), CONTRACT.changed(crops=3))
    assert three.clips.shape == (9, 4, 16, 16, 3)
    np.testing.assert_array_equal(three.clips[1::3], one.clips)
    assert (three.clips[0] != three.clips[2]).any()


def test_the_times_of_clips_and_of_reading_are_told(make_video: MakeVideo) -> None:
    read = read_clips(Video(make_video("a.mp4", 20, fps=10)), CONTRACT.changed(crops=3))
    np.testing.assert_allclose(read.times_seconds, [[0.0, 0.6], [0.6, 1.2], [1.3, 1.9]], atol=0.1)
    np.testing.assert_allclose(np.diff(read.times_seconds), 0.6, atol=1e-6)
    assert read.decode_seconds > 0
    assert (read.info.fps, read.info.duration_seconds) == (pytest.approx(10), pytest.approx(2))
    still = read_clips(Video(make_video("b.mp4", 1)), CONTRACT).info
    assert (still.fps, still.duration_seconds) == (None, pytest.approx(0.1))
