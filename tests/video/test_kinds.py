from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from stzoo.data.examine import examine
from stzoo.errors import VideoError
from stzoo.video.decode import probe
from stzoo.video.kinds import unsupported_kind
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from tests.conftest import MakeVideo
from tests.data.layouts import picture
from tests.video.test_reader import CONTRACT


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    content = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(content)) + b"ftyp" + content + bytes(200)


def webp(flags: int) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes([flags]) + bytes(200)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (webp(0x02), "an animated WebP, which is not supported; convert it to GIF or MP4"),
        (ftyp(b"heic", b"mif1", b"heic"), "a HEIC picture"),
        (ftyp(b"mif1", b"heix"), "a HEIC picture"),
        (b"\xff\x0a" + bytes(100), "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100), "a JPEG XL picture"),
        (b"%PDF-1.7\n%\xff\xfe\0" + bytes(100), "a PDF document"),
    ],
)
def test_what_no_decoder_reads_is_called_by_its_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=f"^{path} is {words}"):
        probe(path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff", webp(0x10), ftyp(b"isom", b"iso2", b"avc1"), ftyp(b"msf1", b"hevc", b"heic"), b"RIFF"]
)
def test_what_may_be_decoded_is_left_to_the_decoder(content: bytes) -> None:
    assert unsupported_kind(content) is None


def test_a_video_has_no_such_kind(make_video: MakeVideo) -> None:
    assert unsupported_kind(make_video("a.mp4", 2).read_bytes()) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("start.jpg", "holds pictures without numbers in their names, which would say their order; name them 0001.jpg"),
        ("0001.jxl", "holds pictures as .jxl, which are not supported as frames"),
        ("notes.txt", ""),
    ],
)
def test_a_folder_of_other_pictures_is_told_how_to_become_a_video(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / name).write_bytes(picture(1))
    with zipfile.ZipFile(tmp_path / "frames.zip", "w") as file:
        file.writestr(name, picture(1))
    for place, otherwise in (("frames", "is a directory"), ("frames.zip", "holds no frames in its top folder")):
        with pytest.raises(VideoError, match=f"{place} {words or otherwise}"):
            read_clips(Video(tmp_path / place, 10.0), CONTRACT)
    assert (words or "a folder without frames") in str(examine(Video(tmp_path / "frames")).reason)
