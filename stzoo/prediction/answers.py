"""One answer, and what is said of the video that it is about."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from typing import NamedTuple


class VideoWarning(UserWarning):
    """A prediction was made from less than the whole video: the file is cut off or damaged."""


class Prediction(NamedTuple):
    """A class and its probability, between 0 and 1."""

    label: str
    score: float


def warn_of(sentences: Iterable[str]) -> None:
    """Warns of a video, in the line that called stzoo."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("stzoo."):
        frame, level = frame.f_back, level + 1
    for sentence in sentences:
        warnings.warn(sentence, VideoWarning, stacklevel=level)
