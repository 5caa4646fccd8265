"""Things in front of the camera."""

from __future__ import annotations

import numpy as np
import pytest

from stzoo.data.synth import objects
from stzoo.data.synth.motions import Motion


def square(place: str, velocity: tuple[float, float]) -> objects.Thing:
    sprite = np.full((objects.SIDE, objects.SIDE, 4), 255, np.uint8)
    return objects.Thing(sprite, place, 0.0, (0.0, 0.0), velocity, 0.2, 1.0, 0.0, 0.0, 0.0, 1.0, (0.0, 1.0))  # type: ignore[arg-type]


def seen_at(thing: objects.Thing, motion: Motion, frame: int) -> tuple[float, float]:
    seconds = np.linspace(0, motion.duration_seconds, 11)
    image = np.zeros((90, 120, 3), np.uint8)
    poses = motion.at(seconds)
    objects.draw(image, thing, thing.matrix(float(seconds[frame]), poses, frame, 0, 120, 90))
    y, x = np.nonzero(image[..., 0] > 127)
    return float(x.mean()), float(y.mean())


def test_on_screen_an_object_ignores_the_camera_and_in_the_world_it_moves_with_the_picture() -> None:
    turn = Motion("turn-right", 1.0, 0.3)
    fixed, standing = square("screen", (0.0, 0.0)), square("world", (0.0, 0.0))
    assert seen_at(fixed, turn, 10)[0] == pytest.approx(seen_at(fixed, turn, 0)[0], abs=0.5)
    assert seen_at(standing, turn, 10)[0] == pytest.approx(seen_at(standing, turn, 0)[0] - 0.3 * 90, abs=1)


def test_an_object_moves_on_its_own_before_a_camera_that_stands_still() -> None:
    still = Motion("still", 1.0, 0.0)
    crossing = square("world", (0.4, -0.2))
    before, after = seen_at(crossing, still, 0), seen_at(crossing, still, 10)
    assert after[0] - before[0] == pytest.approx(36, abs=1)
    assert after[1] - before[1] == pytest.approx(-18, abs=1)


def test_an_object_outside_leaves_the_frame_as_it_is() -> None:
    image = np.zeros((90, 120, 3), np.uint8)
    objects.draw(image, square("screen", (0.0, 0.0)), np.array([[1.0, 0.0, 500.0], [0.0, 1.0, 500.0]]))
    assert not image.any()


def areas(still: bool) -> list[float]:
    rng = np.random.default_rng(0)
    drawn = [objects.sample(rng, 2.0, 16 / 9, still=still) for _ in range(400)]
    return [sum(thing.size**2 for thing in things) / (16 / 9) for things in drawn]


def test_objects_are_often_absent_often_small_and_at_times_fill_more_than_half_of_the_frame() -> None:
    moving = np.array(areas(still=False))
    assert 0.4 < np.mean(moving == 0) < 0.6
    assert np.mean(moving > 0.45) < 0.1
    assert 0.45 < moving.max() < 0.9
    assert moving[moving > 0].min() < 0.03


def test_a_standing_camera_sees_objects_more_often_and_closer() -> None:
    moving, standing = np.array(areas(still=False)), np.array(areas(still=True))
    assert np.mean(standing > 0) > np.mean(moving > 0) + 0.1
    assert np.mean(standing > 0.45) > np.mean(moving > 0.45) + 0.05
