"""Where a window pixel looks at: the picture moves on screen as the class says, whatever the perspective."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data.synth.geometry import Camera
from stzoo.data.synth.motions import Poses

WIDTH, HEIGHT = 120, 90

cameras = st.builds(
    Camera,
    focal=st.floats(0.9, 2.2),
    rotation_share=st.floats(0, 1),
    dolly_share=st.floats(0, 1),
    focus=st.just((0.0, 0.0)),
    tilt=st.tuples(st.floats(-0.15, 0.15), st.floats(-0.15, 0.15)),
    scale=st.floats(100, 400),
    centre=st.just((320.0, 240.0)),
)


def on_screen(camera: Camera, poses: Poses, frame: int, point: np.ndarray) -> np.ndarray:
    """Where the window shows a point of the picture."""
    seen = np.linalg.inv(camera.homography(poses, frame, WIDTH, HEIGHT)) @ [*point, 1.0]
    return seen[:2] / seen[2] - [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]


def poses(axis: str, value: float) -> Poses:
    zero = np.zeros(2)
    return Poses(**{name: np.array([0.0, value]) if name == axis else zero for name in ("x", "y", "zoom", "roll")})


@given(camera=cameras)
def test_in_the_middle_the_camera_looks_at_its_centre(camera: Camera) -> None:
    assert on_screen(camera, poses("x", 0.0), 0, np.array(camera.centre)) == pytest.approx([0, 0], abs=1e-6)


@given(camera=cameras, value=st.floats(0.02, 0.3))
def test_a_turn_to_the_right_moves_the_picture_left_and_a_turn_down_moves_it_up(camera: Camera, value: float) -> None:
    centre = np.array(camera.centre)
    assert on_screen(camera, poses("x", value), 1, centre)[0] < -0.9 * value * HEIGHT
    assert on_screen(camera, poses("y", value), 1, centre)[1] < -0.9 * value * HEIGHT


@given(camera=cameras, value=st.floats(0.02, 1.0), angle=st.floats(0, 6.28))
def test_an_approach_makes_the_picture_grow(camera: Camera, value: float, angle: float) -> None:
    point = np.array(camera.centre) + 15 * np.array([np.cos(angle), np.sin(angle)])
    moves = poses("zoom", value)
    before, after = (np.linalg.norm(on_screen(camera, moves, frame, point)) for frame in (0, 1))
    assert after > before


@given(camera=cameras, value=st.floats(0.02, 1.0))
def test_a_clockwise_roll_turns_what_is_above_to_the_right(camera: Camera, value: float) -> None:
    above = np.array(camera.centre) - [0, 20]
    moves = poses("roll", value)
    assert on_screen(camera, moves, 1, above)[0] > on_screen(camera, moves, 0, above)[0]


def test_an_approach_heads_for_its_focus() -> None:
    camera = Camera(1.5, 0.0, 1.0, (0.2, -0.1), (0.0, 0.0), 200.0, (320.0, 240.0))
    moves = poses("zoom", 0.7)
    point = np.array(camera.centre) + 200 * np.array([0.2, -0.1])
    before, after = (on_screen(camera, moves, frame, point) for frame in (0, 1))
    assert before == pytest.approx([0.2 * HEIGHT, -0.1 * HEIGHT])
    assert after == pytest.approx(before)
