from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import av
import numpy as np
import pytest

from stzoo.errors import VideoError
from stzoo.video.decode import decodable, probe, read_frames
from tests.conftest import LEVELS, MakeVideo


def greys(path: Path, indices: list[int]) -> dict[int, float]:
    return read_frames(probe(path), np.array(indices, dtype=np.int64), lambda frame: float(frame.mean()))


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.avi", "a.mkv", "a.ts", "a.mov"])
def test_every_container_gives_its_frames_in_order(make_video: MakeVideo, name: str) -> None:
    info = probe(make_video(name, 20, fps=10))
    assert (info.width, info.height, info.frames, info.rotation_degrees) == (48, 32, 20, 0)
    assert not info.truncated
    steps = np.diff(info.timestamps_seconds)
    np.testing.assert_allclose(steps, 0.1, atol=2e-3)
    found = greys(info.path, [0, 7, 19])
    assert sorted(found) == [0, 7, 19]
    for index, grey in found.items():
        assert grey == pytest.approx(LEVELS * index, abs=16 if name == "a.gif" else 6)


def test_h264_in_avi_is_counted(make_video: MakeVideo) -> None:
    """AVI stores no presentation times, and with B-frames what PyAV makes up is out of order."""
    info = probe(make_video("b.avi", 20, codec="libx264", encoder={"bf": "3"}))
    assert info.counted
    found = greys(info.path, list(range(20)))
    np.testing.assert_allclose([found[i] for i in range(20)], LEVELS * np.arange(20), atol=6)


def test_variable_frame_rates_keep_their_times(make_video: MakeVideo) -> None:
    times_ms = [0, 40, 80, 500, 540, 1500, 1540, 2000]
    info = probe(make_video("vfr.mkv", 8, fps=25, times_ms=times_ms))
    np.testing.assert_allclose(info.timestamps_seconds * 1000, times_ms, atol=1)
    assert greys(info.path, [5])[5] == pytest.approx(5 * LEVELS, abs=6)


@pytest.mark.parametrize(("width", "height"), [(47, 31), (2, 2), (130, 17)])
def test_odd_sizes(make_video: MakeVideo, width: int, height: int) -> None:
    info = probe(make_video("odd.mp4", 3, width=width, height=height))
    assert (info.width, info.height) == (width, height)
    shapes = read_frames(info, np.arange(3), lambda frame: frame.shape)
    assert shapes == dict.fromkeys(range(3), (height, width, 3))


def test_one_frame(make_video: MakeVideo) -> None:
    info = probe(make_video("one.mp4", 1))
    assert info.frames == 1
    assert not info.truncated
    assert list(greys(info.path, [0])) == [0]


def corners() -> np.ndarray:
    """Two frames with a white, a grey, a dark and a black quarter."""
    picture = np.zeros((32, 48, 3), dtype=np.uint8)
    picture[:16, :24], picture[:16, 24:], picture[16:, :24] = 250, 170, 90
    return np.stack([picture, picture])


def quarters(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    return frame.reshape(2, height, 2, width, 3).mean(axis=(1, 3, 4))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
def test_frames_are_turned_upright(make_video: MakeVideo, degrees: int, mirror: bool) -> None:
    path = make_video("turned.mp4", 2, pixels=corners(), rotate=degrees, mirror=mirror)
    info = probe(path)
    assert (info.width, info.height) == ((32, 48) if degrees % 180 else (48, 32))
    assert info.mirrored == mirror
    stored = quarters(corners()[0])
    shown = read_frames(info, np.array([1]), quarters)[1]
    turned = np.rot90(stored, degrees // 90)  # the display matrix turns counterclockwise, then flips
    np.testing.assert_allclose(shown, turned[:, ::-1] if mirror else turned, atol=6)
    if not mirror:
        assert info.rotation_degrees == degrees
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).rotation % 360 == degrees, "PyAV reads the same angle"


def test_only_wanted_frames_are_converted(make_video: MakeVideo) -> None:
    calls = []
    read_frames(probe(make_video("a.mp4", 20)), np.array([3, 3, 11]), calls.append)
    assert len(calls) == 2


def test_a_cut_off_file_is_known_and_read_as_far_as_it_goes(cut_off_video: Path) -> None:
    info = probe(cut_off_video)
    assert info.truncated
    assert 5 < info.frames < 35
    narrowed = decodable(info)
    assert narrowed.truncated
    assert 5 < narrowed.frames <= info.frames
    found = read_frames(narrowed, np.arange(narrowed.frames), lambda frame: 1)
    assert sorted(found) == list(range(narrowed.frames))


def test_a_cut_off_webm_is_known_by_its_duration(make_video: MakeVideo) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 32, 48, 3), dtype=np.uint8)
    path = make_video("cut.webm", 30, pixels=noise)
    assert not probe(path).truncated
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert probe(path).truncated


