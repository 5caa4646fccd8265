"""What people's files hold: each kind made small, and read for what it shows."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.errors import VideoError
from stzoo.video import container
from stzoo.video.decode import probe
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from tests.conftest import LEVELS, MakeVideo, remux

CONTRACT = InputContract(frames=4, fps=5.0, clips=3, resize=24, crop=16)
X265 = {"x265-params": "log-level=none"}
SIZE = {"width": 128, "height": 96}  # x265 and SVT-AV1 crash on pictures that are much smaller
KINDS: dict[str, dict[str, object]] = {
    "h264.mp4": {},
    "h264.mov": {},
    "h264.mkv": {},
    "h264.ts": {},
    "h264.avi": {"codec": "libx264"},
    "hevc.mp4": {"codec": "libx265", "encoder": X265, **SIZE},
    "hevc.mkv": {"codec": "libx265", "encoder": X265, **SIZE},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "vp9.mp4": {"codec": "libvpx-vp9"},
    "av1.mp4": {"codec": "libsvtav1", "encoder": {"preset": "12", "svtav1-params": "lp=1"}, **SIZE},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg2.ts": {"codec": "mpeg2video"},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "animation.gif": {},
    "odd.mp4": {"width": 47, "height": 31},
    "ten-bit.mp4": {"pix_fmt": "yuv420p10le"},
    "ten-bit.mkv": {"codec": "libx265", "pix_fmt": "yuv420p10le", "encoder": X265, **SIZE},
    "full-range.mp4": {"pix_fmt": "yuvj420p"},
    "interlaced.mp4": {"encoder": {"x264-params": "tff=1"}},
    "b-frames.mp4": {"encoder": {"bf": "3", "b_strategy": "0"}},
    "sound.mp4": {"audio": True},
}


@pytest.fixture(autouse=True)
def quiet() -> None:
    os.environ["SVT_LOG"] = "0"


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_its_frames(make_video: MakeVideo, name: str) -> None:
    read = read_clips(Video(make_video(name, 20, fps=10, **KINDS[name])), CONTRACT)
    assert read.warnings == ()
    assert read.info.frames == 20
    levels = read.clips.mean(axis=(2, 3, 4)) / LEVELS
    expected = [[0, 2, 4, 6], [6, 8, 10, 12], [13, 15, 17, 19]]
    np.testing.assert_allclose(levels, expected, atol=1.4 if name.endswith(".gif") else 0.6)


def test_full_range_is_not_taken_for_limited(make_video: MakeVideo) -> None:
    white = np.full((4, 32, 48, 3), 255, dtype=np.uint8)
    for pix_fmt in ("yuvj420p", "yuv420p"):
        path = make_video(f"{pix_fmt}.mp4", 4, pixels=white, pix_fmt=pix_fmt)
        assert read_clips(Video(path), CONTRACT).clips.min() >= 253
        grey = make_video(f"grey-{pix_fmt}.mp4", 4, pixels=white // 2, pix_fmt=pix_fmt)
        assert np.abs(read_clips(Video(grey), CONTRACT).clips.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("rotate", [0, 90])
def test_pixels_are_shown_in_their_aspect(make_video: MakeVideo, rotate: int) -> None:
    """A white square as it is shown, half as many columns as rows as it is stored, stays a square."""
    pixels = np.zeros((2, 32, 48, 3), dtype=np.uint8)
    pixels[:, 8:24, 20:28] = 255
    path = make_video("wide.mp4", 2, pixels=pixels, pixel_aspect=Fraction(2), rotate=rotate)
    info = probe(path)
    assert (info.width, info.height, info.pixel_aspect) == ((32, 48, 0.5) if rotate else (48, 32, 2.0))
    bright = read_clips(Video(path), CONTRACT.model_copy(update={"resize": 32, "crop": 32})).clips[0, 0, ..., 0] > 127
    for axis in (0, 1):
        assert bright.any(axis=axis).sum() == pytest.approx(16, abs=2)


@pytest.mark.parametrize("aspect", [Fraction(1, 100), Fraction(100)])
def test_an_absurd_aspect_is_ignored(make_video: MakeVideo, aspect: Fraction) -> None:
    assert probe(make_video("thin.mp4", 2, pixel_aspect=aspect)).pixel_aspect == 1.0


def test_a_first_frame_that_is_no_keyframe(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("whole.mkv", 20, encoder={"x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=2"})
    for name in ("late.mkv", "late.mp4", "late.ts"):
        remux(path, tmp_path / name, lambda number: number >= 3)
        read = read_clips(Video(tmp_path / name), CONTRACT)
        assert read.info.frames == 10
        assert read.warnings == ()
        np.testing.assert_allclose(read.clips[0, 0].mean() / LEVELS, 10, atol=0.6)


@pytest.mark.parametrize("side", [12_000, 65_000])
@pytest.mark.parametrize("name", ["large.avi", "large.gif"])
def test_sizes_are_bounded_before_memory_is_taken(make_video: MakeVideo, name: str, side: int) -> None:
    codec = {"codec": "mjpeg", "pix_fmt": "yuvj420p"} if name == "large.avi" else {}
    path = make_video(name, 4, **codec)
    content = bytearray(path.read_bytes())
    if name == "large.avi":
        start = content.index(b"\xff\xc0") + 5
        content[start : start + 4] = side.to_bytes(2, "big") * 2
    else:
        content[6:10] = side.to_bytes(2, "little") * 2
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(VideoError):
        assert probe(path).width == 48
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_pictures_that_grow_beyond_the_bound_are_not_decoded(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("a.mp4", 4)
    monkeypatch.setattr(container, "_OPTIONS", {**container._OPTIONS, "max_pixels": "100"})
    with pytest.raises(VideoError):
        probe(path)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.mp4"))
        for path in (tmp_path / "pipe.mp4", tmp_path / "socket.mp4", Path("/dev/null"), Path("/dev/zero")):
            with pytest.raises(VideoError, match=f"{path} is not a regular file"):
                probe(path)
        (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
        with pytest.raises(VideoError, match="symbolic links"):
            probe(tmp_path / "loop.mp4")


def test_text_in_any_encoding_is_called_text(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text("eine Einkaufsliste, größer als nötig\n" * 200, encoding=encoding)
        with pytest.raises(VideoError, match=r"is a text file|not a video"):
            probe(path)


def test_a_file_whose_picture_is_only_its_cover_has_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=16000)
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    with pytest.raises(VideoError, match="no video track, only audio"):
        probe(path)
