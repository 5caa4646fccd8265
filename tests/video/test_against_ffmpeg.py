"""Frames, times and pixels beside those of the `ffmpeg` command, an independent judge, where it is installed.

docs/results/decoding.md records a run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from stzoo.video.decode import probe, read_frames

FFMPEG = shutil.which("ffmpeg")
pytestmark = pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is not installed")

SIZE = (64, 48)
H264 = "-c:v libx264 -g 12 -bf 2"
CODECS = {
    "h264": H264,
    "h264-all-key": "-c:v libx264 -g 1",
    "h264-open": "-c:v libx264 -x264-params keyint=12:open-gop=1:bframes=3:b-pyramid=normal",
    "h264-interlaced": "-c:v libx264 -g 12 -bf 2 -flags +ilme+ildct -x264-params interlaced=1",
    "hevc": "-c:v libx265 -x265-params log-level=none:keyint=12:open-gop=1",
    "mpeg4": "-c:v mpeg4 -g 12 -bf 0",
    "mpeg4-b": "-c:v mpeg4 -g 12 -bf 2",
    "mpeg2": "-c:v mpeg2video -g 12 -bf 2",
    "mjpeg": "-c:v mjpeg -pix_fmt yuvj420p",
    "vp8": "-c:v libvpx -g 12 -deadline realtime -cpu-used 8",
    "vp9": "-c:v libvpx-vp9 -g 12 -deadline realtime -cpu-used 8",
    "theora": "-c:v libtheora -g 12",
    "wmv2": "-c:v wmv2 -g 12",
    "gif": "-c:v gif",
}
CONTAINERS = {
    "mp4": ("h264", "h264-all-key", "h264-open", "h264-interlaced", "hevc", "mpeg4", "mpeg4-b", "vp9", "mjpeg"),
    "mov": ("h264", "hevc", "mjpeg"),
    "mkv": ("h264", "h264-open", "h264-interlaced", "hevc", "mpeg4-b", "mpeg2", "vp8", "vp9", "theora", "mjpeg"),
    "webm": ("vp8", "vp9"),
    "avi": ("h264-all-key", "h264", "mpeg4", "mjpeg"),
    "ts": ("h264", "h264-open", "h264-interlaced", "hevc", "mpeg2"),
    "mpg": ("mpeg2",),
    "flv": ("h264",),
    "ogv": ("theora",),
    "wmv": ("wmv2",),
    "3gp": ("h264",),
    "gif": ("gif",),
}
KINDS = [(container, codec) for container, codecs in CONTAINERS.items() for codec in codecs]


def ffmpeg(*words: str | Path) -> bytes:
    command = [str(FFMPEG), "-nostdin", "-v", "error", "-y", *map(str, words)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode:
        if b"Unknown encoder" in done.stderr:
            pytest.skip("this ffmpeg lacks the encoder")
        raise AssertionError(done.stderr.decode())
    return done.stdout


def film(path: Path, options: str = H264, source: str = "testsrc2=s=64x48:r=25:d=2", filters: str = "") -> Path:
    words = ["-f", "lavfi", "-i", source, *(["-vf", filters] if filters else []), "-fps_mode", "passthrough"]
    pixels = [] if "pix_fmt" in options or "gif" in options else ["-pix_fmt", "yuv420p"]
    ffmpeg(*words, *options.split(), *pixels, path)
    return path


def copied(source: Path, target: Path, *words: str, before: tuple[str, ...] = ()) -> Path:
    ffmpeg(*before, "-i", source, "-c", "copy", *words, target)
    return target


def judged(path: Path, size: tuple[int, int] = SIZE) -> np.ndarray:
    """The frames that ffmpeg decodes of the track that it takes for the best, [frames, height, width, 3]."""
    raw = ffmpeg("-i", path, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3)


def judged_times(path: Path, track: str = "v:0") -> np.ndarray:
    """When each decoded frame is shown, in seconds, in the order of showing."""
    command = ["ffprobe", "-v", "error", "-select_streams", track, "-show_entries"]
    command += ["frame=best_effort_timestamp_time", "-of", "json", str(path)]
    frames = json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)["frames"]
    return np.array([float(frame["best_effort_timestamp_time"]) for frame in frames])


def hold(
    path: Path, *, times: np.ndarray | None = None, tolerance: float = 0.002, size: tuple[int, int] = SIZE
) -> None:
    """Number, pixels and times of the frames are ffmpeg's, in order as well as one by one."""
    info, frames = probe(path), judged(path, size)
    assert info.frames == len(frames)
    assert not info.truncated
    ours = read_frames(info, np.arange(info.frames), np.array)
    assert len(ours) == len(frames)
    differences = [np.abs(ours[index].astype(int) - frame.astype(int)).mean() for index, frame in enumerate(frames)]
    assert max(differences) < 2.5, f"frame {int(np.argmax(differences))}"
    for index in (len(frames) // 2, len(frames) - 1):
        (alone,) = read_frames(info, np.array([index]), np.array).values()
        np.testing.assert_array_equal(alone, ours[index])
    expected = judged_times(path) if times is None else times
    seconds = info.timestamps_seconds
    np.testing.assert_allclose(seconds - seconds[0], expected - expected[0], atol=tolerance)


@pytest.mark.parametrize(("container", "codec"), KINDS, ids=[f"{codec}.{container}" for container, codec in KINDS])
def test_every_container_and_codec(tmp_path: Path, container: str, codec: str) -> None:
    # Colours of interlaced pictures are upsampled field by field in newer versions of FFmpeg, and were not before.
    path = film(tmp_path / f"film.{container}", CODECS[codec], filters="hue=s=0" if "interlaced" in codec else "")
    no_times = (container, codec) == ("avi", "h264")
    hold(
        path, times=np.arange(50) / 25 if no_times else None, tolerance=0.011 if container in ("gif", "flv") else 0.002
    )


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "ts", "flv"])
@pytest.mark.parametrize("options", [H264, CODECS["h264-open"]], ids=["closed", "open"])
def test_gaps_in_time(tmp_path: Path, container: str, options: str) -> None:
    hold(film(tmp_path / f"gaps.{container}", options, filters="select='lt(mod(n,20),7)'"))


