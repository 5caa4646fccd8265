from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from stzoo.cli.inputs import videos
from stzoo.errors import UsageError
from stzoo.video.held import HeldFile
from tests.conftest import MakeVideo


def files(arguments: Iterable[str], *, frames: bool = False) -> list[str]:
    return [str(video.path) for video in videos(arguments, 10.0 if frames else None)]


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.MP4", "a.webm", "notes.txt", ".hidden.mp4", "sub/c.mkv", ".git/d.mp4", "empty/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_is_its_videos_in_order(folder: Path) -> None:
    expected = [str(folder / name) for name in ("a.webm", "b.MP4", "sub/c.mkv")]
    assert files([str(folder)]) == expected
    assert files([str(folder / "b.MP4"), str(folder)]) == [expected[1], *expected]


def test_what_cameras_and_discs_write_counts_as_videos(tmp_path: Path) -> None:
    for name in ("00001.M2TS", "MVI.mts", "VTS_01_1.VOB", "clip.mxf", "subtitles.srt", "cover.jpg"):
        (tmp_path / name).touch()
    assert files([str(tmp_path)]) == [
        str(tmp_path / name) for name in ("00001.M2TS", "MVI.mts", "VTS_01_1.VOB", "clip.mxf")
    ]


def test_what_is_passed_over_is_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "@eaDir").mkdir()
    (folder / "@eaDir/e.mp4").touch()
    (folder / "linked").symlink_to(folder)
    assert len(files([str(folder)])) == 3
    expected = f"2 files in {folder} passed over, because their names end like no video's (.txt).\n"
    assert capsys.readouterr().err == expected
    (folder / "1.jpg").touch()
    (folder / "sub" / "f").mkdir()
    (folder / "sub" / "f" / "1.jpg").touch()
    assert str(folder / "sub" / "f") in files([str(folder)], frames=True)
    assert capsys.readouterr().err == expected.replace("2 files", "3 files").replace(".txt", ".txt, .jpg")
    files([str(folder / "a.webm"), str(folder / "empty")])
    assert not capsys.readouterr().err


def test_names_are_found_however_they_are_spelt(tmp_path: Path) -> None:
    (tmp_path / "cafe\u0301.mp4").touch()
    assert files([str(tmp_path / "caf\u00e9.mp4")]) == [str(tmp_path / "cafe\u0301.mp4")]


@pytest.mark.parametrize("listing", [b"\xef\xbb\xbfbase.mp4\r\nbase.mp4\r\n", b"base.mp4\n\nbase.mp4"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_list_may_begin_with_a_byte_order_mark(
    monkeypatch: pytest.MonkeyPatch, listing: bytes, encoding: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(listing), encoding=encoding))
    assert files(["-"]) == ["base.mp4", "base.mp4"]


def test_a_list_in_utf_16_and_an_empty_path_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("a.mp4\n".encode("utf-16")), encoding="utf-8"))
    with pytest.raises(UsageError, match="UTF-16"):
        files(["-"])
    with pytest.raises(UsageError, match="an empty path was given"):
        files([""])


def test_a_pattern_is_what_it_matches_and_a_file_called_like_one_is_itself(folder: Path) -> None:
    assert files([f"{folder}/*.[mM]*"]) == [str(folder / "b.MP4")]
    assert files([f"{folder}/*"]) == [
        str(folder / name) for name in ("a.webm", "b.MP4", "empty", "notes.txt", "sub/c.mkv")
    ]
    (folder / "[ab].webm").touch()
    assert files([f"{folder}/[ab].webm"]) == [str(folder / "[ab].webm")]


def test_what_means_nothing_is_kept_to_be_named(folder: Path) -> None:
    words = [f"{folder}/*.gif", f"{folder}/empty", f"{folder}/missing.mp4"]
    assert files(words) == words


def test_standard_input_lists_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, os.fsencode(f"{folder}/a b.mp4\r\n\n{folder}/sub\n"))
    assert files(["-", "x.mp4"]) == [f"{folder}/a b.mp4", f"{folder}/sub/c.mkv", "x.mp4"]
    pipe(monkeypatch, b"\n")
    with pytest.raises(UsageError, match="holds no video and lists none"):
        files(["-"])


def test_listed_names_are_bytes_in_any_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\xff.mp4\n"), encoding="utf-8", errors="strict"))
    assert files(["-"]) == [os.fsdecode(b"a\xff.mp4")]


def test_folders_of_numbered_pictures_are_videos_if_asked_for(folder: Path) -> None:
    for name in ("sub/1.jpg", "frames/x_001.png", "flow/flow_x_1.jpg", ".git/1.jpg", "named/cover.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    videos = [str(folder / name) for name in ("a.webm", "b.MP4", "frames", "sub/c.mkv")]
    assert files([str(folder)], frames=True) == videos
    assert files([str(folder)]) == [path for path in videos if path != str(folder / "frames")]
    assert files([str(folder / "frames")], frames=True) == [str(folder / "frames")]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.gif", "a.y4m"])
def test_standard_input_is_a_video_or_a_list_of_them(
    name: str, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"codec": "rawvideo"} if name == "a.y4m" else {"codec": "libx264"} if name == "a.ts" else {}
    content = make_video(name, 3, **options).read_bytes()
    pipe(monkeypatch, content)
    first, again, other = videos(["-", "-", "b.mp4"], 25.0)
    assert first == again
    assert isinstance(first.held, HeldFile)
    assert (first.path, str(first.place), first.held.content) == ("-", "standard input", content)
    assert (other.path, other.held) == ("b.mp4", None)


def test_a_list_that_zero_bytes_divide_is_no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, "videos/é.mp4\0b.mp4\0".encode())
    with pytest.raises(UsageError, match="standard input holds zero bytes"):
        videos(["-"])
    pipe(monkeypatch, b"-\n")
    (video,) = videos(["-"])
    assert (video.path, video.held) == ("-", None)
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        videos(["-"])
