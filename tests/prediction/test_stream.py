from __future__ import annotations

import itertools
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.prediction.stream import Stream, WindowScores, follow_live
from stzoo.prediction.timeline import follow
from stzoo.video.given import given_video
from stzoo.video.live import live_frames
from tests.video.test_live import serving

CONTRACTS = (
    InputContract(frames=4, fps=5.0, clips=2, resize=20, crop=16),
    InputContract(frames=3, stride_frames=2, clips=1, crops=3, resize=20, crop=16, short_video="stretch"),
)


def pictures(count: int, width: int = 32) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 24, width, 3), dtype=np.uint8)


def scores_of(clips: np.ndarray) -> np.ndarray:
    """Numbers that tell any two sets of clips apart."""
    flat = clips.reshape(-1).astype(np.float64)
    return np.array([flat @ np.cos(np.arange(len(flat))), flat.mean()], dtype=np.float32)


def stream(contract: InputContract = CONTRACTS[0], **options: object) -> Stream:
    return Stream(contract, ("a", "b"), scores_of, **options)  # type: ignore[arg-type]


def assert_is_the_timeline(
    found: list[WindowScores], frames: np.ndarray, contract: InputContract, **lengths: float | None
) -> None:
    expected = follow(given_video(frames, lengths.pop("fps")), contract, ("a", "b"), scores_of, **lengths)
    spans = np.array([(window.start_seconds, window.end_seconds) for window in found])
    np.testing.assert_allclose(spans, expected.spans_seconds, atol=2e-6)
    np.testing.assert_array_equal([window.scores for window in found], expected.scores)


@settings(max_examples=25)
@given(
    count=st.integers(1, 60),
    fps=st.sampled_from([1.0, 7.5, 10.0, 24000 / 1001]),
    window_seconds=st.sampled_from([0.05, 0.4, 1.0, 2.3]),
    hop_seconds=st.sampled_from([0.07, 0.3, 1.0, 3.0]),
    contract=st.sampled_from(CONTRACTS),
    clips=st.sampled_from([None, 1, 3]),
)
def test_windows_are_those_of_the_timeline_of_the_same_frames(
    count: int, fps: float, window_seconds: float, hop_seconds: float, contract: InputContract, clips: int | None
) -> None:
    frames = pictures(count)
    lengths = {"window_seconds": window_seconds, "hop_seconds": hop_seconds, "clips": clips}
    found = list(stream(contract, fps=fps, **lengths).over(frames))
    assert_is_the_timeline(found, frames, contract, fps=fps, **lengths)


def test_a_window_is_answered_with_the_frame_that_fills_it() -> None:
    filling = stream(fps=10.0, window_seconds=1.0, hop_seconds=0.5)
    counts = [len(filling.push(frame)) for frame in pictures(22)]
    assert counts == [int(index in (9, 14, 19)) for index in range(22)]
    (last,) = filling.finish()
    assert (last.start_seconds, last.end_seconds) == (pytest.approx(1.2), pytest.approx(2.2))
    assert last.label in ("a", "b")


def test_times_of_any_clock_stand_for_a_rate() -> None:
    frames = pictures(31)
    timed = stream(window_seconds=1.0, hop_seconds=0.5)
    found = list(
        itertools.chain.from_iterable(timed.push(frame, 1e6 + index / 10) for index, frame in enumerate(frames))
    )
    found += timed.finish()
    assert_is_the_timeline(found, frames, CONTRACTS[0], fps=10.0, window_seconds=1.0, hop_seconds=0.5)


def test_every_layout_of_a_frame_is_the_same_frame() -> None:
    frames = pictures(10)
    expected = [window.scores for window in stream(fps=10.0, window_seconds=1.0).over(frames)]
    for given_frames, channels in (
        (frames[:, :, :, ::-1], "bgr"),
        (np.moveaxis(frames, 3, 1), "rgb"),
        (torch.from_numpy(frames), "rgb"),
    ):
        found = [w.scores for w in stream(fps=10.0, window_seconds=1.0, channels=channels).over(given_frames)]
        np.testing.assert_array_equal(found, expected)


