"""Procedural pictures of letters: posters and printed pages."""

from __future__ import annotations

import string

import cv2
import numpy as np

from stzoo.data.synth.textures import HEIGHT, WIDTH, Picture, contours, one_colour, palette, ramp, shade

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
LETTERS = np.array(list(string.ascii_letters + string.digits + "  "))


def word(rng: np.random.Generator, shortest: int, longest: int) -> str:
    """Random letters."""
    return "".join(rng.choice(LETTERS, int(rng.integers(shortest, longest + 1))))


def glyphs(rng: np.random.Generator) -> Picture:
    """Letters of many sizes and colours: posters, signs, graffiti."""
    picture = ramp(rng) if rng.random() < 0.6 else contours(rng)
    for _ in range(int(rng.integers(30, 150))):
        place = (int(rng.integers(-60, WIDTH)), int(rng.integers(0, HEIGHT)))
        scale = float(np.exp(rng.uniform(np.log(0.5), np.log(4))))
        thickness = max(1, int(scale * rng.uniform(1, 4)))
        cv2.putText(
            picture, word(rng, 1, 7), place, int(rng.choice(FONTS)), scale, one_colour(rng), thickness, cv2.LINE_AA
        )
    return picture


def document(rng: np.random.Generator) -> Picture:
    """A printed page or screen: lines of text, headings, boxes."""
    paper = palette(rng, 1)[0] * 0.2 + (200 if rng.random() < 0.7 else 20)
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:] = np.clip(paper, 0, 255).astype(np.uint8)
    ink = [float(c) for c in (255 - paper) * 0.6]
    y = int(rng.integers(10, 40))
    font = int(rng.choice(FONTS[:4]))
    while y < HEIGHT:
        if rng.random() < 0.15:
            high = int(rng.integers(30, 120))
            left = int(rng.integers(10, WIDTH // 2))
            cv2.rectangle(picture, (left, y), (left + int(rng.integers(60, 300)), y + high), one_colour(rng), -1)
            y += high + 20
        scale = float(rng.choice([0.45, 0.5, 0.6, 1.1]))
        text = " ".join(word(rng, 2, 9) for _ in range(int(rng.integers(4, 14))))
        cv2.putText(picture, text, (int(rng.integers(5, 60)), y + 14), font, scale, ink, 1 + (scale > 1), cv2.LINE_AA)
        y += int(28 * scale + 10)
    return shade(rng, picture, rng.uniform(0.1, 0.5))
