from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.video.clips import clips_of_window, plan, random_run, strip


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


@pytest.mark.parametrize("timing", [{"fps": 5.0}, {"stride_frames": 2}])
@pytest.mark.parametrize(
    ("n", "policy", "expected"),
    [
        (9, "stretch", [0, 2, 4, 6, 8, 8]),
        (9, "repeat-last", [0, 2, 4, 6, 8, 8]),
        (7, "stretch", [0, 2, 4, 6, 6, 6]),
        (4, "stretch", [0, 1, 2, 3, 3, 3]),
        (4, "repeat-last", [0, 2, 3, 3, 3, 3]),
    ],
)
def test_a_strip_of_a_short_video_keeps_the_rate_while_a_clip_fits(
    timing: dict[str, float], n: int, policy: str, expected: list[int]
) -> None:
    wanted = contract(4, short_video=policy, **timing)
    assert strip(np.arange(n) / 10, wanted, 6).tolist() == expected
    assert strip(np.arange(n) / 10, wanted, 4).tolist() == plan(np.arange(n) / 10, wanted, 1)[0].tolist()


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="0 clips"):
        plan(np.arange(4.0), contract(2, fps=1.0), 0)
    with pytest.raises(UsageError, match="strip of 0 frames"):
        strip(np.arange(4.0), contract(2, fps=1.0), 0)
    with pytest.raises(VideoError, match="no frame"):
        plan(np.zeros(0), contract(2, fps=1.0), 1)


LAST_DRAW = np.nextafter(1.0, 0.0)


@st.composite
def runs(draw: st.DrawFn) -> tuple[np.ndarray, InputContract, np.ndarray, bool]:
    """Timestamps, a contract of any kind, draws, and whether the stride is random."""
    timing = draw(
        st.one_of(
            st.builds(lambda fps: {"fps": fps}, st.floats(0.5, 60.0)),
            st.builds(lambda stride: {"stride_frames": stride}, st.integers(1, 6)),
            st.just({"sampling": "segments"}),
        )
    )
    policy = draw(st.sampled_from(["repeat-last", "stretch"]))
    wanted = contract(draw(st.integers(1, 12)), short_video=policy, **timing)
    draws = draw(st.lists(st.floats(0.0, LAST_DRAW), min_size=12, max_size=12))
    return draw(timelines()), wanted, np.array(draws), draw(st.booleans())


@given(runs())
@example((np.arange(2.0), contract(8, sampling="segments"), np.full(12, LAST_DRAW), False))
def test_a_random_run_ascends_within_the_video(run: tuple[np.ndarray, InputContract, np.ndarray, bool]) -> None:
    times, wanted, draws, random_stride = run
    chosen = random_run(times, wanted, draws, random_stride=random_stride)
    assert chosen.shape == (wanted.frames,)
    assert 0 <= chosen[0] <= chosen[-1] < len(times)
    steps = np.diff(chosen)
    assert (steps >= 0).all()
    if wanted.stride_frames is not None and chosen[-1] < len(times) - 1:
        assert (steps <= wanted.stride_frames).all()
        assert (steps >= (1 if random_stride else wanted.stride_frames)).all()
    if wanted.sampling == "segments":
        edges = np.arange(wanted.frames + 1) * len(times) / wanted.frames
        assert (np.floor(edges[:-1]) <= chosen).all()
        assert (chosen < np.ceil(edges[1:])).all()


@pytest.mark.parametrize(("n", "starts"), [(5, 1), (6, 2), (9, 5)])
def test_every_start_is_drawn_and_the_last_frame_is_reached(n: int, starts: int) -> None:
    wanted = contract(3, stride_frames=2)
    times = np.arange(n) / 10
    by_count = [random_run(times, wanted, np.array([u])) for u in np.linspace(0, LAST_DRAW, 200)]
    firsts, counts = np.unique([run[0] for run in by_count], return_counts=True)
    assert firsts.tolist() == list(range(starts))
    assert counts.min() >= 200 // starts - 1
    assert by_count[-1].tolist() == [n - 5, n - 3, n - 1]
    by_time = wanted.model_copy(update={"stride_frames": None, "fps": 5.0})
    assert random_run(times, by_time, np.array([0.0])).tolist() == [0, 2, 4]
    assert random_run(times, by_time, np.array([LAST_DRAW])).tolist() == [n - 5, n - 3, n - 1]


@pytest.mark.parametrize(
    ("n", "centre", "last"), [(12, 0, 0), (20, 0, 0), (32, 0, 0), (33, 1, 1), (40, 4, 8), (64, 16, 32), (100, 34, 68)]
)
def test_32_neighbours_begin_where_the_paper_begins_them_but_reach_the_last_frame(
    n: int, centre: int, last: int
) -> None:
    """The authors' code never draws the last start in training, and never reads the last frame."""
    wanted, times = contract(32, stride_frames=1), np.arange(n) / 12
    assert plan(times, wanted, 1)[0, 0] == centre
    assert plan(times, wanted, 2)[:, 0].tolist() == [0, last]
    for draw, start in ((0.0, 0), (LAST_DRAW, last)):
        run = random_run(times, wanted, np.array([draw]))
        assert run.tolist() == [min(start + step, n - 1) for step in range(32)]


def test_a_random_stride_takes_every_step() -> None:
    wanted = contract(5, stride_frames=3)
    rng = np.random.default_rng(0)
    steps = [np.diff(random_run(np.arange(100.0), wanted, rng.random(5), random_stride=True)) for _ in range(600)]
    values, counts = np.unique(steps, return_counts=True)
    assert values.tolist() == [1, 2, 3]
    assert counts.min() > 700


@pytest.mark.parametrize(("policy", "expected"), [("repeat-last", [0, 2, 3, 3]), ("stretch", [0, 1, 2, 3])])
def test_a_short_video_follows_the_policy_in_training_too(policy: str, expected: list[int]) -> None:
    for timing in ({"stride_frames": 2}, {"fps": 5.0}):
        wanted = contract(4, short_video=policy, **timing)
        assert random_run(np.arange(4) / 10, wanted, np.array([0.7])).tolist() == expected


def test_segments_are_planned_at_their_middle_and_spread_for_several_clips() -> None:
    wanted = contract(3, sampling="segments")
    assert plan(np.arange(12.0), wanted, 1).tolist() == [[2, 6, 10]]
    assert plan(np.arange(12.0), wanted, 2).tolist() == [[1, 5, 9], [3, 7, 11]]
    assert plan(np.arange(2.0), wanted, 1).tolist() == [[0, 1, 1]]
    with pytest.raises(VideoError, match="no frame"):
        random_run(np.zeros(0), wanted, np.zeros(3))


def test_a_window_is_given_as_many_clips_as_it_is_long() -> None:
    by_time, by_count = (
        InputContract(**{"frames": 8, "resize": 8, "crop": 8, "clips": 3} | rate)
        for rate in ({"fps": 4.0}, {"stride_frames": 2})
    )
    seconds = (0.1, 2.0, 2.9, 3.1, 5.1, 60.0)
    assert [clips_of_window(by_time, window, 1) for window in seconds] == [1, 1, 1, 2, 3, 3]
    assert [clips_of_window(by_count, 2.0, frames) for frames in (1, 16, 23, 25, 41, 999)] == [1, 1, 1, 2, 3, 3]
    segments = by_count.model_copy(update={"sampling": "segments"})
    assert clips_of_window(segments, 2.0, 16) == 3
