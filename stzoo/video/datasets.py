"""Lists of labelled videos: one `path label` a line, and one class name a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stzoo.errors import DataError, did_you_mean


class Item(NamedTuple):
    """A video and the index of its class."""

    path: Path
    label: int


def read_classes(path: Path | str) -> tuple[str, ...]:
    """Class names in the order of their indices, one a line; blank lines do not count.

    Raises:
        DataError: the file cannot be read, holds no name, or a name twice.
    """
    names = [line for _, line in _lines(Path(path))]
    if not names:
        raise DataError(f"{path} names no class; write one class name a line.")
    for number, name in enumerate(names):
        if name in names[:number]:
            raise DataError(f'{path} names the class "{name}" twice; every class has one line.')
    return tuple(names)


def read_list(list_file: Path | str, root: Path | str, classes: Sequence[str]) -> list[Item]:
    """The videos of a list file, in its order.

    A line is `path label`. The path is below `root` and may contain spaces; the label is a class name, which may
    contain spaces too, or the index of a class. Names are tried first. Whether the videos exist is not looked at.

    Raises:
        DataError: the file cannot be read or lists nothing, or a line has no path or no known label.
    """
    list_file, root = Path(list_file), Path(root)
    indices = {name: index for index, name in enumerate(classes)}
    by_last_word: dict[str, list[str]] = {}
    for name in sorted(indices, key=len, reverse=True):
        by_last_word.setdefault(name.split()[-1], []).append(name)
    items = []
    for number, line in _lines(list_file):
        path, _, word = line.replace("\t", " ").rpartition(" ")
        if not path:
            raise DataError(
                f'{list_file} line {number}: "{line}" is not `path label`; write both, with a space between.'
            )
        named = [name for name in by_last_word.get(word, []) if line.endswith((f" {name}", f"\t{name}"))]
        if named:
            path, label = line[: -len(named[0])].rstrip(), indices[named[0]]
        else:
            path = line[: len(path)].rstrip()
            if not word.isdecimal() or int(word) >= len(classes):
                known = f"the {len(classes)} class names or an index from 0 to {len(classes) - 1}"
                raise DataError(
                    f'{list_file} line {number}: the label "{word}" is none of {known}.{did_you_mean(word, classes)}'
                )
            label = int(word)
        items.append(Item(root / path, label))
    if not items:
        raise DataError(f"{list_file} lists no video; write one `path label` a line.")
    return items


def _lines(path: Path) -> list[tuple[int, str]]:
    """(line number from 1, stripped line) of the lines that are not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path of the list.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({type(error).__name__}); check the file.") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
