from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.video.decode import probe
from tests.conftest import MakeVideo


@pytest.mark.parametrize("trailing", [b"", b"\0", b"\r\n", b"; more of anything \xff"])
def test_whatever_stands_behind_a_gif_it_is_whole(make_video: MakeVideo, trailing: bytes) -> None:
    path = make_video("a.gif", 6)
    path.write_bytes(path.read_bytes() + trailing)
    info = probe(path)
    assert (info.frames, info.truncated) == (6, False)


@pytest.mark.parametrize("name", ["a.gif", "a.avi", "a.ts"])
@pytest.mark.parametrize("part", [0.8, 0.9])
def test_a_file_that_ends_too_soon_is_known(make_video: MakeVideo, name: str, part: float) -> None:
    path = make_video(name, 30)
    assert not probe(path).truncated
    path.write_bytes(path.read_bytes()[: round(part * path.stat().st_size) + (name == "a.ts")])
    assert probe(path).truncated


def test_empty_chunks_of_an_avi_hold_a_frame_and_are_none(make_video: MakeVideo) -> None:
    """FFmpeg writes one for every frame that is not there at the file's rate, and counts it in the header."""
    path = make_video("gaps.avi", 10, times_ms=[0, 100, 200, 600, 700, 1000, 1100, 1200, 1300, 1400], fps=10)
    info = probe(path)
    assert (info.frames, info.truncated) == (10, False)
    assert info.duration_seconds == pytest.approx(1.5, abs=0.01)


def test_an_avi_that_was_never_closed_is_cut_off(make_video: MakeVideo, tmp_path: Path) -> None:
    content = bytearray(make_video("a.avi", 20).read_bytes())
    frames = content.index(b"movi") - 4
    content[4:8] = content[frames : frames + 4] = bytes(4)
    (tmp_path / "open.avi").write_bytes(content[: content.index(b"idx1")])
    assert probe(tmp_path / "open.avi").truncated
