from __future__ import annotations

from dataclasses import replace

import numpy as np

from stzoo.data.synth import figure
from stzoo.data.synth.figure import Body, View, draw, draw_shadow, sample
from stzoo.data.synth.mocap import POINTS

GREY = 128


def someone() -> Body:
    """Lit from the left, with every limb of one colour."""
    drawn = sample(np.random.default_rng(0))
    light = np.array([-1.0, 0.0, 0.0])
    return replace(drawn, colours=np.full_like(drawn.colours, 200.0), light=light, ambient=0.3, shadow=0.5)


def standing() -> tuple[np.ndarray, np.ndarray]:
    """Every point in the middle of the canvas, three metres away, but the head, which is 20 pixels higher."""
    places = np.full((len(POINTS), 2), 32.0)
    places[POINTS.index("head")] = (32.0, 12.0)
    return places, np.full(len(POINTS), 3.0)


def canvas() -> np.ndarray:
    return np.full((64, 64, 3), GREY, np.uint8)


def test_a_limb_is_as_wide_as_it_is_and_bright_towards_the_light() -> None:
    drawn, (places, depth) = canvas(), standing()
    body = someone()
    draw(drawn, body, places, depth, 100.0)
    row = drawn[12, :, 0].astype(int)
    touched = np.flatnonzero(row != GREY)
    (limb,) = [index for index, entry in enumerate(figure._LIMBS) if entry[4] == "head"]
    radius = 100.0 * body.radii[limb, 0] / 3.0
    assert abs(len(touched) - 2 * radius) <= 2
    assert row[touched[0] + 1] > row[touched[-1] - 1]
    assert (drawn[60] == GREY).all()


def test_what_is_nearer_hides_what_is_behind() -> None:
    places, depth = standing()
    places[:] = 32.0
    body = someone()
    (head,) = [index for index, limb in enumerate(figure._LIMBS) if limb[4] == "head"]
    body.colours[head] = 0.0
    for distance, is_seen in ((1.0, True), (5.0, False)):
        drawn = canvas()
        depth[POINTS.index("head")] = distance
        draw(drawn, body, places, depth, 100.0)
        assert (drawn[32, 32] == 0).all() == is_seen


def test_a_shadow_darkens_and_a_body_outside_leaves_the_canvas_alone() -> None:
    places, depth = standing()
    drawn = canvas()
    draw_shadow(drawn, someone(), places, depth, 100.0)
    assert drawn[32, 32].max() < GREY
    assert (drawn <= GREY).all()
    empty = canvas()
    draw(empty, someone(), places + 500.0, depth, 100.0)
    assert (empty == GREY).all()


def test_a_view_puts_its_target_in_the_middle() -> None:
    view = View(np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]), 4.0, 200.0, np.array([50.0, 40.0]))
    targets = np.array([[0.5, 1.0, 0.0]])
    points = np.array([[[0.5, 1.0, 0.0], [0.5, 2.0, 0.0], [1.5, 1.0, 2.0]]])
    places, depth = view.seen(points, targets)
    assert np.allclose(places, [[[50, 40], [50, -10], [150, 40]]])
    assert np.allclose(depth, [[4.0, 4.0, 2.0]])
