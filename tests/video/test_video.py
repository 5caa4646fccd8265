from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.errors import UsageError
from stzoo.video.video import Video, archive_of, is_frame, part_of, split_part
from tests.data.layouts import write_frames, zip_frames


def test_a_video_is_named_as_it_was_written_and_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"12345")
    video = Video("./a.mp4")
    assert video.path == "./a.mp4"
    assert video.place == Path("a.mp4")
    assert video.exists
    assert video.size_and_time()[0] == 5
    assert not Video("./b.mp4").exists


def test_what_lies_in_a_zip_file_is_there_as_long_as_that_is(tmp_path: Path) -> None:
    zip_frames(tmp_path / "x.zip", ["1/"], 2)
    assert archive_of(tmp_path / "x.zip" / "1" / "2") == tmp_path / "x.zip"
    assert archive_of(tmp_path / "y.zip" / "1") is None
    inside = Video(tmp_path / "x.zip" / "1")
    assert inside.exists
    assert inside.size_and_time() == Video(tmp_path / "x.zip").size_and_time()
    assert not Video(tmp_path / "y.zip" / "1").exists
    with pytest.raises(OSError, match="No such file"):
        Video(tmp_path / "y.zip" / "1").size_and_time()


def test_the_time_of_a_folder_is_that_of_what_changed_last_in_it(tmp_path: Path) -> None:
    write_frames(tmp_path / "folder", 3)
    os.utime(tmp_path / "folder" / "00002.jpg", ns=(0, 2**62))
    assert Video(tmp_path / "folder").size_and_time()[1] == 2**62


@pytest.mark.parametrize(
    ("name", "expected"),
    [("00001.jpg", True), ("img_1.PNG", True), ("flow_x_00001.jpg", False), (".1.jpg", False), ("cover.jpg", False)],
)
def test_numbered_pictures_are_frames(name: str, expected: bool) -> None:
    assert is_frame(name) is expected


@given(st.floats(0, 1e5), st.floats(0.001, 1e5))
def test_the_path_of_a_part_says_which(start: float, length: float) -> None:
    path = part_of("a b.mp4", start, start + length)
    whole, part = split_part(path)
    assert whole == "a b.mp4"
    assert part == pytest.approx((start, start + length), abs=1e-6)
    assert Video(path).place == Path("a b.mp4")


@pytest.mark.parametrize("path", ["a.mp4", "a.mp4#t=", "a.mp4#t=x,2", "a.mp4#t=1,2,3", "a.mp4#t=-1,2", "#t=1,2"])
def test_other_paths_name_no_part(path: str) -> None:
    assert split_part(path) == (path, None)


def test_a_file_of_such_a_name_is_no_part_of_another(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4#t=1,2"
    path.touch()
    assert Video(path).place == path
    assert Video(path).part is None


def test_a_part_ends_after_it_starts() -> None:
    with pytest.raises(UsageError, match="ends before it starts"):
        Video("a.mp4#t=3,2")
