from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.video import source, windows
from stzoo.video.decode import VideoInfo, stream_frames
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from stzoo.video.windows import Windows, spans
from tests.conftest import LEVELS, MakeVideo
from tests.data.layouts import write_frames

CONTRACT = InputContract(frames=2, fps=5.0, clips=2, crops=3, resize=24, crop=16)


def levels(clips: np.ndarray) -> list[float]:
    return (clips.mean(axis=(-3, -2, -1)) / LEVELS).round().ravel().tolist()


@given(st.floats(0, 5000), st.floats(0.01, 100), st.floats(0.01, 100))
def test_windows_are_whole_and_reach_the_end(duration: float, window: float, hop: float) -> None:
    found = spans(duration, window, hop)
    assert found[0, 0] == 0
    assert -1e-5 <= duration - found[-1, 1] <= 0.05 * min(window, hop) + 1e-5
    np.testing.assert_allclose(found[:, 1] - found[:, 0], min(window, duration), atol=1e-5)
    steps = np.diff(found[:, 0])
    np.testing.assert_allclose(steps[:-1], hop)
    assert np.all((steps > 0) & (steps < hop + 1e-5))


@pytest.mark.parametrize(
    ("duration", "starts"),
    [(1.0, [0]), (2.0, [0]), (3.0, [0, 1]), (3.5, [0, 1, 1.5]), (3.06, [0, 1, 1.06]), (3.04, [0, 1]), (0.0, [0])],
)
def test_where_windows_begin(duration: float, starts: list[float]) -> None:
    assert spans(duration, 2.0, 1.0)[:, 0].tolist() == pytest.approx(starts)


@pytest.mark.parametrize(("window", "hop"), [(0.0, 1.0), (1.0, -1.0), (1.0, float("nan")), (float("inf"), 1.0)])
def test_lengths_out_of_range_are_refused(window: float, hop: float) -> None:
    with pytest.raises(UsageError, match="must be above 0"):
        spans(10.0, window, hop)
    with pytest.raises(UsageError, match="more than 1,000,000 windows"):
        spans(10_000.0, 1.0, 0.001)


def test_a_window_is_a_video_of_its_own(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 20)
    for window in Windows(Video(path), CONTRACT, 1.0, 0.3):
        first = round(10 * window.start_seconds)
        grey = np.repeat(np.arange(first, first + 10, dtype=np.uint8) * LEVELS, 32 * 48 * 3).reshape(10, 32, 48, 3)
        alone = read_clips(Video(make_video("part.mp4", 10, pixels=grey)), CONTRACT)
        assert levels(window.clips) == levels(alone.clips)
        assert window.clips.shape == alone.clips.shape
    assert window.end_seconds == pytest.approx(2.0)


def test_frames_are_decoded_once_and_few_are_held(make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    crops_along, alive, most, made = windows.crops_along, [0], [0], [0]

    def counted(*args: object, **options: object) -> np.ndarray:
        views = crops_along(*args, **options)
        made[0] += 1
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        weakref.finalize(views, lambda: alive.__setitem__(0, alive[0] - 1))
        return views

    monkeypatch.setattr(windows, "crops_along", counted)
    every_frame = CONTRACT.changed(frames=10, stride_frames=1)
    path = make_video("a.mp4", 200, width=32)
    assert len(list(Windows(Video(path), every_frame, 1.0, 0.5))) == 39
    assert made == [200]
    assert most[0] <= 12


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.gif", "a.webm"])
def test_a_video_of_one_frame_is_one_window(make_video: MakeVideo, name: str) -> None:
    (window,) = Windows(Video(make_video(name, 1)), CONTRACT, 2.0, 1.0)
    assert window.start_seconds == 0
    assert window.clips.shape == (6, 2, 16, 16, 3)


def test_a_window_between_two_frames_shows_the_earlier_one(make_video: MakeVideo) -> None:
    path = make_video("a.mkv", 3, times_ms=[0, 100, 5000])
    found = [levels(window.clips[:1])[0] for window in Windows(Video(path), CONTRACT, 1.0, 1.0)]
    assert found[:6] == [0, 1, 1, 1, 1, 2]


def test_times_start_at_the_first_frame(make_video: MakeVideo) -> None:
    path = make_video("a.mkv", 20, times_ms=[5000 + 100 * index for index in range(20)])
    found = Windows(Video(path), CONTRACT, 1.0, 1.0)
    assert [(window.start_seconds, window.end_seconds) for window in found] == [(0.0, 1.0), (1.0, 2.0)]


def test_folders_of_frames_need_a_rate_and_their_damage_is_passed_over(tmp_path: Path) -> None:
    write_frames(tmp_path / "v", 20)
    with pytest.raises(UsageError, match="in Python fps"):
        Windows(Video(tmp_path / "v"), CONTRACT, 1.0, 1.0)
    whole = Windows(Video(tmp_path / "v", 10.0), CONTRACT, 1.0, 0.5)
    expected = [levels(window.clips) for window in whole]
    assert len(whole) == 3
    assert whole.warnings == ()
    (tmp_path / "v" / "00013.jpg").write_bytes(b"")
    damaged = Windows(Video(tmp_path / "v", 10.0), CONTRACT, 1.0, 0.5)
    found = [levels(window.clips) for window in damaged]
    assert found[0] == expected[0]
    assert 12 in expected[1]
    assert 12 not in found[1] + found[2]
    assert len(damaged.warnings) == 1


def test_a_frame_that_cannot_be_decoded_is_passed_over(make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(info: VideoInfo, wanted: np.ndarray, *, in_order: bool, **where: object) -> object:
        frames = stream_frames(info, wanted, in_order=in_order, **where)
        return (pair for pair in frames if in_order or pair[0] != 12)

    monkeypatch.setattr(source, "stream_frames", lossy)
    path = make_video("a.mp4", 20)
    found = [levels(window.clips[:1]) for window in Windows(Video(path), CONTRACT, 1.0, 0.2)]
    assert [pair[0] for pair in found] == [0, 2, 4, 6, 8, 10]
    monkeypatch.setattr(source, "stream_frames", lambda info, wanted, **_: iter(()))
    with pytest.raises(VideoError, match="decodes differently"):
        list(Windows(Video(path), CONTRACT, 1.0, 0.2))


def test_a_cut_off_file_ends_where_it_can_be_decoded(cut_off_video: Path) -> None:
    found = Windows(Video(cut_off_video), CONTRACT, 1.0, 1.0)
    assert 1.0 < list(found)[-1].end_seconds < 4.0
    assert "cut off or damaged" in found.warnings[0]


def test_windows_whose_clips_repeat_frames_are_said_once(make_video: MakeVideo) -> None:
    path = make_video("slow.mkv", 10, times_ms=list(range(0, 4000, 400)))
    windows = Windows(Video(path), CONTRACT, 2.0, 1.0)
    list(windows)
    assert [sentence for sentence in windows.warnings if "repeat" in sentence and "are wanted" in sentence] != []
    assert len(windows.warnings) == 1
