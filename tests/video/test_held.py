from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from stzoo.errors import UsageError, VideoError
from stzoo.video.container import opened
from stzoo.video.decode import probe
from stzoo.video.held import ArrayFrames, DecodedFrames, HeldFile, size_of
from tests.conftest import MakeVideo

FRAMES = np.random.default_rng(0).integers(0, 256, (11, 6, 8, 3), np.uint8)


class FakeDecoder:
    """What torchcodec's `VideoDecoder` does, of these frames."""

    def __init__(self, frames: np.ndarray, *, channels_first: bool = True, fps: float = 10.0) -> None:
        self._frames = torch.from_numpy(frames)
        self._first = channels_first
        self.metadata = SimpleNamespace(pixel_aspect_ratio=Fraction(0), average_fps=fps)  # 0: the file says none
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self._frames)

    def get_frames_at(self, indices: list[int]) -> SimpleNamespace:
        self.asked += indices
        frames = self._frames[indices]
        data: Tensor = frames.permute(0, 3, 1, 2) if self._first else frames
        return SimpleNamespace(
            data=data, pts_seconds=torch.tensor(indices, dtype=torch.float64) / self.metadata.average_fps
        )


def test_frames_are_the_same_in_every_layout() -> None:
    tensor = torch.from_numpy(FRAMES)
    for frames in (
        FRAMES,
        list(FRAMES),
        FRAMES.transpose(0, 3, 1, 2),
        tensor,
        tensor.permute(0, 3, 1, 2),
        list(tensor),
    ):
        held = ArrayFrames("<frames>", frames)
        assert (held.size, held.count, held.times_seconds()) == ((6, 8), 11, None)
        for index, frame in held.pictures(np.array([0, 3, 10])):
            np.testing.assert_array_equal(frame, FRAMES[index])
    (first, *_) = ArrayFrames("<frames>", FRAMES[..., ::-1], bgr=True).pictures(np.array([7]))
    np.testing.assert_array_equal(first[1], FRAMES[7])


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        (FRAMES.astype(np.float32), "are float32, and frames are uint8"),
        (torch.zeros(2, 3, 6, 8), "are float32, and frames are uint8"),
        (FRAMES[0], "are one frame, and frames of one video are"),
        (FRAMES[None], ".* give several videos as a list"),
        (FRAMES[..., :1], r"are uint8 \[11, 6, 8, 1\]"),
        (FRAMES[:0], r"are uint8 \[0, 6, 8, 3\]"),
        (np.zeros((2, 3, 6, 3), np.uint8), ".* can be read in both layouts"),
        ([FRAMES[0], FRAMES[0, :4]], r"differ: number 1 is uint8 \[4, 8, 3\]"),
        ([FRAMES[0], FRAMES[0] / 255], "differ: number 1 is float64"),
    ],
)
def test_what_is_no_frames_is_said(frames: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"<frames> {sentence}"):
        ArrayFrames("<frames>", frames)


@pytest.mark.parametrize("channels_first", [True, False])
def test_a_decoder_is_asked_for_times_and_for_what_is_wanted(channels_first: bool) -> None:
    decoder = FakeDecoder(FRAMES, channels_first=channels_first)
    held = DecodedFrames("<decoder>", decoder)
    times = held.times_seconds()
    np.testing.assert_allclose(times, np.arange(11) / 10)
    decoder.asked.clear()
    for index, frame in held.pictures(np.array([0, 2, 10])):
        np.testing.assert_array_equal(frame, FRAMES[index])
    assert decoder.asked == [0, 2, 10]


def test_a_decoder_that_fails_or_holds_nothing_is_a_video_that_cannot_be_read() -> None:
    with pytest.raises(VideoError, match="<decoder> holds no frame"):
        DecodedFrames("<decoder>", FakeDecoder(FRAMES[:0]))
    decoder = FakeDecoder(FRAMES)
    decoder.get_frames_at = lambda indices: 1 // 0  # type: ignore[method-assign]
    with pytest.raises(VideoError, match="<decoder> fails at frame 0"):
        DecodedFrames("<decoder>", decoder)
    floats = FakeDecoder(FRAMES)
    floats._frames = floats._frames / 255
    with pytest.raises(UsageError, match="<decoder> are float32"):
        DecodedFrames("<decoder>", floats)


def test_bytes_are_a_file_that_opens_no_other(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("a.mp4", 4)
    held = HeldFile("<bytes>", path.read_bytes())
    assert size_of(held) == size_of(path)
    assert str(held) not in repr(held.content)
    with held.open() as file:
        assert file.read() == path.read_bytes()
    with opened(held) as (container, _):
        assert container.format.name.startswith("mov")
    listing = f"ffconcat version 1.0\nfile {path.name}\n".encode()
    (tmp_path / "list.ffconcat").write_bytes(listing + b"\0")
    with pytest.raises(VideoError, match="<bytes> is not a video"):
        probe(HeldFile("<bytes>", listing + b"\0"))
