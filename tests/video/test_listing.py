from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.errors import VideoError
from stzoo.video import listing
from stzoo.video.container import Decoder
from stzoo.video.decode import VideoInfo, probe, read_frames
from stzoo.video.mp4 import composition_offsets
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from tests.conftest import LEVELS, MakeVideo, write_video

GOP, HOURS_3 = 20, 3 * 60 * 60


def repeat(source: Path, target: Path, frames: int) -> None:
    """One group of pictures after another, one frame a second, each a copy of the first group of `source`."""
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        copied = output.add_stream_from_template(stream)
        second = round(1 / stream.time_base)
        for start in range(0, frames, GOP):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = packet.pts + start * second, packet.dts + start * second
                again.time_base, again.is_keyframe, again.stream = stream.time_base, packet.is_keyframe, copied
                output.mux(again)


def moved(source: Path, target: Path, seconds: int, which: Callable[[int], bool] | None = None) -> Path:
    """A copy whose packets are shown later: all of them, or those that `which` accepts by their number."""
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        stream = container.streams.video[0]
        copied = output.add_stream_from_template(stream)
        for number, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
            ticks = round(seconds / packet.time_base)
            if which is None or which(number):
                packet.pts += ticks
            if which is None:
                packet.dts += ticks
            packet.stream = copied
            output.mux(packet)
    return target


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many packets are read and how many frames are decoded."""
    counts = {"packets": 0, "frames": 0}
    packets, decode = Decoder.packets, Decoder.decode

    def counted_packets(self: Decoder) -> object:
        for packet in packets(self):
            counts["packets"] += 1
            yield packet

    def counted_frames(self: Decoder, packet: object) -> list[object]:
        frames = decode(self, packet)
        counts["frames"] += len(frames)
        return frames

    monkeypatch.setattr(Decoder, "packets", counted_packets)
    monkeypatch.setattr(Decoder, "decode", counted_frames)
    return counts


@pytest.mark.parametrize(
    ("name", "encoder", "indexed"),
    [
        ("long.mp4", {"bf": "2", "g": str(GOP)}, True),
        ("long.avi", {"bf": "0", "g": str(GOP)}, True),
        ("long.mkv", {"bf": "2", "g": str(GOP)}, False),
        ("long.ts", {"bf": "2", "g": str(GOP)}, False),
        ("long.webm", {"g": str(GOP), "deadline": "realtime", "cpu-used": "8"}, False),
    ],
)
def test_three_hours_cost_what_their_clips_cost(
    tmp_path: Path, work: dict[str, int], name: str, encoder: dict[str, str], indexed: bool
) -> None:
    group = tmp_path / f"group{Path(name).suffix if 'bf' not in encoder or indexed else '.mp4'}"
    write_video(group, GOP, fps=1, encoder=encoder)
    repeat(group, tmp_path / name, HOURS_3)
    read = read_clips(Video(tmp_path / name), InputContract(frames=8, fps=1.0, clips=3, resize=24, crop=16))
    assert read.info.frames == HOURS_3
    assert not read.info.truncated
    levels = read.clips.mean(axis=(2, 3, 4)) / LEVELS
    first, middle = 0, (HOURS_3 - 8) // 2
    for clip, start in zip(levels, [first, middle, HOURS_3 - 8], strict=True):
        np.testing.assert_allclose(clip, [(start + step) % GOP for step in range(8)], atol=0.6)
    assert work["frames"] <= 1 + 3 * (GOP + 8)
    if indexed:
        assert work["packets"] < 20 * GOP


def test_files_written_one_behind_the_other_are_read_in_order(tmp_path: Path) -> None:
    for name, frames in (("a.ts", 12), ("b.ts", 8)):
        write_video(tmp_path / name, frames, encoder={"bf": "2"})
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join((tmp_path / name).read_bytes() for name in ("a.ts", "b.ts")))
    info = probe(joined)
    assert (info.frames, info.counted) == (20, True)
    np.testing.assert_allclose(info.duration_seconds, 2.0)
    found = read_frames(info, np.arange(20), np.mean)
    np.testing.assert_allclose([found[index] for index in range(20)], LEVELS * np.r_[:12, :8], atol=3)


@pytest.mark.parametrize("starts", [(0, 7200), (7200, 0), (0, 30)])
def test_a_jump_where_files_were_joined_is_closed(tmp_path: Path, starts: tuple[int, int]) -> None:
    write_video(tmp_path / "whole.ts", 20, encoder={"bf": "2"})
    parts = [moved(tmp_path / "whole.ts", tmp_path / f"{start}.ts", start) for start in starts]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    info = probe(joined)
    assert (info.frames, info.truncated) == (40, False)
    np.testing.assert_allclose(info.timestamps_seconds - info.timestamps_seconds[0], np.arange(40) / 10, atol=0.03)
    pictures = read_frames(info, np.arange(40), np.mean)
    np.testing.assert_allclose([pictures[index] for index in range(40)], LEVELS * np.tile(range(20), 2), atol=3)


@pytest.mark.parametrize("name", ["far.mp4", "far.mkv", "far.ts"])
@pytest.mark.parametrize("number", [9, 19])
def test_a_time_that_is_far_from_its_turn_is_not_believed(tmp_path: Path, name: str, number: int) -> None:
    write_video(tmp_path / "whole.mp4", 20, encoder={"bf": "2"})
    info = probe(moved(tmp_path / "whole.mp4", tmp_path / name, 10_800, lambda index: index == number))
    assert (info.frames, info.truncated) == (20, False)
    np.testing.assert_allclose(info.timestamps_seconds - info.timestamps_seconds[0], np.arange(20) / 10, atol=0.01)
    pictures = read_frames(info, np.arange(20), np.mean)
    np.testing.assert_allclose([pictures[index] for index in range(20)], LEVELS * np.arange(20), atol=3)


def test_the_index_of_an_mp4_gives_the_times_of_its_packets(make_video: MakeVideo, work: dict[str, int]) -> None:
    times_ms = [0, 40, 80, 500, 540, 1500, 1540, 2000, 2010, 2300]
    path = make_video("vfr.mp4", 10, times_ms=times_ms, encoder={"bf": "3"})
    info = probe(path)
    np.testing.assert_allclose(info.timestamps_seconds * 1000, times_ms, atol=1)
    assert work["packets"] < 10


def test_where_the_index_is_damaged_the_packets_are_asked(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands in the tables of an MP4, its frames have the times that its packets have."""
    path = make_video("b.mp4", 20, encoder={"bf": "3"})
    whole = path.read_bytes()
    tables = range(whole.index(b"moov"), len(whole))
    rng, by_index, by_packets = np.random.default_rng(0), composition_offsets, lambda *_: None
    answers = 0
    for _ in range(60):
        content = bytearray(whole)
        content[rng.choice(tables)] = rng.integers(256)
        path.write_bytes(content)
        found = []
        for offsets in (by_index, by_packets):
            monkeypatch.setattr(listing, "composition_offsets", offsets)
            try:
                found.append(probe(path))
            except VideoError as error:
                found.append(str(error))
        if isinstance(found[0], VideoInfo):
            answers += 1
            np.testing.assert_array_equal(found[0].timestamps_seconds, found[1].timestamps_seconds)
            np.testing.assert_array_equal(found[0].keyframes, found[1].keyframes)
            assert found[0].truncated == found[1].truncated
        else:
            assert found[0] == found[1]
    assert answers > 20


def test_a_cut_off_transport_stream_is_known_by_its_last_packet(make_video: MakeVideo) -> None:
    path = make_video("cut.ts", 20)
    assert not probe(path).truncated
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 // 188 * 188 + 100])
    assert probe(path).truncated


def test_a_video_that_begins_amid_a_group_begins_with_its_first_whole_frame(make_video: MakeVideo) -> None:
    path = make_video("late.ts", 20, encoder={"x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=0"})
    content = path.read_bytes()
    with av.open(str(path)) as container:
        starts = [packet.pos for packet in container.demux(video=0) if packet.pos is not None]
    head = content.index(b"\x47", 188 * 2)
    path.write_bytes(content[:head] + content[starts[4] :])
    read = read_clips(Video(path), InputContract(frames=4, fps=10.0, resize=24, crop=16), clips=1)
    assert read.warnings == ()
    assert read.info.frames == 10
    np.testing.assert_allclose(read.clips.mean(axis=(2, 3, 4))[0] / LEVELS, [13, 14, 15, 16], atol=0.6)