def test_memory_does_not_grow_with_the_stream() -> None:
    endless = stream(fps=10.0, window_seconds=1.0, hop_seconds=1.0)
    frame = pictures(1)[0]
    for _ in range(100):
        endless.push(frame)
    tracemalloc.start()
    for _ in range(400):
        endless.push(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(endless._windows._held) <= 21
    assert peak < 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_minutes_of_an_address_are_followed_in_the_memory_of_one() -> None:
    """Pictures, 5 a second, as fast as they can be sent: all of them are 216 MB, and 21 MB as the net takes them."""

    def ten_minutes() -> Iterator[bytes]:
        yield b"YUV4MPEG2 W160 H150 F5:1 Ip A1:1 C420jpeg\n"
        for number in range(3000):
            yield b"FRAME\n" + bytes([number % 256]) * (160 * 150 * 3 // 2)

    def brightness(clips: np.ndarray) -> np.ndarray:
        return clips.mean(axis=(1, 2, 3, 4), dtype=np.float32)

    contract = InputContract(frames=4, fps=5.0, clips=1, resize=48, crop=48)
    held, windows = [], 0
    with serving(ten_minutes()) as address:
        frames = live_frames(address, lambda sentence: None, sleep=lambda seconds: None)
        following = follow_live(contract, ("a",), brightness, itertools.islice(frames, 3000), 2.0, 1.0)
        for windows, window in enumerate(following, 1):
            assert (window.start_seconds, window.end_seconds) == (windows - 1.0, windows + 1.0)
            if windows % 60 == 0:
                held.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    assert windows == 599
    assert max(held) - held[0] < 10_000_000


def test_a_hop_beyond_the_window_holds_no_more_than_the_window() -> None:
    sparse = stream(fps=10.0, window_seconds=1.0, hop_seconds=60.0)
    for frame in pictures(1).repeat(400, axis=0):
        sparse.push(frame)
    assert len(sparse._windows._held) <= 12


def test_nothing_comes_of_nothing() -> None:
    assert stream(fps=10.0).finish() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fps": 0.0}, "fps are frames a second"),
        ({"window_seconds": 0.0}, "both must be above 0"),
        ({"hop_seconds": -1.0}, "both must"),
    ],
)
def test_lengths_and_rates_are_above_nothing(options: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        stream(**options)


def test_what_is_no_frame_or_comes_out_of_order_is_refused() -> None:
    frame = pictures(1)[0]
    with pytest.raises(UsageError, match="needs a rate"):
        stream().push(frame)
    with pytest.raises(UsageError, match="are float32"):
        stream(fps=10.0).push(frame.astype(np.float32))
    timed = stream()
    timed.push(frame, 3.0)
    with pytest.raises(UsageError, match="give them in their order"):
        timed.push(frame, 2.0)


@pytest.mark.parametrize("count", [1, 6, 7, 8, 20])
def test_frames_with_times_have_the_windows_of_the_timeline_too(count: int) -> None:
    """Also where the last frame's own length, which only the end tells, fills a window."""
    frames, fps = pictures(count), 1 / 0.3
    moving = stream(window_seconds=2.0, hop_seconds=1.0)
    found = [window for index, frame in enumerate(frames) for window in moving.push(frame, 5.0 + index * 0.3)]
    found += moving.finish()
    if count > 1:
        assert_is_the_timeline(found, frames, CONTRACTS[0], fps=fps, window_seconds=2.0, hop_seconds=1.0)
    else:
        assert len(found) == 1


@pytest.mark.parametrize(
    "options", [{"fps": "25"}, {"fps": True}, {"fps": 25, "window_seconds": "2"}, {"fps": 25, "hop_seconds": np.nan}]
)
def test_what_is_no_number_is_a_sentence(options: dict[str, object], any_kind: None) -> None:
    with pytest.raises(UsageError, match=r"frames a second, above 0|is a finite number"):
        stream(**options)


@pytest.mark.parametrize("seconds", ["3", np.nan, np.inf])
def test_a_time_that_is_no_number_is_a_sentence(seconds: object, any_kind: None) -> None:
    with pytest.raises(UsageError, match="seconds is a finite number"):
        stream().push(pictures(1)[0], seconds)  # type: ignore[arg-type]
