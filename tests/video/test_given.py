"""Whatever a video is given as, its frames are those of the file that it comes from."""

from __future__ import annotations

import io
from collections import UserList
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.video.decode import probe, read_frames
from stzoo.video.given import are_several, given_video, given_videos
from stzoo.video.reader import read_clips, read_strip
from stzoo.video.video import Video
from stzoo.video.windows import Windows
from tests.conftest import MakeVideo
from tests.video.test_held import FakeDecoder
from tests.video.test_wild import KINDS as WILD

SIZES = {"resize": 24, "crop": 16}
CONTRACTS = [
    InputContract(frames=4, fps=7.0, clips=3, crops=3, **SIZES),
    InputContract(frames=4, stride_frames=3, clips=2, **SIZES),
    InputContract(frames=5, sampling="segments", clips=2, **SIZES),
    InputContract(frames=32, fps=10.0, clips=2, **SIZES),
    InputContract(frames=32, fps=10.0, clips=2, short_video="stretch", **SIZES),
    InputContract(frames=32, stride_frames=2, clips=2, **SIZES),
    InputContract(frames=32, stride_frames=2, clips=2, short_video="stretch", **SIZES),
]
AS_FRAMES: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda frames: frames,
    "list": list,
    "tensor": torch.from_numpy,
    "tensor, channels first": lambda frames: torch.from_numpy(frames).permute(0, 3, 1, 2),
    "list of tensors": lambda frames: list(torch.from_numpy(frames)),
    "decoder": FakeDecoder,
}


AS_FILE: dict[str, Callable[[Path], Any]] = {
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
}


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (23, 32, 48, 3), np.uint8)


@pytest.fixture
def path(make_video: MakeVideo, noise: np.ndarray) -> Path:
    """Twenty-three frames, ten a second: shorter than the longest clips."""
    return make_video("a.mp4", 23, fps=10, pixels=noise)


def decoded(path: Path) -> np.ndarray:
    info = probe(path)
    frames = read_frames(info, np.arange(info.frames), np.array)
    return np.stack([frames[index] for index in range(info.frames)])


def assert_equal(video: Video, path: Path) -> None:
    """Clips, strips and windows of a video are those of a file, to the bit."""
    for contract in CONTRACTS:
        ours, files = read_clips(video, contract), read_clips(Video(path), contract)
        np.testing.assert_array_equal(ours.clips, files.clips)
        np.testing.assert_allclose(ours.times_seconds, files.times_seconds, atol=1e-9)
        assert [text.replace(str(video.place), "it") for text in ours.warnings] == [
            text.replace(str(path), "it") for text in files.warnings
        ]
        np.testing.assert_array_equal(read_strip(video, contract, 6, 16), read_strip(Video(path), contract, 6, 16))
        for one, other in zip(
            Windows(video, contract, 1.0, 0.5), Windows(Video(path), contract, 1.0, 0.5), strict=True
        ):
            assert (one.start_seconds, one.end_seconds) == pytest.approx((other.start_seconds, other.end_seconds))
            np.testing.assert_array_equal(one.clips, other.clips)


@pytest.mark.parametrize("kind", AS_FRAMES)
def test_decoded_frames_with_their_rate_are_the_file(kind: str, path: Path) -> None:
    assert_equal(given_video(AS_FRAMES[kind](decoded(path)), None if kind == "decoder" else 10.0), path)


@pytest.mark.parametrize("kind", AS_FILE)
def test_the_bytes_of_a_file_are_the_file(kind: str, path: Path) -> None:
    assert_equal(given_video(AS_FILE[kind](path)), path)


@pytest.mark.parametrize("name", WILD)
def test_bytes_are_read_as_their_file_whatever_its_kind(name: str, make_video: MakeVideo) -> None:
    path = make_video(name, 20, fps=10, **WILD[name])
    ours, files = (read_clips(video, CONTRACTS[0]) for video in (given_video(path.read_bytes()), Video(path)))
    np.testing.assert_array_equal(ours.clips, files.clips)
    np.testing.assert_array_equal(ours.info.timestamps_seconds, files.info.timestamps_seconds)


