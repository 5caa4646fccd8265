from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from stzoo.video.mp4 import composition_offsets, lacks_index
from tests.conftest import MakeVideo


def offsets_of(path: Path) -> list[int]:
    """Distance from decoding to showing of every packet, in their order in the file."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return [packet.pts - packet.dts for packet in packets if packet.pts is not None and packet.dts is not None]


@pytest.mark.parametrize("encoder", [{"bf": "0"}, {"bf": "3"}])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_offsets_are_those_of_the_packets(make_video: MakeVideo, name: str, encoder: dict[str, str]) -> None:
    path = make_video(name, 12, encoder=encoder)
    offsets = composition_offsets(path, 1, 12)
    assert offsets is not None
    np.testing.assert_array_equal(offsets - offsets.min(), np.array(offsets_of(path)) - min(offsets_of(path)))


def test_tables_that_make_no_sense_are_none(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("a.mp4", 12, encoder={"bf": "3"})
    assert composition_offsets(path, 1, 11) is None
    assert composition_offsets(path, 2, 12) is None
    assert composition_offsets(tmp_path / "nothing", 1, 12) is None
    content = bytearray(path.read_bytes())
    table = content.index(b"ctts")
    content[table + 8 : table + 12] = (2**32 - 1).to_bytes(4, "big")
    path.write_bytes(content)
    assert composition_offsets(path, 1, 12) is None


def test_fragments_have_no_table(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 12, container={"movflags": "frag_keyframe+empty_moov"})
    assert composition_offsets(path, 1, 12) is None


def test_an_mp4_without_its_index_is_known(make_video: MakeVideo, tmp_path: Path) -> None:
    content = make_video("a.mp4", 12).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: content.index(b"moov") - 4])
    assert lacks_index(tmp_path / "cut.mp4")
    assert not lacks_index(tmp_path / "a.mp4")
    assert not lacks_index(make_video("a.mkv", 4))
