from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.video.clips import plan, strip


def contract(frames: int, **options: object) -> InputContract:
    return InputContract(frames=frames, resize=16, crop=16, **options)


@st.composite
def timelines(draw: st.DrawFn) -> np.ndarray:
    gaps = draw(st.lists(st.floats(0.001, 0.5), max_size=60))
    return np.cumsum([draw(st.floats(-1, 5)), *gaps])


rates = st.one_of(
    st.builds(lambda fps: {"fps": fps}, st.floats(0.5, 100)),
    st.builds(lambda stride: {"stride_frames": stride}, st.integers(1, 12)),
)
policies = st.sampled_from(["repeat-last", "stretch"])


@given(timelines(), st.integers(1, 20), rates, policies, st.integers(1, 7))
def test_a_plan_is_in_range_and_ascends(
    times: np.ndarray, frames: int, rate: dict[str, float], policy: str, clips: int
) -> None:
    chosen = plan(times, contract(frames, short_video=policy, **rate), clips)
    assert chosen.shape == (clips, frames)
    assert chosen.dtype == np.int64
    assert chosen.min() >= 0
    assert chosen.max() < len(times)
    assert (np.diff(chosen, axis=1) >= 0).all()
    assert (np.diff(chosen, axis=0) >= 0).all(), "later clips show later frames"


@given(timelines(), st.integers(1, 20), rates, policies, st.integers(2, 7))
def test_several_clips_reach_from_the_first_frame_to_the_last(
    times: np.ndarray, frames: int, rate: dict[str, float], policy: str, clips: int
) -> None:
    chosen = plan(times, contract(frames, short_video=policy, **rate), clips)
    fits = len(np.unique(chosen)) and (
        times[-1] - times[0] >= (frames - 1) / rate["fps"]
        if "fps" in rate
        else len(times) > (frames - 1) * rate["stride_frames"]
    )
    assert chosen[0, 0] == 0
    if fits:
        assert times[chosen[-1, -1]] == pytest.approx(times[-1], abs=3e-3)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 12), st.integers(1, 6))
def test_with_a_stride_every_step_is_the_stride_while_the_clip_fits(
    n: int, frames: int, stride: int, clips: int
) -> None:
    chosen = plan(np.arange(n) / 25, contract(frames, stride_frames=stride), clips)
    if n > (frames - 1) * stride:
        assert (np.diff(chosen, axis=1) == stride).all()
        before, after = chosen[0, 0], n - 1 - chosen[-1, -1]
        assert abs(before - after) <= 1 if clips == 1 else before == after == 0
    else:
        np.testing.assert_array_equal(chosen[0], np.minimum(np.arange(frames) * stride, n - 1))


def test_the_last_start_and_the_last_frame_are_reachable() -> None:
    chosen = plan(np.arange(10) / 10, contract(4, stride_frames=2), 4)
    np.testing.assert_array_equal(chosen[:, 0], [0, 1, 2, 3])
    assert chosen[-1, -1] == 9


def test_clips_are_spread_uniformly() -> None:
    times = np.arange(101) / 10
    chosen = plan(times, contract(11, fps=10.0), 4)
    np.testing.assert_array_equal(chosen[:, 0], [0, 30, 60, 90])
    np.testing.assert_array_equal(plan(times, contract(11, fps=10.0), 1)[0], np.arange(45, 56))


def test_a_one_frame_video_is_shown_again_and_again() -> None:
    for options in ({"fps": 4.0}, {"stride_frames": 2}, {"fps": 4.0, "short_video": "stretch"}):
        assert not plan(np.array([0.3]), contract(8, **options), 3).any()


@pytest.mark.parametrize("rate", [{"fps": 4.0}, {"stride_frames": 4}])
def test_short_videos_follow_the_policy(rate: dict[str, float]) -> None:
    times = np.arange(9) / 16
    repeated = plan(times, contract(5, short_video="repeat-last", **rate), 2)
    stretched = plan(times, contract(5, short_video="stretch", **rate), 2)
    np.testing.assert_array_equal(repeated, [[0, 4, 8, 8, 8]] * 2)
    np.testing.assert_array_equal(stretched, [[0, 2, 4, 6, 8]] * 2)


def test_fps_follows_time_and_not_the_count_of_frames() -> None:
    slow_then_fast = np.array([0.0, 0.5, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 2.0])
    np.testing.assert_array_equal(plan(slow_then_fast, contract(5, fps=2.0), 1)[0], [0, 1, 2, 7, 8])
    assert plan(slow_then_fast, contract(5, stride_frames=2), 1)[0].tolist() == [0, 2, 4, 6, 8]


@given(st.integers(5, 120), st.sampled_from([10.0, 12.0, 24.0, 29.97, 60.0]))
def test_the_nearest_frame_is_taken(n: int, rate: float) -> None:
    times = np.arange(n) / rate
    chosen = plan(times, contract(3, fps=8.0), 1)[0]
    if times[-1] >= 2 / 8:
        wished = (times[-1] - 2 / 8) / 2 + np.arange(3) / 8
        assert np.abs(times[chosen] - wished).max() <= 0.5 / rate + 1e-5


def test_a_strip_is_the_centre_clip_made_longer() -> None:
    times = np.arange(100) / 25
    wide = strip(times, contract(8, fps=5.0), 12)
    centre = plan(times, contract(8, fps=5.0), 1)[0]
    np.testing.assert_array_equal(wide[2:10], centre)


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="0 clips"):
        plan(np.arange(4.0), contract(2, fps=1.0), 0)
    with pytest.raises(UsageError, match="strip of 0 frames"):
        strip(np.arange(4.0), contract(2, fps=1.0), 0)
    with pytest.raises(VideoError, match="no frame"):
        plan(np.zeros(0), contract(2, fps=1.0), 1)
