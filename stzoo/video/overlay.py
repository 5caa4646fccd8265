"""Labels drawn onto frames: a dark field at the lower left, a line a label with its score. OpenCV has the fonts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16

Lines = Sequence[tuple[str, float]]
"""Labels with scores between 0 and 1, best first."""

_SIZE, _SMALLEST_PIXELS = 1 / 18, 6.0  # the font's, as a share of the picture's shorter side, and its least
_LINE_HEIGHT = 1.5  # in sizes of the font
_OPAQUE = 0.6
_WHITE = 255.0
_FIGURE_SPACE = "\u2007"  # as wide as a digit


class Overlay:
    """Draws lines onto frames of one size; a drawing is kept until other lines are wanted.

    Args:
        width: pixels of a frame.
        height: pixels of a frame.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._lines: tuple[tuple[str, float], ...] | None = None
        self._drawing = np.zeros((0, 0, 4), dtype=np.uint16)

    def put(self, frame: UInt8[np.ndarray, "height width 3"], lines: Lines) -> UInt8[np.ndarray, "height width 3"]:
        """The frame itself, with the lines drawn onto it; none draw nothing."""
        if self._lines != tuple(lines):
            self._lines = tuple(lines)
            self._drawing = _drawn(self._lines, self.width, self.height)
        tall, wide = self._drawing.shape[:2]
        field = frame[self.height - tall :, :wide]
        cover = self._drawing[:, :, 3:]
        field[:] = (field * (255 - cover) + self._drawing[:, :, :3] * cover + 127) // 255
        return frame


def _drawn(lines: Lines, width: int, height: int) -> UInt16[np.ndarray, "rows columns 4"]:
    """The lower left part of a picture that lines take: colours and how opaque they are, 0 to 255."""
    if not lines:
        return np.zeros((0, 0, 4), dtype=np.uint16)
    margin = max(_SMALLEST_PIXELS, _SIZE * min(width, height)) / 2
    size = max(1, math.floor(2 * margin))
    shares = (f"{100 * score:3.0f}".replace(" ", _FIGURE_SPACE) for _, score in lines)
    texts = [f"{share} %  {' '.join(label.split())}" for share, (label, _) in zip(shares, lines, strict=True)]
    font = cv2.FontFace("sans")
    room = max(1.0, width - 3 * margin)
    widest = _widest(texts, font, size)
    if widest > room:
        size = max(1, math.floor(size * room / widest))
    columns = min(width, math.ceil(_widest(texts, font, size) + 3 * margin))
    rows = min(height, math.ceil(_LINE_HEIGHT * size * len(texts) + 2 * margin))
    letters = np.zeros((rows, columns), dtype=np.uint8)
    for index, text in enumerate(texts):
        lines_below = len(texts) - 1 - index
        baseline = round(rows - margin - size * (0.4 + _LINE_HEIGHT * lines_below))
        cv2.putText(letters, text, (round(1.5 * margin), baseline), (_WHITE,), font, size)
    cover = letters / _WHITE
    opaque = cover + _OPAQUE * (1 - cover)
    colours = np.repeat((letters / opaque)[:, :, None], 3, axis=2)
    return np.rint(np.dstack([colours, _WHITE * opaque])).astype(np.uint16)


def _widest(texts: Sequence[str], font: cv2.FontFace, size: int) -> int:
    """Pixels of the widest of several lines."""
    return max(cv2.getTextSize((0, 0), text, (0, 0), font, size)[2] for text in texts)
