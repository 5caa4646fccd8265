"""Procedural scenes: one function a family, things in front of a ground, often with an up and a down."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from stzoo.data.synth.lettering import document, glyphs
from stzoo.data.synth.textures import (
    HEIGHT,
    TEXTURES,
    WIDTH,
    Picture,
    contours,
    fractal,
    octaves,
    one_colour,
    paint,
    palette,
    ramp,
    shade,
    spectrum,
)


def _darker(colour: Sequence[float], factor: float) -> list[float]:
    return [float(min(255.0, c * factor)) for c in colour]


def _blend(rng: np.random.Generator, first: Picture, second: Picture, weight: float) -> Picture:
    return np.clip(first * (1 - weight) + second * weight, 0, 255).astype(np.uint8)


def thing(rng: np.random.Generator, picture: Picture, x: int, y: int, size: int, outline: bool = False) -> None:
    """Draws one closed shape of about `size` pixels at x, y: ellipse, box, polygon, ring or star."""
    colour, kind = one_colour(rng), int(rng.integers(0, 5))
    if kind == 0:
        axes = (max(2, int(size * rng.uniform(0.3, 0.6))), max(2, int(size * rng.uniform(0.2, 0.6))))
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(picture, (x, y), axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
        if outline:
            cv2.ellipse(picture, (x, y), axes, angle, 0, 360, (0, 0, 0), 3, cv2.LINE_AA)
        return
    if kind == 1:
        cv2.circle(picture, (x, y), size // 2 + 1, colour, max(2, size // 8), cv2.LINE_AA)
        return
    corners = {2: 4, 3: int(rng.integers(3, 8)), 4: 10}[kind]
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners)) if kind == 3 else np.arange(corners) * 2 * np.pi / corners
    radii = size * (np.where(np.arange(corners) % 2, 0.25, 0.55) if kind == 4 else np.full(corners, 0.5))
    angles = angles + rng.uniform(0, np.pi)
    points = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1).astype(np.int32)
    cv2.fillPoly(picture, [points], colour, cv2.LINE_AA)
    if outline:
        cv2.polylines(picture, [points], True, (0, 0, 0), 3, cv2.LINE_AA)


def shapes(rng: np.random.Generator) -> Picture:
    """Shapes strewn over a gradient."""
    picture = ramp(rng)
    outline = bool(rng.random() < 0.4)
    for _ in range(int(rng.integers(12, 90))):
        size = int(np.exp(rng.uniform(np.log(12), np.log(160))))
        thing(rng, picture, int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT)), size, outline)
    return picture


def leaves(rng: np.random.Generator) -> Picture:
    """Dead leaves: opaque ellipses of all sizes over each other, each with its own shading."""
    picture = spectrum(rng)
    colours, slender = palette(rng, 14), rng.uniform(0.2, 1.0)
    smallest = rng.uniform(5, 14)
    for size in -np.sort(-smallest / np.sqrt(rng.uniform(0.005, 1, int(rng.integers(500, 1500))))):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT))
        axes, angle = (max(2, int(size)), max(2, int(size * slender))), float(rng.uniform(0, 180))
        colour = np.clip(rng.choice(colours) * rng.uniform(0.6, 1.25), 0, 255)
        cv2.ellipse(picture, (x, y), axes, angle, 0, 360, [float(c) for c in colour], -1, cv2.LINE_AA)
        edge = [float(c) for c in colour * 0.6]
        cv2.ellipse(picture, (x, y), axes, angle, 20, 160, edge, 1, cv2.LINE_AA)
    return shade(rng, picture, rng.uniform(0.2, 0.9))


def clutter(rng: np.random.Generator) -> Picture:
    """Boxes over boxes, some textured: a messy desk, a market stall."""
    picture = ramp(rng)
    textures = [TEXTURES[str(rng.choice(list(TEXTURES)))](rng) for _ in range(3)]
    for _ in range(int(rng.integers(40, 160))):
        wide, high = int(rng.integers(10, 150)), int(rng.integers(10, 120))
        left, top = int(rng.integers(-30, WIDTH - 10)), int(rng.integers(-30, HEIGHT - 10))
        if rng.random() < 0.3:
            box = np.s_[max(0, top) : top + high, max(0, left) : left + wide]
            picture[box] = textures[int(rng.integers(0, 3))][box]
        else:
            cv2.rectangle(picture, (left, top), (left + wide, top + high), one_colour(rng), -1)
    return shade(rng, picture, rng.uniform(0.2, 0.7))


def _sky(rng: np.random.Generator, horizon: int) -> Picture:
    rows = np.linspace(0, HEIGHT / max(1, horizon), HEIGHT, dtype=np.float32)
    clouds = fractal(rng, rng.uniform(1.4, 2.0), rng.uniform(1.0, 2.0)) * rng.uniform(0, 0.8)
    top, low = sorted(palette(rng, 2), key=lambda colour: float(colour.sum()))
    if rng.random() < 0.6:
        top, low = np.array([70, 120, 200]) * rng.uniform(0.3, 1.2), np.array([190, 215, 240]) * rng.uniform(0.6, 1.1)
    field = np.clip(rows[:, None] * 0.7 + clouds, 0, 1).astype(np.float32)
    return paint(field, np.stack([top, low]).astype(np.float32))


def skyline(rng: np.random.Generator) -> Picture:
    """A town: rows of houses with windows under a sky."""
    horizon = int(HEIGHT * rng.uniform(0.6, 0.95))
    picture = _sky(rng, horizon)
    for depth in range(int(rng.integers(1, 4))):
        left = -int(rng.integers(0, 60))
        while left < WIDTH:
            wide, high = int(rng.integers(30, 120)), int(rng.uniform(0.15, 0.7) * HEIGHT * (0.6 + 0.25 * depth))
            top, wall = horizon - high, one_colour(rng)
            cv2.rectangle(picture, (left, top), (left + wide, HEIGHT), wall, -1)
            step, pane = int(rng.integers(9, 26)), _darker(one_colour(rng), float(rng.uniform(0.3, 1.2)))
            size = max(3, int(step * rng.uniform(0.35, 0.7)))
            for y in range(top + 6, horizon - size, step):
                for x in range(left + 5, left + wide - size, step):
                    if rng.random() < 0.8:
                        cv2.rectangle(picture, (x, y), (x + size, y + int(size * 1.2)), pane, -1)
            left += wide + int(rng.integers(0, 25))
    ground = spectrum(rng)
    picture[horizon:] = ground[horizon:]
    return shade(rng, picture, 0.3)


def landscape(rng: np.random.Generator) -> Picture:
    """Sky, ridges behind each other, ground, some trees."""
    horizon = int(HEIGHT * rng.uniform(0.35, 0.6))
    picture = _sky(rng, horizon)
    x = np.arange(WIDTH)
    for layer in range(int(rng.integers(2, 6))):
        base, height = horizon + layer * rng.uniform(15, 50), rng.uniform(20, 110)
        ridge = base - height * fractal(rng, rng.uniform(1.4, 2.2))[int(rng.integers(0, HEIGHT)), x]
        mask = np.arange(HEIGHT)[:, None] > ridge[None]
        picture[mask] = _blend(rng, octaves(rng), spectrum(rng), 0.6)[mask]
    for _ in range(int(rng.integers(0, 18))):
        foot = int(rng.integers(horizon, HEIGHT))
        size = int((foot - horizon) * rng.uniform(0.4, 1.2) + 14)
        left = int(rng.integers(0, WIDTH))
        cv2.line(picture, (left, foot), (left, foot - size), _darker(one_colour(rng), 0.4), max(2, size // 10))
        for _ in range(12):
            spot = (left + int(rng.normal(0, size / 4)), foot - size + int(rng.normal(0, size / 4)))
            cv2.circle(picture, spot, size // 5 + 2, _darker(one_colour(rng), 0.7), -1, cv2.LINE_AA)
    return picture


def room(rng: np.random.Generator) -> Picture:
    """A room in one-point perspective: walls, tiled floor, frames, boxes on the floor."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    vx, vy = int(WIDTH * rng.uniform(0.3, 0.7)), int(HEIGHT * rng.uniform(0.35, 0.6))
    depth = rng.uniform(0.2, 0.45)
    outer = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float32)
    inner = np.array([vx, vy], np.float32) + (outer - np.array([vx, vy], np.float32)) * np.float32(depth)
    flat = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float32)
    sides = [[0, 1], [1, 2], [2, 3], [3, 0]]
    faces = [np.stack([outer[a], outer[b], inner[b], inner[a]]) for a, b in sides] + [inner]
    for face in faces:
        choice = str(rng.choice(["checker", "bricks", "spectrum", "plaid", "octaves", "waves"]))
        surface = _blend(rng, TEXTURES[choice](rng), ramp(rng), float(rng.uniform(0.1, 0.85)))
        for _ in range(int(rng.integers(0, 4))):
            left, top = int(rng.integers(40, WIDTH - 160)), int(rng.integers(30, HEIGHT - 160))
            corner = (left + int(rng.integers(40, 160)), top + int(rng.integers(40, 130)))
            cv2.rectangle(surface, (left, top), corner, one_colour(rng), -1)
            cv2.rectangle(surface, (left, top), corner, _darker(one_colour(rng), 0.4), 5)
        warped = cv2.warpPerspective(surface, cv2.getPerspectiveTransform(flat, face), (WIDTH, HEIGHT))
        mask = cv2.fillConvexPoly(np.zeros((HEIGHT, WIDTH), np.uint8), face.astype(np.int32), 1)
        picture = np.where(mask[..., None] > 0, warped, picture)
    for _ in range(int(rng.integers(1, 7))):
        foot, size = int(rng.integers(int(HEIGHT * 0.65), HEIGHT)), int(rng.integers(30, 130))
        thing(rng, picture, int(rng.integers(0, WIDTH)), foot - size // 2, size)
    return np.asarray(shade(rng, picture, 0.5))


def street(rng: np.random.Generator) -> Picture:
    """A road to the horizon with markings, houses on both sides, and cars."""
    horizon = int(HEIGHT * rng.uniform(0.35, 0.55))
    picture = _sky(rng, horizon)
    picture[horizon:] = _blend(rng, spectrum(rng), ramp(rng), 0.6)[horizon:]
    vx = int(WIDTH * rng.uniform(0.35, 0.65))
    road = np.array([[vx - 8, horizon], [vx + 8, horizon], [vx + 330, HEIGHT], [vx - 330, HEIGHT]], np.int32)
    cv2.fillPoly(picture, [road], _darker([90.0, 90.0, 95.0], float(rng.uniform(0.5, 1.6))), cv2.LINE_AA)
    for near in np.linspace(0.1, 1, 9) ** 2:
        y = int(horizon + near * (HEIGHT - horizon))
        cv2.line(picture, (vx, y), (vx, y + int(20 * near) + 1), (230, 230, 220), max(1, int(9 * near)))
    for near in np.linspace(0.05, 1, int(rng.integers(6, 14))):
        for side in (-1, 1):
            x, wide = vx + side * (40 + near * 330), 20 + near * 120
            top, foot = horizon - near * rng.uniform(60, 260), horizon + near * 70
            box = ((int(x - wide / 2), int(top)), (int(x + wide / 2), int(foot)))
            cv2.rectangle(picture, box[0], box[1], one_colour(rng), -1)
            for _ in range(5):
                px, py = int(x + rng.uniform(-0.4, 0.4) * wide), int(rng.uniform(top, foot))
                cv2.rectangle(picture, (px, py), (px + int(6 + 9 * near), py + int(8 + 12 * near)), one_colour(rng), -1)
    for _ in range(int(rng.integers(0, 5))):
        near = rng.uniform(0.15, 0.9)
        x, y, size = int(vx + rng.uniform(-200, 200) * near), int(horizon + near * 180), int(20 + 90 * near)
        cv2.rectangle(picture, (x, y), (x + size, y + size // 2), one_colour(rng), -1)
        cv2.rectangle(
            picture, (x + size // 5, y - size // 4), (x + size * 4 // 5, y), _darker(one_colour(rng), 0.5), -1
        )
    return picture


def wall(rng: np.random.Generator) -> Picture:
    """A nearly plain wall with a few things on it."""
    picture = _blend(rng, ramp(rng), spectrum(rng), float(rng.uniform(0.04, 0.2)))
    for _ in range(int(rng.integers(7, 18))):
        size = int(rng.integers(25, 120))
        thing(rng, picture, int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT)), size)
    return picture


def shelf(rng: np.random.Generator) -> Picture:
    """Rows of upright boxes: books, bottles, boxes in a shop."""
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:] = np.array(_darker(one_colour(rng), 0.4), np.uint8)
    y, board = 0, one_colour(rng)
    while y < HEIGHT:
        high, x = int(rng.integers(60, 150)), 0
        while x < WIDTH:
            wide, tall = int(rng.integers(6, 36)), int(high * rng.uniform(0.6, 0.95))
            cv2.rectangle(picture, (x, y + high - tall), (x + wide - 1, y + high), one_colour(rng), -1)
            if rng.random() < 0.5:
                band = y + high - int(tall * rng.uniform(0.2, 0.8))
                cv2.rectangle(picture, (x + 1, band), (x + wide - 2, band + 8), one_colour(rng), -1)
            x += wide
        cv2.rectangle(picture, (0, y + high), (WIDTH, y + high + 8), board, -1)
        y += high + 8
    return shade(rng, picture, 0.6)


def figures(rng: np.random.Generator) -> Picture:
    """Drawn figures with outlines and eyes on a flat ground: cartoons, crowds."""
    picture = ramp(rng) if rng.random() < 0.5 else contours(rng)
    for foot in np.sort(rng.integers(HEIGHT // 4, HEIGHT + 60, int(rng.integers(6, 40)))):
        size, x, skin, cloth = int(rng.integers(30, 110)), int(rng.integers(0, WIDTH)), one_colour(rng), one_colour(rng)
        head = (x, int(foot - size * 1.25))
        cv2.ellipse(picture, (x, int(foot - size * 0.5)), (size // 3, size // 2), 0, 0, 360, cloth, -1, cv2.LINE_AA)
        cv2.ellipse(picture, (x, int(foot - size * 0.5)), (size // 3, size // 2), 0, 0, 360, (0, 0, 0), 2, cv2.LINE_AA)
        cv2.circle(picture, head, size // 3, skin, -1, cv2.LINE_AA)
        cv2.circle(picture, head, size // 3, (0, 0, 0), 2, cv2.LINE_AA)
        for eye in (-1, 1):
            place = (x + eye * size // 8, head[1] - size // 16)
            cv2.circle(picture, place, max(2, size // 12), (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(picture, place, max(1, size // 24), (0, 0, 0), -1, cv2.LINE_AA)
    return picture


SCENES: dict[str, Callable[[np.random.Generator], Picture]] = {
    "shapes": shapes,
    "leaves": leaves,
    "clutter": clutter,
    "glyphs": glyphs,
    "document": document,
    "skyline": skyline,
    "landscape": landscape,
    "room": room,
    "street": street,
    "wall": wall,
    "shelf": shelf,
    "figures": figures,
}
