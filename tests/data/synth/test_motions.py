"""Camera paths as numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data.synth import motions

moving = st.sampled_from([name for name in motions.CLASSES if name not in ("still", "shake")])


def test_the_classes_in_their_order() -> None:
    assert motions.CLASSES == (
        "still",
        "turn-left",
        "turn-right",
        "turn-up",
        "turn-down",
        "approach",
        "move-away",
        "roll-clockwise",
        "roll-counterclockwise",
        "shake",
    )


@given(
    name=moving,
    easing=st.sampled_from(["constant", "in", "out", "in-out"]),
    power=st.floats(1.0, 2.0),
    start=st.floats(0, 0.2),
    end=st.floats(0, 0.2),
)
def test_progress_runs_from_none_to_all_and_never_back(
    name: str, easing: motions.Easing, power: float, start: float, end: float
) -> None:
    motion = motions.Motion(name, 2.0, 0.5, easing, power, start, end)
    progress = motion.progress(np.linspace(0, 2, 50))
    assert progress[0] == pytest.approx(0)
    assert progress[-1] == pytest.approx(1)
    assert (np.diff(progress) >= -1e-12).all()


@given(name=moving, seed=st.integers(0, 10_000), fps=st.sampled_from([12.0, 30.0, 60.0]))
def test_a_class_moves_along_its_axis_in_its_direction_above_everything_unintended(
    name: str, seed: int, fps: float
) -> None:
    motion = motions.sample(name, fps, 2.5, np.random.default_rng(seed))
    poses = motion.at(np.linspace(0, 2.5, 40))
    displacement = {"x": 1.0, "y": 1.0, "zoom": 0.4, "roll": 0.4}  # of the picture on screen, in short sides
    way = {axis: displacement[axis] * np.ptp(getattr(poses, axis)) for axis in displacement}
    expected = -1 if name in ("turn-left", "turn-up", "move-away", "roll-counterclockwise") else 1
    own = getattr(poses, motion.axis)
    assert np.sign(own[-1] - own[0]) == expected
    drifted = [abs(speed) * displacement[axis] * 2.5 for axis, speed in motion.drift.items()]
    assert max(drifted, default=0.0) < way[motion.axis]


@given(seed=st.integers(0, 10_000))
def test_a_still_camera_stays_and_a_shaken_one_does_not(seed: int) -> None:
    seconds = np.linspace(0, 2.5, 150)
    still = motions.sample("still", 30.0, 2.5, np.random.default_rng(seed)).at(seconds)
    shake = motions.sample("shake", 30.0, 2.5, np.random.default_rng(seed)).at(seconds)
    assert max(np.ptp(still.x), np.ptp(still.y)) < 0.045
    assert max(np.ptp(shake.x), np.ptp(shake.y)) > 0.02
    speed = [np.hypot(np.gradient(poses.x, seconds), np.gradient(poses.y, seconds)).mean() for poses in (still, shake)]
    assert speed[1] > 2 * speed[0]


def test_the_slowest_and_the_fastest_are_far_apart() -> None:
    speeds = [motions.sample("turn-left", 30.0, 2.0, np.random.default_rng(i)).speed for i in range(300)]
    assert max(speeds) < 0
    assert -max(speeds) < 0.08
    assert -min(speeds) > 1.0
