from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stzoo.errors import UsageError, VideoError
from stzoo.video import render as module
from stzoo.video.decode import VideoInfo, probe, read_frames
from stzoo.video.given import given_video
from stzoo.video.render import render
from stzoo.video.video import Video
from tests.conftest import LEVELS, MakeVideo
from tests.data.layouts import write_frames


def labels(seconds: float) -> list[tuple[str, float]]:
    return [("left", 0.75), ("right", 0.25)] if seconds < 1 else [("right", 1.0)]


def nothing(seconds: float) -> list[tuple[str, float]]:
    return []


def frames_of(path: Path) -> tuple[VideoInfo, np.ndarray]:
    info = probe(path)
    found = read_frames(info, np.arange(info.frames), np.array)
    return info, np.stack([found[index] for index in range(info.frames)]).astype(int)


def sound_of(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        packets = list(container.demux(container.streams.audio[0])) if container.streams.audio else []
        return [(round(float(packet.pts * packet.time_base), 3), bytes(packet)) for packet in packets if packet.size]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frames_keep_their_times_and_what_the_labels_leave(make_video: MakeVideo, tmp_path: Path, suffix: str) -> None:
    times = [0, 40, 200, 250, 700, 710, 1500, 2000]
    path = make_video("a.mkv", 8, width=160, height=120, times_ms=[1000 + time for time in times])
    told: list[tuple[int, int]] = []
    output = tmp_path / "new" / f"out{suffix}"
    assert render(Video(path), output, labels, advance=lambda done, frames: told.append((done, frames))) == ()
    info, frames = frames_of(output)
    np.testing.assert_allclose(info.timestamps_seconds, np.array(times) / 1000, atol=1e-3)
    assert frames.shape == (8, 120, 160, 3)
    np.testing.assert_allclose(frames[:, :80].mean(axis=(1, 2, 3)), LEVELS * np.arange(8), atol=3)
    changed = frames.std(axis=(2, 3)).max(axis=1) > 20
    assert changed.all()
    assert np.abs(frames[5, 80:] - frames[0, 80:]).max() < 5 * LEVELS + 40
    assert np.abs(frames[6, 80:] - frames[5, 80:]).max() > 100
    assert told[-1] == (8, 8)
    assert [entry.name for entry in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize(("rotate", "mirror"), [(90, False), (180, True), (270, False)])
def test_rotated_videos_are_written_upright(make_video: MakeVideo, tmp_path: Path, rotate: int, mirror: bool) -> None:
    pixels = np.zeros((2, 34, 48, 3), np.uint8)
    pixels[:, :17, :24] = 200
    path = make_video("a.mp4", 2, width=48, height=34, pixels=pixels, rotate=rotate, mirror=mirror)
    render(Video(path), tmp_path / "out.mp4", nothing)
    info, frames = frames_of(tmp_path / "out.mp4")
    assert (info.rotation_degrees, info.mirrored) == (0, False)
    np.testing.assert_allclose(frames, frames_of(path)[1], atol=30)


@pytest.mark.parametrize(("width", "height"), [(49, 33), (48, 33), (2, 2), (1, 1), (16, 300)])
def test_any_size_is_written(make_video: MakeVideo, tmp_path: Path, width: int, height: int) -> None:
    path = make_video("a.mkv", 3, width=width, height=height, codec="ffv1", pix_fmt="bgr0")
    render(Video(path), tmp_path / "out.mp4", nothing)
    _, frames = frames_of(tmp_path / "out.mp4")
    assert frames.shape == (3, height + height % 2, width + width % 2, 3)
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), [0, LEVELS, 2 * LEVELS], atol=4)
    render(Video(path), tmp_path / "labelled.mp4", lambda seconds: [("straße 日本 $x^2$ " * 9, 0.5)])
    assert probe(tmp_path / "labelled.mp4").frames == 3


def test_pixels_keep_their_aspect(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("a.mp4", 2, pixel_aspect=Fraction(16, 11))
    render(Video(path), tmp_path / "out.mp4", labels)
    assert probe(tmp_path / "out.mp4").pixel_aspect == pytest.approx(16 / 11)


def test_without_the_encoder_of_h264_it_is_mpeg4(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "can_encode", lambda codec: False)
    render(Video(make_video("a.mp4", 12)), tmp_path / "out.mp4", nothing)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    info, frames = frames_of(tmp_path / "out.mp4")
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), LEVELS * np.arange(12), atol=4)
    np.testing.assert_allclose(info.timestamps_seconds, np.arange(12) / 10, atol=1e-3)


