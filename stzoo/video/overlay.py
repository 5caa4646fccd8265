"""Labels drawn onto frames: a dark field at the lower left, a line a label with its score. matplotlib has the font."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16

from stzoo.video.fonts import fonts_for, quietly

Lines = Sequence[tuple[str, float]]
"""Labels with scores between 0 and 1, best first."""

_SIZE, _SMALLEST_PIXELS = 1 / 18, 6.0  # the font's, as a share of the picture's shorter side, and its least
_DOTS_AN_INCH, _POINTS_AN_INCH = 100, 72
_OPAQUE = 0.6
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
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not lines:
        return np.zeros((0, 0, 4), dtype=np.uint16)
    pixels = max(_SMALLEST_PIXELS, _SIZE * min(width, height))
    rows = min(height, math.ceil(pixels * (2 + 1.5 * len(lines))))
    shares = (f"{100 * score:3.0f}".replace(" ", _FIGURE_SPACE) for _, score in lines)
    text = "\n".join(f"{share} %  {' '.join(label.split())}" for share, (label, _) in zip(shares, lines, strict=True))
    with rc_context({"font.family": fonts_for(text).families}), quietly():
        # A quarter of a pixel more: the canvas rounds its size down.
        figure = Figure(figsize=((width + 0.25) / _DOTS_AN_INCH, (rows + 0.25) / _DOTS_AN_INCH), dpi=_DOTS_AN_INCH)
        canvas: Any = FigureCanvasAgg(figure)
        figure.patch.set_alpha(0)
        points = pixels * _POINTS_AN_INCH / _DOTS_AN_INCH
        written = figure.text(
            pixels / width,
            pixels / rows,
            text,
            fontsize=points,
            color="white",
            va="bottom",
            linespacing=1.3,
            parse_math=False,
            bbox={"facecolor": "black", "alpha": _OPAQUE, "linewidth": 0, "pad": pixels / 2},
        )
        room = max(1.0, width - 2 * pixels) / written.get_window_extent(canvas.get_renderer()).width
        written.set_fontsize(points * min(1.0, room))
        canvas.draw()
        drawing = np.asarray(canvas.buffer_rgba()).astype(np.uint16)
    used = np.flatnonzero(drawing[:, :, 3].any(axis=0))
    return drawing[:, : used[-1] + 1] if len(used) else drawing[:, :0]
