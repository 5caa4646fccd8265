from __future__ import annotations

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from stzoo.errors import VideoError
from stzoo.video import archives
from stzoo.video.archives import read_archive
from stzoo.video.images import find_frames
from stzoo.video.video import Video
from tests.data.layouts import picture, zip_frames


@pytest.mark.parametrize("entry", ["../1.jpg", "/1.jpg", "a/../../1.jpg", "a\\1.jpg"])
def test_a_zip_file_whose_entries_lead_out_of_it_is_refused(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(entry, picture(0))
    with pytest.raises(VideoError, match="leads out of the zip file"):
        find_frames(Video(path))


def test_a_zip_file_with_too_many_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zip_frames(tmp_path / "x.zip", ["1/"], 5)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 4)
    with pytest.raises(VideoError, match="holds 5 files, and at most 4 are listed; unpack it"):
        find_frames(Video(tmp_path / "x.zip"))


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_rare_ways_of_packing_are_refused(tmp_path: Path, packing: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", packing) as file:
        file.writestr("1.jpg", picture(0))
    with pytest.raises(VideoError, match=r"packs '1\.jpg' in a way that is not read here; pack it with Deflate"):
        find_frames(Video(tmp_path / "x.zip"))


def test_members_are_read_up_to_a_bound_and_damaged_ones_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/1.jpg", b"x" * 1000)
        file.writestr("a/2.jpg", picture(1))
    content = bytearray(path.read_bytes())
    place = (
        content.index(picture(1)[-40:])
        if picture(1)[-40:] in content
        else content.rindex(b"a/2.jpg", 0, len(content) // 2)
    )
    content[place + 20 : place + 30] = bytes(10)
    path.write_bytes(content)
    archive = read_archive(path)
    assert archive.folders == {"a": ["1.jpg", "2.jpg"]}
    assert archive.read("a/1.jpg", 1000) == b"x" * 1000
    assert archive.read("a/1.jpg", 999) is None
    assert archive.read("a/2.jpg", 10**6) is None
    assert archive.read("a/3.jpg", 10**6) is None


def test_a_directory_that_lies_about_its_length_is_refused(tmp_path: Path) -> None:
    """The count of a large archive stands in a record of its own."""
    zip_frames(tmp_path / "x.zip", ["1/"], 3)
    content = bytearray((tmp_path / "x.zip").read_bytes())
    end = content.rindex(b"PK\x05\x06")
    content[end + 10 : end + 12] = b"\xff\xff"
    large = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**9, 10**9, 0, 0)
    (tmp_path / "y.zip").write_bytes(content[:end] + large + content[end:])
    with pytest.raises(VideoError, match="holds 1,000,000,000 files"):
        read_archive(tmp_path / "y.zip")


def test_a_member_is_unpacked_no_further_than_it_claims(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("1.jpg", bytes(2**27))
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.index(mark) + place, 10)
    path.write_bytes(content)
    archive = read_archive(path)
    tracemalloc.start()
    try:
        assert archive.read("1.jpg", 2**20) is None
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
