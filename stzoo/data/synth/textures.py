"""Procedural surfaces: one function a family, each a picture from a random generator."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, Int32, UInt8

HEIGHT, WIDTH = 480, 640

Picture = UInt8[np.ndarray, "rows columns 3"]
Field = Float32[np.ndarray, "rows columns"]
Colours = Float32[np.ndarray, "colours 3"]


def palette(rng: np.random.Generator, colours: int) -> Colours:
    """Colours (0 to 255) around one to three hues, from grey to vivid, from dark to light."""
    hues = rng.uniform(0, 360, int(rng.integers(1, 4)))
    hue = (rng.choice(hues, colours) + rng.normal(0, 14, colours)) % 360
    saturation = np.clip(rng.uniform(0.02, 0.9) * rng.uniform(0.4, 1.4, colours), 0, 1)
    low = rng.uniform(0.05, 0.4)
    value = rng.uniform(low, rng.uniform(low + 0.3, 1.0), colours)
    hsv = np.stack([hue, saturation, value], axis=1).astype(np.float32)[None]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0] * 255, np.float32)


def one_colour(rng: np.random.Generator) -> list[float]:
    """One colour of a palette of its own, as OpenCV takes it."""
    return [float(c) for c in palette(rng, 1)[0]]


def fractal(rng: np.random.Generator, slope: float, anisotropy: float = 1.0) -> Field:
    """Noise with amplitude spectrum 1 / frequency ** slope, scaled to 0..1."""
    spectrum = np.fft.rfft2(rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32))
    fy = np.fft.fftfreq(HEIGHT)[:, None] * HEIGHT * anisotropy
    fx = np.fft.rfftfreq(WIDTH)[None] * HEIGHT / anisotropy
    radius = np.maximum(np.hypot(fx, fy), 1.0)
    field = np.fft.irfft2(spectrum / radius**slope, s=(HEIGHT, WIDTH))
    low, high = np.percentile(field, [1, 99])
    return np.clip((field - low) / (high - low), 0, 1).astype(np.float32)


def paint(field: Field, colours: Colours) -> Picture:
    """The field as a picture: 0 is the first colour, 1 the last, linear between neighbours."""
    place = np.clip(field, 0, 1) * (len(colours) - 1)
    channels = [np.interp(place, np.arange(len(colours)), colours[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def grid(rng: np.random.Generator, warp: float) -> tuple[Field, Field]:
    """Pixel coordinates x, y turned by a random angle and bent by smooth noise of `warp` pixels."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    angle = rng.choice([0.0, float(rng.uniform(0, np.pi))])
    turned_x, turned_y = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    bend_x, bend_y = fractal(rng, 2.2) - 0.5, fractal(rng, 2.2) - 0.5
    return (turned_x + warp * bend_x).astype(np.float32), (turned_y + warp * bend_y).astype(np.float32)


def shade(rng: np.random.Generator, picture: Picture, strength: float) -> Picture:
    """Uneven light: the picture times a smooth field."""
    light = 1 + strength * (fractal(rng, 2.4) - 0.6)
    return np.clip(picture * light[..., None], 0, 255).astype(np.uint8)