@pytest.mark.parametrize("container", ["mp4", "mov"])
@pytest.mark.parametrize("start", ["0.2", "0.75", "1.3"])
def test_edit_lists(tmp_path: Path, container: str, start: str) -> None:
    whole = film(tmp_path / f"whole.{container}")
    hold(copied(whole, tmp_path / f"cut.{container}", before=("-ss", start)))


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "mov", "flv"])
@pytest.mark.parametrize("number", [20, 49])
def test_one_time_far_off(tmp_path: Path, container: str, number: int) -> None:
    """ffmpeg itself believes it; what is right is the film without the fault."""
    whole = film(tmp_path / f"whole.{container}")
    far = f"setts=pts='if(eq(N,{number}),PTS+10800/TB,PTS)'"
    path = copied(whole, tmp_path / f"far.{container}", "-bsf:v", far)
    hold(path, times=judged_times(whole))


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_equal_times(tmp_path: Path, container: str) -> None:
    whole = film(tmp_path / f"whole.{container}", "-c:v libx264 -g 12 -bf 0")
    twice = "setts=pts='if(eq(N,10),PREV_OUTPTS,PTS)':dts='if(eq(N,10),PREV_OUTPTS,PTS)'"
    path = copied(whole, tmp_path / f"twice.{container}", "-bsf:v", twice)
    hold(path, tolerance=0.05)


@pytest.mark.parametrize("offsets", [(100, 7300), (7300, 100), (100, 100), (0, 60)])
@pytest.mark.parametrize("codec", ["h264", "mpeg2"])
def test_transport_streams_one_behind_the_other(tmp_path: Path, offsets: tuple[int, int], codec: str) -> None:
    whole = film(tmp_path / "whole.ts", CODECS[codec])
    parts = [
        copied(whole, tmp_path / f"{number}.ts", "-output_ts_offset", str(offset))
        for number, offset in enumerate(offsets)
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    hold(joined, times=np.arange(100) / 25, tolerance=0.05)


@pytest.mark.parametrize("name", ["film.h264", "film.hevc", "film.m2v", "film.ivf", "film.y4m"])
def test_files_without_times(tmp_path: Path, name: str) -> None:
    codecs = {"h264": H264, "hevc": CODECS["hevc"], "m2v": CODECS["mpeg2"], "ivf": CODECS["vp9"], "y4m": ""}
    hold(film(tmp_path / name, codecs[name.partition(".")[2]]), times=np.arange(50) / 25)


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_the_best_of_several_tracks(tmp_path: Path, container: str) -> None:
    whole = film(tmp_path / f"whole.{container}")
    preview = film(tmp_path / f"preview.{container}", source="color=black:s=32x32:r=25:d=2")
    both = tmp_path / f"both.{container}"
    maps = "-map 0:v -map 1:v -c copy -disposition:v:0 0 -disposition:v:1 default"
    ffmpeg("-i", preview, "-i", whole, *maps.split(), both)
    hold(both, times=judged_times(both, "v:1"))


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_rotation(tmp_path: Path, container: str, degrees: int) -> None:
    whole = film(tmp_path / f"whole.{container}")
    path = tmp_path / f"turned.{container}"
    ffmpeg("-i", whole, "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", path)
    hold(path, size=SIZE if degrees == 180 else SIZE[::-1])


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_wide_pixels(tmp_path: Path, container: str) -> None:
    path = film(tmp_path / f"wide.{container}", filters="setsar=16/11")
    hold(path)
    assert probe(path).pixel_aspect == pytest.approx(16 / 11)


@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_a_recording_that_begins_amid_a_group(tmp_path: Path, container: str) -> None:
    whole = film(tmp_path / "whole.ts", CODECS["h264-open"])
    content = whole.read_bytes()
    late = tmp_path / "late.ts"
    late.write_bytes(content[: 3 * 188] + content[len(content) // 3 // 188 * 188 :])
    path = late if container == "ts" else copied(late, tmp_path / f"late.{container}")
    info, frames = probe(path), judged(path)
    assert len(frames) - 4 <= info.frames <= len(frames)  # ffmpeg shows frames whose pictures lack what they refer to
    ours = read_frames(info, np.arange(info.frames), np.array)
    np.testing.assert_allclose(ours[info.frames - 1], frames[-1], atol=8)


@pytest.mark.parametrize("container", ["mp4", "mkv", "avi", "ts", "gif"])
def test_how_long_a_film_lasts(tmp_path: Path, container: str) -> None:
    options = CODECS["gif"] if container == "gif" else "-c:v libx264 -bf 0"
    assert probe(film(tmp_path / f"film.{container}", options)).duration_seconds == pytest.approx(2.0, abs=0.045)
