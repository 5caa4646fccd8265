"""Frames reached by seeking and skipping are those that decoding the whole file in order gives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stzoo.video.container import Decoder
from stzoo.video.decode import probe, read_frames
from tests.conftest import remux, write_video

FRAMES = 60
WIDTH, HEIGHT = 128, 96  # x265 and SVT-AV1 crash on pictures that are much smaller
X265 = "keyint=12:min-keyint=12:open-gop=1:log-level=none"
X264 = "keyint=12:min-keyint=12:bframes=3:scenecut=0"
VFR_MS = [index * 40 + (index % 7) * 3 + (400 if index > 30 else 0) for index in range(FRAMES)]
FILES: dict[str, dict[str, object]] = {
    "plain.mp4": {"encoder": {"g": "12", "bf": "0"}},
    "bframes.mp4": {"encoder": {"x264-params": X264}},
    "open.mp4": {"encoder": {"x264-params": f"{X264}:open-gop=1"}},
    "open.mkv": {"encoder": {"x264-params": f"{X264}:open-gop=1"}},
    "open.ts": {"encoder": {"x264-params": f"{X264}:open-gop=1"}},
    "refresh.mp4": {"encoder": {"x264-params": "keyint=12:intra-refresh=1:bframes=0"}},
    "field.mp4": {"encoder": {"x264-params": f"{X264}:tff=1"}},
    "vfr.mp4": {"encoder": {"x264-params": X264}, "times_ms": VFR_MS},
    "vfr.mkv": {"encoder": {"x264-params": X264}, "times_ms": VFR_MS},
    "fragments.mp4": {"encoder": {"x264-params": X264}, "container": {"movflags": "frag_keyframe+empty_moov"}},
    "hevc.mp4": {"codec": "libx265", "encoder": {"x265-params": X265}},
    "vp9.webm": {"encoder": {"g": "12", "deadline": "realtime", "cpu-used": "8"}},
    "vp8.webm": {"codec": "libvpx", "encoder": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16"}},
    "asp.avi": {"encoder": {"g": "12", "bf": "0"}},
    "asp-b.avi": {"encoder": {"g": "12", "bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video", "encoder": {"g": "12", "bf": "2"}},
    "asp.mkv": {"codec": "mpeg4", "encoder": {"g": "12", "bf": "2"}},
    "a.gif": {},
}
"""Every made file: what is special about it, and how it is encoded."""


def moving_noise() -> np.ndarray:
    """Every frame differs from every other, and neighbours are alike enough to be predicted from each other."""
    wide = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, WIDTH // 8 + FRAMES, 3), dtype=np.uint8)
    wide = wide.repeat(8, axis=0).repeat(8, axis=1)
    return np.stack([wide[:, 8 * start : 8 * start + WIDTH] for start in range(FRAMES)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, np.ndarray]]:
    """Name -> file and all of its frames, decoded in order by PyAV alone."""
    folder = tmp_path_factory.mktemp("made")
    pixels = moving_noise()
    for name, options in FILES.items():
        write_video(folder / name, FRAMES, width=WIDTH, height=HEIGHT, pixels=pixels, **options)
    for name in ("open.mkv", "open.ts", "bframes.mp4"):
        remux(folder / name, folder / f"headless-{name}", lambda number: number >= 5)
    return {path.name: (path, in_order(path)) for path in folder.iterdir()}


def in_order(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("name", [*FILES, "headless-open.mkv", "headless-open.ts", "headless-bframes.mp4"])
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_frames_are_those_of_the_whole_file(
    made: dict[str, tuple[Path, np.ndarray]], name: str, data: st.DataObject
) -> None:
    path, frames = made[name]
    info = probe(path)
    assert info.frames == len(frames)
    assert not info.truncated
    indices = data.draw(st.lists(st.integers(0, info.frames - 1), min_size=1, max_size=6))
    found = read_frames(info, np.array(indices), np.array)
    assert sorted(found) == sorted(set(indices))
    for index, frame in found.items():
        np.testing.assert_array_equal(frame, frames[index])


SEEKABLE = [name for name in FILES if name not in ("a.gif", "asp-b.avi", "refresh.mp4")]


@pytest.mark.parametrize("name", SEEKABLE)
def test_what_is_not_needed_is_not_decoded(
    made: dict[str, tuple[Path, np.ndarray]], name: str, decoded: list[int]
) -> None:
    """Twelve frames from keyframe to keyframe, of sixty."""
    info = probe(made[name][0])
    assert len(info.keyframes) >= 5
    decoded.clear()
    assert sorted(read_frames(info, np.array([40, 41]), np.shape)) == [40, 41]
    assert sum(decoded) <= 24


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames each packet gave, as they are decoded."""
    counts: list[int] = []
    decode = Decoder.decode

    def counted(self: Decoder, packet: object) -> list[object]:
        frames = decode(self, packet)
        counts.append(len(frames))
        return frames

    monkeypatch.setattr(Decoder, "decode", counted)
    return counts


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg program to compare with")
@pytest.mark.parametrize("name", ["bframes.mp4", "open.mkv", "vfr.mp4", "hevc.mp4", "vp9.webm"])
def test_ffmpeg_selects_the_same_frames(made: dict[str, tuple[Path, np.ndarray]], name: str) -> None:
    path, _ = made[name]
    wanted = [0, 13, 14, 40, 59]
    select = "+".join(f"eq(n\\,{index})" for index in wanted)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", f"select={select}", "-fps_mode", "passthrough"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    expected = np.frombuffer(raw.stdout, dtype=np.uint8).reshape(len(wanted), HEIGHT, WIDTH, 3)
    found = read_frames(probe(path), np.array(wanted), np.array)
    np.testing.assert_array_equal(np.stack([found[index] for index in wanted]), expected)