def test_bytes_that_are_cut_off_are_repaired_as_their_file(cut_off_video: Path) -> None:
    video = given_video(cut_off_video.read_bytes())
    ours = read_clips(video, CONTRACTS[0])
    np.testing.assert_array_equal(ours.clips, read_clips(Video(cut_off_video), CONTRACTS[0]).clips)
    assert ours.warnings[0].startswith("<bytes> is cut off or damaged: only its ")
    windows = zip(
        Windows(video, CONTRACTS[1], 1.0, 1.0), Windows(Video(cut_off_video), CONTRACTS[1], 1.0, 1.0), strict=True
    )
    for one, other in windows:
        np.testing.assert_array_equal(one.clips, other.clips)


def test_one_frame_lasts_as_long_as_its_rate_says(make_video: MakeVideo) -> None:
    path = make_video("one.mp4", 1)
    assert_equal(given_video(decoded(path), 10.0), path)


def test_pixels_of_a_decoder_keep_their_aspect(make_video: MakeVideo) -> None:
    from fractions import Fraction

    path = make_video("thin.mp4", 20, pixel_aspect=Fraction(2, 1))
    decoder = FakeDecoder(decoded(path))
    decoder.metadata.pixel_aspect_ratio = Fraction(2, 1)
    assert_equal(given_video(decoder), path)


def test_colours_of_opencv_are_said(noise: np.ndarray) -> None:
    one, other = given_video(noise, 10.0), given_video(noise[..., ::-1], 10.0, "bgr")
    np.testing.assert_array_equal(read_clips(one, CONTRACTS[0]).clips, read_clips(other, CONTRACTS[0]).clips)
    with pytest.raises(UsageError, match="channels are about frames in memory"):
        given_video("a.mp4", channels="bgr")


def test_what_needs_no_rate_is_read_without_one(noise: np.ndarray) -> None:
    video = given_video(noise)
    for contract in CONTRACTS:
        if contract.fps is None:
            assert len(read_clips(video, contract).clips) == contract.clips
        else:
            with pytest.raises(UsageError, match=r"<frames> holds frames and not their rate, and .* a second are"):
                read_clips(video, contract)
    with pytest.raises(UsageError, match="<frames> holds frames and not their rate; say how many"):
        Windows(video, CONTRACTS[1], 1.0, 1.0)


def test_a_list_is_one_of_videos_or_of_frames(noise: np.ndarray) -> None:
    assert not any(map(are_several, ["a.mp4", b"", noise, list(noise), tuple(noise), torch.from_numpy(noise)]))
    assert all(map(are_several, [["a.mp4"], ("a.mp4", noise), [noise], [list(noise), b""]]))
    with pytest.raises(UsageError, match="an empty list was given"):
        are_several([])
    column = UserList([FakeDecoder(noise), FakeDecoder(noise)])
    assert are_several(column)
    assert [str(video.path) for video in given_videos(column)] == ["<decoder 1>", "<decoder 2>"]
    names = [str(video.path) for video in given_videos(["a.mp4", noise, b"x", FakeDecoder(noise), list(noise)])]
    assert names == ["a.mp4", "<frames 2>", "<bytes 3>", "<decoder 4>", "<frames 5>"]
    with pytest.raises(UsageError, match="<frames 2> are one frame"):
        list(given_videos(["a.mp4", noise[0]]))


def test_a_file_that_gives_no_bytes_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with path.open("rb") as file:
        video = given_video(file)
        assert_equal(video, path)
        assert video.place == path
        with pytest.raises(UsageError, match=r"a\.mp4 stands at its end, behind byte .* call seek\(0\) first"):
            given_video(file)
    with pytest.raises(UsageError, match="cannot be read"):
        given_video(file)
    with pytest.raises(UsageError, match="<file> gives str and not bytes"):
        given_video(io.StringIO("a"))  # type: ignore[arg-type]
    monkeypatch.setattr("stzoo.video.given.MOST_BYTES", 100)
    for large in (path.read_bytes(), io.BytesIO(path.read_bytes())):
        with pytest.raises(UsageError, match="write it to disk and give its path"):
            given_video(large)