def test_a_cut_off_gif_is_known_by_its_missing_end(make_video: MakeVideo) -> None:
    path = make_video("cut.gif", 20)
    path.write_bytes(path.read_bytes()[:-60])
    info = probe(path)
    assert info.truncated
    assert info.frames > 10


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.avi", "a.ts"])
def test_random_damage_ends_in_frames_or_a_sentence(make_video: MakeVideo, tmp_path: Path, name: str) -> None:
    whole = np.frombuffer(make_video(name, 12).read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(0)
    for attempt in range(25):
        content = whole[: rng.integers(1, len(whole))].copy() if attempt % 2 else whole.copy()
        where = rng.integers(0, len(content), 10)
        content[where] = rng.integers(0, 256, 10)
        path = tmp_path / name
        path.write_bytes(content.tobytes())
        with contextlib.suppress(VideoError):
            info = decodable(probe(path))
            found = read_frames(info, np.arange(info.frames), np.shape)
            assert sorted(found) == list(range(info.frames))


def test_a_damaged_middle_costs_only_its_own_frames(make_video: MakeVideo) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 48, 3), dtype=np.uint8)
    path = make_video("damaged.mp4", 40, pixels=noise, encoder={"g": "5", "bf": "0"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    narrowed = decodable(probe(path))
    assert narrowed.frames >= 20
    assert narrowed.timestamps_seconds[-1] == pytest.approx(3.9, abs=0.05), "what follows the damage is read"


def bad_files(folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"{name}.mp4" for name in ("missing", "directory", "empty", "text", "noise", "playlist")}
    paths["directory"].mkdir()
    paths["empty"].touch()
    paths["text"].write_text("a shopping list\n" * 1000)
    paths["noise"].write_bytes(np.random.default_rng(0).bytes(5000))
    paths["playlist"].write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    return paths


def test_what_is_not_a_video_gets_a_sentence_of_its_own(tmp_path: Path, sound_file: Path) -> None:
    paths = bad_files(tmp_path) | {"sound": sound_file}
    words = {
        "missing": "does not exist",
        "directory": "is a directory",
        "empty": "is empty",
        "text": "text file",
        "noise": "not a video that can be read",
        "playlist": "text file",
        "sound": "no video track, only audio",
    }
    for name, path in paths.items():
        with pytest.raises(VideoError, match=words[name]) as caught:
            probe(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_addresses_and_patterns_that_are_no_files_are_called_so(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"^https://example.com/v\.mp4 is an address on the web; download the video"):
        probe(Path("https://example.com/v.mp4"))
    with pytest.raises(VideoError, match=r"\*\.nope does not exist, and no file matches it as a pattern; check"):
        probe(tmp_path / "*.nope")


def test_names_that_look_like_addresses_are_only_names(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video("concat:a%03d.mp4", 2)
    monkeypatch.chdir(tmp_path)
    assert probe("concat:a%03d.mp4").frames == 2


def test_a_header_without_pictures_is_refused(make_video: MakeVideo) -> None:
    path = make_video("header.mp4", 20, container={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 8])
    with pytest.raises(VideoError, match="no frame that can be decoded"):
        probe(path)


def test_nothing_is_left_open_and_nothing_is_printed(
    make_video: MakeVideo, cut_off_video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = make_video("good.mp4", 5)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    (tmp_path / "bad").mkdir()
    for path in (good, cut_off_video, *bad_files(tmp_path / "bad").values()):
        try:
            info = probe(path)
            read_frames(info, np.array([0]), lambda frame: 1)
            decodable(info)
        except VideoError:
            pass
        with pytest.raises(ZeroDivisionError):
            read_frames(probe(good), np.array([1]), lambda frame: 1 // 0)
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_download_that_ended_before_the_index_is_said_to_be_cut_off(make_video: MakeVideo, name: str) -> None:
    path = make_video(name, 20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"is cut off: the index at the end of this MP4 is missing; .* download"):
        probe(path)


def test_a_file_that_may_not_be_read(make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video("secret.mp4", 2)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(VideoError, match="Permission denied"):
        probe(path)


def test_a_path_that_the_system_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="cannot be opened"):
        probe(tmp_path / ("x" * 300))