def test_sound_is_copied_up_to_the_end_of_the_pictures(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("a.mp4", 5, audio=True)
    before = sound_of(path)
    assert render(Video(path), tmp_path / "out.mp4", labels) == ()
    after = sound_of(tmp_path / "out.mp4")
    assert 0 < len(after) < len(before)
    first = [content for _, content in before].index(after[0][1])
    assert [content for _, content in after] == [content for _, content in before[first : first + len(after)]]
    np.testing.assert_allclose(
        [time for time, _ in after], [time for time, _ in before[first:][: len(after)]], atol=2e-3
    )
    assert after[-1][0] <= 0.5


def test_what_is_in_memory_is_rendered_as_its_file(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("a.mp4", 5, audio=True)
    for video in (Video(path), given_video(path.read_bytes()), given_video(frames_of(path)[1].astype(np.uint8), 10.0)):
        assert render(video, tmp_path / "out.mp4", labels) == ()
        if video.held is None:
            expected = frames_of(tmp_path / "out.mp4")[1], sound_of(tmp_path / "out.mp4")
        np.testing.assert_array_equal(frames_of(tmp_path / "out.mp4")[1], expected[0])
        assert sound_of(tmp_path / "out.mp4") == ([] if str(video.path) == "<frames>" else expected[1])


def test_sound_that_does_not_fit_is_left_out_with_a_sentence(make_video: MakeVideo, tmp_path: Path) -> None:
    silent = make_video("a.mp4", 5)
    path = tmp_path / "b.mkv"
    with av.open(str(silent)) as source, av.open(str(path), "w") as target:
        pictures = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("tta", rate=8000)
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = pictures
                target.mux(packet)
        target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    (sentence,) = render(Video(path), tmp_path / "out.mp4", labels)
    assert sentence == f"{tmp_path}/out.mp4 has no sound: tta cannot be copied into .mp4; .mkv takes more kinds."
    assert render(Video(path), tmp_path / "out.mkv", labels) == ()
    assert sound_of(tmp_path / "out.mp4") == []
    assert len(sound_of(tmp_path / "out.mkv")) == len(sound_of(path)) > 0


@pytest.mark.parametrize("name", ["one.mp4", "one.avi", "one.gif"])
def test_one_frame_is_a_video(make_video: MakeVideo, tmp_path: Path, name: str) -> None:
    render(Video(make_video(name, 1)), tmp_path / "out.mp4", labels)
    assert probe(tmp_path / "out.mp4").frames == 1


def test_a_folder_of_frames_is_written_at_its_rate(tmp_path: Path) -> None:
    write_frames(tmp_path / "v", 6)
    (tmp_path / "v" / "00003.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match="in Python fps"):
        render(Video(tmp_path / "v"), tmp_path / "out.mp4", labels)
    render(Video(tmp_path / "v", 5.0), tmp_path / "out.mp4", labels)
    np.testing.assert_allclose(probe(tmp_path / "out.mp4").timestamps_seconds, [0, 0.2, 0.6, 0.8, 1.0], atol=1e-3)


def test_a_cut_off_file_is_written_as_far_as_it_goes(cut_off_video: Path, tmp_path: Path) -> None:
    render(Video(cut_off_video), tmp_path / "out.mp4", labels)
    assert 5 < probe(tmp_path / "out.mp4").frames < 40


def test_an_interruption_leaves_no_file(make_video: MakeVideo, tmp_path: Path) -> None:
    def interrupt(seconds: float) -> list[tuple[str, float]]:
        if seconds > 0.5:
            raise KeyboardInterrupt
        return []

    path = make_video("a.mp4", 20)
    with pytest.raises(KeyboardInterrupt):
        render(Video(path), tmp_path / "out" / "out.mp4", interrupt)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_written_is_refused(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("a.mp4", 3)
    with pytest.raises(
        UsageError, match=r'out\.webm has the suffix "\.webm"; videos are written as \.mp4, \.mov, \.mkv'
    ):
        render(Video(path), tmp_path / "out.webm", labels)
    with pytest.raises(VideoError, match="does not exist"):
        render(Video(tmp_path / "no.mp4"), tmp_path / "out.mp4", labels)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
