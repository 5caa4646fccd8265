"""Fonts for letters of any script: the system's own, where the one that is always there lacks a letter."""

from __future__ import annotations

import contextlib
import functools
import logging
import warnings
from collections.abc import Iterator
from typing import NamedTuple

FAMILY = "DejaVu Sans"
"""Comes with matplotlib."""

_MOST_FONTS = 400  # that are looked into
_BOXES = "Last Resort"  # the name of a font that has a box for every letter


class Fonts(NamedTuple):
    """Families that have a text's letters together, the first to come first, and the letters that none has."""

    families: list[str]
    missing: str


def fonts_for(text: str) -> Fonts:
    """The fonts that a text takes: `FAMILY`, and those of the system that have what it lacks."""
    return _fonts(frozenset(letter for letter in text if letter.isprintable()))


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Lets matplotlib draw without a word on letters that no font has, and on weights that a font lacks."""
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")
            yield
    finally:
        log.setLevel(level)


@functools.lru_cache(maxsize=64)
def _fonts(letters: frozenset[str]) -> Fonts:
    from matplotlib import font_manager

    families, missing = [FAMILY], letters - _letters(font_manager.findfont(FAMILY))
    if missing:
        _find_new_fonts()
    others = {
        entry.name: entry.fname
        for entry in font_manager.fontManager.ttflist
        if entry.name != FAMILY and not entry.name.startswith(_BOXES)
    }
    for family, path in sorted(others.items())[:_MOST_FONTS] if missing else ():
        if missing & _letters(path):
            families.append(family)
            missing = missing - _letters(path)
    return Fonts(families, "".join(sorted(missing)))


def _find_new_fonts() -> None:
    """Makes fonts known that were installed after matplotlib had made its list, which it keeps on disk."""
    from matplotlib import font_manager

    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known)[:_MOST_FONTS]:
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            font_manager.fontManager.addfont(path)


@functools.lru_cache(maxsize=64)
def _letters(path: str) -> frozenset[str]:
    """The letters that a font has; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    with contextlib.suppress(OSError, RuntimeError, ValueError):
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    return frozenset()
