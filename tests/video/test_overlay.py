from __future__ import annotations

import numpy as np
import pytest

from stzoo.video.overlay import Overlay

GREY = 120


def drawn(lines: list[tuple[str, float]], width: int = 320, height: int = 240) -> np.ndarray:
    frame = np.full((height, width, 3), GREY, np.uint8)
    assert Overlay(width, height).put(frame, lines) is frame
    return frame


def test_white_letters_stand_on_a_dark_field_at_the_lower_left() -> None:
    frame = drawn([("left", 0.75), ("right", 0.25)])
    rows, columns = np.nonzero((frame != GREY).any(axis=2))
    assert rows.max() == 239
    assert columns.min() == 0
    assert rows.min() > 120
    assert columns.max() < 200
    field = frame[rows.min() :, : columns.max() + 1]
    assert field.min() == round(0.4 * GREY)
    assert field.max() > 240
    assert (field[0] == field.min()).all()


def test_no_line_draws_nothing() -> None:
    assert (drawn([]) == GREY).all()


@pytest.mark.parametrize("label", ["走る", "бег", "ריצה", "달리기"])
def test_letters_of_many_scripts_are_in_the_fonts(label: str) -> None:
    assert (drawn([(label, 0.5)]) != drawn([("?" * len(label), 0.5)])).any()


def test_a_long_label_is_written_smaller_until_it_fits() -> None:
    frame = drawn([("a very long label " * 4, 0.5)])
    columns = np.nonzero((frame > GREY).any(axis=(0, 2)))[0]
    assert 160 < columns.max() < 318


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 300), (300, 2)])
def test_any_size_is_drawn_on(width: int, height: int) -> None:
    assert drawn([("a", 1.0), ("b", 0.0)], width, height).shape == (height, width, 3)
