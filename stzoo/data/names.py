"""Names that can be written in several ways: a letter with its accent as one sign or as two, as systems differ."""

from __future__ import annotations

import functools
import os
import unicodedata
from pathlib import Path


def normal(text: str) -> str:
    """The one spelling by which names are compared, whatever system wrote them: Unicode's NFC."""
    return unicodedata.normalize("NFC", text)


def spellings(text: str) -> tuple[str, ...]:
    """A text as it is, with every accented letter as one sign, and with every one as two; each once."""
    return tuple(dict.fromkeys((text, normal(text), unicodedata.normalize("NFD", text))))


def on_disk(path: Path) -> Path:
    """The path as the file system spells it, where something is there under another spelling; or else as it is."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    folder = on_disk(path.parent)
    try:
        name = _spelt(folder, folder.stat().st_mtime_ns).get(normal(path.name), path.name)
    except OSError:
        name = path.name
    return folder / name


@functools.lru_cache(maxsize=64)
def _spelt(folder: Path, _changed: int) -> dict[str, str]:
    """Normal name -> name, of all that is in a folder that was changed then."""
    return {normal(name): name for name in os.listdir(folder)}
