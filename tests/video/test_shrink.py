from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.video.clips import plan
from stzoo.video.decode import VideoInfo, probe, read_frames
from stzoo.video.shrink import OPTIONS, Shrunk, shrink, shrunk_size
from stzoo.video.source import Source, look_into
from stzoo.video.video import Video
from tests.conftest import LEVELS, MakeVideo
from tests.data.layouts import write_frames


def frames_of(path: Path) -> tuple[VideoInfo, np.ndarray]:
    info = probe(path)
    found = read_frames(info, np.arange(info.frames), np.array)
    return info, np.stack([found[index] for index in range(info.frames)]).astype(int)


def described(width: int, height: int, pixel_aspect: float) -> VideoInfo:
    return VideoInfo(Path("x"), width, height, 0, False, np.zeros(1), False, False, pixel_aspect=pixel_aspect)


def test_every_frame_keeps_its_time_and_is_smaller(make_video: MakeVideo, tmp_path: Path) -> None:
    times = [0, 40, 200, 250, 700, 710, 1500, 2000]
    path = make_video("a.mkv", 8, width=160, height=120, times_ms=[1000 + time for time in times], audio=True)
    assert shrink(Video(path), tmp_path / "new" / "b.mp4", 60) == Shrunk(8, False)
    info, frames = frames_of(tmp_path / "new" / "b.mp4")
    np.testing.assert_array_equal(info.timestamps_seconds, np.array(times) / 1000)
    assert info.last_seconds == pytest.approx(probe(path).duration_seconds - 2.0)
    assert frames.shape == (8, 60, 80, 3)
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), LEVELS * np.arange(8), atol=3)
    with av.open(str(tmp_path / "new" / "b.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["b.mp4"]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(15)])
def test_clips_have_the_frames_that_they_had(make_video: MakeVideo, tmp_path: Path, rate: Fraction) -> None:
    path = make_video("a.mp4", 40, fps=rate)
    shrink(Video(path), tmp_path / "b.mp4")
    before, after = (probe(each).timestamps_seconds for each in (path, tmp_path / "b.mp4"))
    for contract in (
        InputContract(frames=6, fps=float(rate) / 2, resize=16, crop=16, clips=4),
        InputContract(frames=6, fps=7.3, resize=16, crop=16, clips=4),
        InputContract(frames=6, stride_frames=3, resize=16, crop=16, clips=4),
    ):
        np.testing.assert_array_equal(plan(before, contract, 4), plan(after, contract, 4))


def test_there_is_a_keyframe_every_few_frames(make_video: MakeVideo, tmp_path: Path) -> None:
    shrink(Video(make_video("a.mp4", 50)), tmp_path / "b.mp4")
    info = probe(tmp_path / "b.mp4")
    assert np.diff([*info.keyframes, info.frames]).max() == int(OPTIONS["g"])


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(1 / 8, 8), st.integers(16, 512))
def test_no_side_grows_and_the_shape_stays(width: int, height: int, aspect: float, side: int) -> None:
    new_width, new_height = shrunk_size(described(width, height, aspect), side)
    assert new_width % 2 == new_height % 2 == 0
    assert new_width <= max(2, width)
    assert new_height <= max(2, height)
    factor = min(1.0, side / min(width * aspect, height))
    assert abs(new_width - width * factor) <= 2
    assert abs(new_height - height * factor) <= 2


def test_a_common_video_gets_the_common_size() -> None:
    assert shrunk_size(described(1920, 1080, 1.0), 256) == (456, 256)
    assert shrunk_size(described(1080, 1920, 1.0), 256) == (256, 456)
    assert shrunk_size(described(320, 240, 1.0), 256) == (320, 240)
    assert shrunk_size(described(720, 576, 16 / 15), 256) == (320, 256), "shown as 341x256"


@pytest.mark.parametrize(("rotate", "mirror"), [(90, False), (180, True), (270, False)])
def test_rotation_is_applied(make_video: MakeVideo, tmp_path: Path, rotate: int, mirror: bool) -> None:
    pixels = np.zeros((2, 34, 48, 3), np.uint8)
    pixels[:, :17, :24] = 200
    path = make_video("a.mp4", 2, width=48, height=34, pixels=pixels, rotate=rotate, mirror=mirror)
    shrink(Video(path), tmp_path / "b.mp4")
    info, frames = frames_of(tmp_path / "b.mp4")
    assert (info.rotation_degrees, info.mirrored) == (0, False)
    np.testing.assert_allclose(frames, frames_of(path)[1], atol=30)


def test_pixels_keep_their_aspect(make_video: MakeVideo, tmp_path: Path) -> None:
    shrink(Video(make_video("a.mp4", 2, pixel_aspect=Fraction(16, 11))), tmp_path / "b.mp4")
    assert probe(tmp_path / "b.mp4").pixel_aspect == pytest.approx(16 / 11)


def test_of_a_damaged_video_what_can_be_decoded_is_kept(cut_off_video: Path, tmp_path: Path) -> None:
    frames, truncated = shrink(Video(cut_off_video), tmp_path / "b.mp4")
    assert truncated
    assert probe(tmp_path / "b.mp4").frames == frames == look_into(Video(cut_off_video)).in_order().info.frames > 5


def test_frames_that_turn_out_to_be_damaged_are_left_out(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 48, 3), dtype=np.uint8)
    path = make_video("a.mp4", 40, pixels=noise, encoder={"g": "5", "bf": "0"})
    content = bytearray(path.read_bytes())
    start, stop = len(content) // 3, 3 * len(content) // 4
    content[start:stop] = bytes(stop - start)
    path.write_bytes(content)
    repaired = look_into(Video(path)).repaired().info
    assert 0 < repaired.frames < 40
    assert shrink(Video(path), tmp_path / "b.mp4") == Shrunk(repaired.frames, True)
    after = probe(tmp_path / "b.mp4").timestamps_seconds
    np.testing.assert_allclose(after, repaired.timestamps_seconds - repaired.timestamps_seconds[0], atol=1e-5)


def test_folders_of_frames_need_their_rate(tmp_path: Path) -> None:
    write_frames(tmp_path / "v", 6)
    (tmp_path / "v" / "00003.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match="frame-rate"):
        shrink(Video(tmp_path / "v"), tmp_path / "b.mp4")
    assert shrink(Video(tmp_path / "v", 5.0), tmp_path / "b.mp4") == Shrunk(5, True)
    np.testing.assert_allclose(probe(tmp_path / "b.mp4").timestamps_seconds, [0, 0.2, 0.6, 0.8, 1.0])


def test_nothing_is_left_of_what_cannot_be_written(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VideoError, match="does not exist"):
        shrink(Video(tmp_path / "no.mp4"), tmp_path / "b.mp4")
    path = make_video("a.mp4", 20)
    source = look_into(Video(path))

    def interrupted(self: Source, wanted: np.ndarray) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(source), "frames", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shrink(Video(path), tmp_path / "out" / "b.mp4")
    assert list((tmp_path / "out").iterdir()) == []
