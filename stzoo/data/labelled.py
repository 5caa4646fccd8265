"""Labelled videos that somebody names: a list of them, or a folder with a folder a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stzoo.data.datasets import Item, read_list
from stzoo.data.folders import passed_over_in_classes, read_folders, split_folders
from stzoo.data.parts import refuse_behind
from stzoo.errors import DataError
from stzoo.video.video import Video


def labelled(
    data: Path, root: Path | None, labels: Sequence[str], *, say: Callable[[str], None] = lambda _: None
) -> list[Item]:
    """The videos of a list, or of a folder with a folder a class.

    `say` is told how many files of a folder are passed over.

    Raises `DataError` for a line or a label that is no good, where no path of a list leads to anything, and where parts
    of videos end behind them.
    """
    if data.is_dir():
        _refuse_splits(data, labels)
        items = read_folders(data, labels)
        if sentence := passed_over_in_classes(data):
            say(sentence)
        return items
    start = root or data.parent
    items = read_list(data, start, labels)
    _refuse_elsewhere(items, data, start)
    refuse_behind(items)
    return items


def _refuse_splits(data: Path, labels: Sequence[str]) -> None:
    """Raises `DataError` where a folder holds the folders of splits in place of those of classes."""
    parts = split_folders(data)
    if parts and not {path.name for path in parts.values()} & {*labels}:
        one = parts.get("val", parts.get("test", parts["train"]))
        names = ", ".join(path.name for path in parts.values())
        raise DataError(f"{data} holds the splits {names}; name the one to measure on, such as --data {one}")


def _refuse_elsewhere(items: list[Item], data: Path, root: Path) -> None:
    """Raises `DataError` where no path of a list leads to anything, as when they start in another folder."""
    if any(item.video.exists for item in items):
        return
    first = items[0].path
    listed = first.relative_to(root) if first.is_relative_to(root) else first
    start = next((above for above in root.absolute().parents if Video(above / listed).exists), None)
    hint = f", here --root {start}" if start is not None else ""
    raise DataError(
        f"none of the {len(items)} videos of {data} is there: the first was looked for as {first}; "
        f"say with --root in which folder the paths of the list start{hint}"
    )