def ramp(rng: np.random.Generator) -> Picture:
    """A smooth gradient of a few colours in a random direction."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    field = x * np.cos(angle) + y * np.sin(angle)
    return paint(((field - field.min()) / np.ptp(field)).astype(np.float32), palette(rng, int(rng.integers(2, 4))))


def spectrum(rng: np.random.Generator) -> Picture:
    """Colour noise with the spectrum of natural images."""
    slope = rng.uniform(1.0, 1.8)
    common = fractal(rng, slope, rng.uniform(0.6, 1.6))
    parts = [0.75 * common + 0.25 * fractal(rng, slope) for _ in range(3)]
    low, high = np.sort(palette(rng, 2), axis=0)
    return np.clip(low + np.stack(parts, axis=-1) * (high - low + 60), 0, 255).astype(np.uint8)


def octaves(rng: np.random.Generator) -> Picture:
    """Noise of one or a few narrow octaves, painted with several colours."""
    sizes = rng.choice([4, 8, 12, 20, 32, 56, 90], int(rng.integers(1, 4)), replace=False)
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    for size in sizes:
        small = rng.random((HEIGHT // size + 3, WIDTH // size + 3)).astype(np.float32)
        total += cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * float(np.sqrt(size))
    total = (total - total.min()) / (total.max() - total.min())
    return paint(total.astype(np.float32), palette(rng, int(rng.integers(2, 7))))


def marble(rng: np.random.Generator) -> Picture:
    """Bent sine waves: marble, wood, agate."""
    x, y = grid(rng, rng.uniform(40, 260))
    waves = np.sin(x / rng.uniform(6, 40) + rng.uniform(0, 2) * np.sin(y / rng.uniform(20, 90)))
    field = 0.5 + 0.35 * waves + 0.3 * (fractal(rng, 1.2) - 0.5)
    return paint(field.astype(np.float32), palette(rng, int(rng.integers(2, 6))))


def cells(rng: np.random.Generator) -> Picture:
    """Voronoi cells, flat or shaded towards their seeds, with or without seams."""
    count = int(np.exp(rng.uniform(np.log(15), np.log(600))))
    points = rng.random((count, 2)) * [HEIGHT, WIDTH]
    seeds = np.full((HEIGHT, WIDTH), 255, np.uint8)
    seeds[points[:, 0].astype(int), points[:, 1].astype(int)] = 0
    distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    owner: Int32[np.ndarray, "rows columns"] = np.asarray(labels)
    colours = palette(rng, int(owner.max()) + 1)
    picture = colours[owner]
    if rng.random() < 0.6:
        picture = picture * (1 - rng.uniform(0.2, 0.7) * (distance / distance.max())[..., None])
    if rng.random() < 0.5:
        seam = cv2.morphologyEx(owner.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        picture[seam] = palette(rng, 1)[0]
    return np.clip(picture, 0, 255).astype(np.uint8)


def stripes(rng: np.random.Generator) -> Picture:
    """Bars of irregular widths, bent, on an uneven ground (bars alone would hide one direction of motion)."""
    x, _ = grid(rng, rng.uniform(10, 120))
    edges = np.cumsum(rng.uniform(4, rng.uniform(12, 60), 400)) - 700
    colours = palette(rng, 6)
    picture = colours[np.searchsorted(edges, x) % len(colours)]
    return shade(rng, (0.75 * picture + 0.25 * spectrum(rng)).astype(np.uint8), rng.uniform(0.3, 0.9))


def plaid(rng: np.random.Generator) -> Picture:
    """Two crossing sets of bars, like cloth."""
    x, y = grid(rng, rng.uniform(0, 40))
    colours = palette(rng, 5)
    across = colours[np.searchsorted(np.cumsum(rng.uniform(4, 50, 400)) - 700, x) % 5]
    along = colours[np.searchsorted(np.cumsum(rng.uniform(4, 50, 400)) - 700, y) % 5]
    return shade(rng, ((across + along) / 2).astype(np.uint8), rng.uniform(0.2, 0.8))


def checker(rng: np.random.Generator) -> Picture:
    """A board of two colours with odd fields, so that it does not repeat exactly."""
    x, y = grid(rng, rng.uniform(0, 60))
    size = rng.uniform(16, 80)
    column, row = np.floor(x / size).astype(int), np.floor(y / size).astype(int)
    colours = palette(rng, 8)
    odd = rng.random((64, 64)) < rng.uniform(0.15, 0.5)
    index = np.where(odd[row % 64, column % 64], 2 + (row * 7 + column * 3) % 6, (row + column) % 2)
    return shade(rng, colours[index].astype(np.uint8), rng.uniform(0.2, 0.8))


def contours(rng: np.random.Generator) -> Picture:
    """Flat patches of a smooth height field: camouflage, maps, puddles."""
    levels = int(rng.integers(3, 12))
    field = np.floor(fractal(rng, rng.uniform(1.5, 2.4)) * levels * 0.999).astype(int)
    picture = palette(rng, levels)[field]
    if rng.random() < 0.4:
        seam = cv2.morphologyEx(field.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        picture[seam] = palette(rng, 1)[0]
    return picture.astype(np.uint8)


def bricks(rng: np.random.Generator) -> Picture:
    """A wall of bricks or tiles, each with its own tone."""
    high, wide = int(rng.integers(14, 50)), int(rng.integers(30, 110))
    joint, colours = int(rng.integers(1, 5)), palette(rng, 3)
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:] = colours[0].astype(np.uint8)
    for row in range(HEIGHT // high + 1):
        shift = (row % 2) * wide // 2 if rng.random() < 0.9 else int(rng.integers(0, wide))
        for column in range(-1, WIDTH // wide + 1):
            tone = colours[1] + (colours[2] - colours[1]) * rng.random() + rng.normal(0, 12)
            left, top = column * wide + shift, row * high
            colour = [float(c) for c in np.clip(tone, 0, 255)]
            cv2.rectangle(picture, (left, top), (left + wide - joint, top + high - joint), colour, -1)
    grain = (fractal(rng, 0.8) - 0.5)[..., None] * rng.uniform(20, 90)
    return shade(rng, np.clip(picture + grain, 0, 255).astype(np.uint8), rng.uniform(0.1, 0.8))


def waves(rng: np.random.Generator) -> Picture:
    """Stretched noise with highlights: water, fur, brushed metal."""
    field = fractal(rng, rng.uniform(1.0, 1.5), rng.uniform(0.25, 0.6)) ** rng.uniform(0.8, 2.5)
    return shade(rng, paint(field, palette(rng, 4)), rng.uniform(0.2, 0.8))


def strokes(rng: np.random.Generator) -> Picture:
    """Thousands of short strokes: grass, straw, brushwork."""
    picture = paint(fractal(rng, 2.0), palette(rng, 3))
    colours = palette(rng, 9)
    lean, spread, length = rng.uniform(0, np.pi), rng.uniform(0.1, 1.5), rng.uniform(10, 60)
    for _ in range(int(rng.integers(800, 3000))):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT))
        angle = lean + rng.normal(0, spread)
        end = (int(x + length * np.cos(angle)), int(y - length * np.sin(angle)))
        colour = [float(c) for c in rng.choice(colours)]
        cv2.line(picture, (x, y), end, colour, int(rng.integers(1, 4)), cv2.LINE_AA)
    return picture


def dots(rng: np.random.Generator) -> Picture:
    """Round spots on a plain or clouded ground: pebbles, confetti, stars, bokeh lights."""
    dark = rng.random() < 0.5
    ground = paint(fractal(rng, 2.2), palette(rng, 2)).astype(np.float32) * (0.25 if dark else 1.0)
    biggest = rng.uniform(3, 40)
    colours = palette(rng, 8) + (60 if dark else 0)
    layer = np.zeros_like(ground)
    cover = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(int(rng.uniform(0.1, 0.6) * WIDTH * HEIGHT / biggest**1.7 / 4) + 40):
        centre = (int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT)))
        radius = int(max(1, biggest * rng.random() ** 2))
        cv2.circle(layer, centre, radius, [float(c) for c in rng.choice(colours)], -1, cv2.LINE_AA)
        cv2.circle(cover, centre, radius, float(rng.uniform(0.5, 1)), -1, cv2.LINE_AA)
    return np.clip(ground * (1 - cover[..., None]) + layer * cover[..., None], 0, 255).astype(np.uint8)


def lattice(rng: np.random.Generator) -> Picture:
    """Random walks on a grid: circuits, mazes, wiring."""
    picture = shade(rng, paint(fractal(rng, 2.2), palette(rng, 2)), 0.5)
    colours, step = palette(rng, 5), int(rng.integers(8, 30))
    for _ in range(int(rng.integers(40, 160))):
        x, y = rng.integers(0, WIDTH // step) * step, rng.integers(0, HEIGHT // step) * step
        colour, thickness = [float(c) for c in rng.choice(colours)], int(rng.integers(1, 5))
        for _ in range(int(rng.integers(3, 16))):
            dx, dy = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1)][int(rng.integers(0, 6))]
            reach = step * int(rng.integers(1, 5))
            cv2.line(picture, (int(x), int(y)), (int(x + dx * reach), int(y + dy * reach)), colour, thickness)
            x, y = x + dx * reach, y + dy * reach
        cv2.circle(picture, (int(x), int(y)), thickness + 2, colour, -1, cv2.LINE_AA)
    return picture


TEXTURES: dict[str, Callable[[np.random.Generator], Picture]] = {
    "spectrum": spectrum,
    "octaves": octaves,
    "marble": marble,
    "cells": cells,
    "stripes": stripes,
    "plaid": plaid,
    "checker": checker,
    "contours": contours,
    "bricks": bricks,
    "waves": waves,
    "strokes": strokes,
    "dots": dots,
    "lattice": lattice,
}
