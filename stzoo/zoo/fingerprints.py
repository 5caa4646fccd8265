"""Which videos a model was trained on, told from their names and sizes; none of them can be read out of it.

A bundle keeps the fingerprints of its training list in `trained-on.json`: all of them, or of a long list those that
are least, which are as good as drawn at random. Old bundles have no such file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stzoo.bundle.reading import locate, read_json
from stzoo.errors import BundleError
from stzoo.video.video import Video

TRAINED_ON = "trained-on.json"
MOST = 10_000
"""Fingerprints that are kept of a list."""

_FORMAT, _DIGITS = 1, 16


def fingerprint(video: Video) -> str:
    """Digest of a file's name and size; of a folder's name and how much is in it, of what is in a zip file its name."""
    path = video.place
    try:
        size = len(os.listdir(path)) if path.is_dir() else path.stat().st_size
    except OSError:
        size = 0
    text = f"{path.name}\0{size}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:_DIGITS]


def trained_on(videos: Iterable[Video]) -> dict[str, Any]:
    """What `trained-on.json` says of a training list."""
    prints = sorted({fingerprint(video) for video in videos})
    return {"format": _FORMAT, "videos": len(prints), "fingerprints": prints[:MOST]}


def seen_in_training(folder: Path, videos: Iterable[Video]) -> str | None:
    """A sentence about those of the videos that trained the bundle in a folder; None where none did or none is known.

    Raises `BundleError` for a file that is not what stzoo writes.
    """
    path = locate(folder, TRAINED_ON)
    if path is None:
        return None
    known, is_part = _read(path)
    asked = [fingerprint(video) for video in dict.fromkeys(videos)]
    comparable = [own for own in asked if not is_part or own <= max(known)]
    seen = sum(own in known for own in comparable)
    if not seen:
        return None
    count = f"{seen} of the {len(asked)} videos" if not is_part else f"about {seen / len(comparable):.0%} of the videos"
    return f"{count} trained this model; what it reaches on them says little about other videos."


def _read(path: Path) -> tuple[frozenset[str], bool]:
    """Fingerprints, and whether they are only a part of them."""
    value = read_json(path)
    prints = value.get("fingerprints") if isinstance(value, dict) else None
    count = value.get("videos") if isinstance(value, dict) else None
    if not isinstance(prints, list) or not all(isinstance(one, str) for one in prints) or not isinstance(count, int):
        raise BundleError(f"{path} does not say which videos trained the model; fetch or train the bundle again")
    return frozenset(prints), 0 < len(prints) < count
