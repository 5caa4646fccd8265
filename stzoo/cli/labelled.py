"""Labelled videos on the command line: a list of them, or a folder with a folder a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.errors import DataError
from stzoo.video.video import Video

if TYPE_CHECKING:
    from stzoo.data.datasets import Item

root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The folder that the paths of the list start in.  [default: the list's own]",
)


def labelled(data: Path, root: Path | None, labels: tuple[str, ...], frame_rate: float | None = None) -> list[Item]:
    """The videos of a list, or of a folder with a folder a class, at a frame rate.

    Raises `DataError` for a line or a label that is no good, and where no path of a list leads to anything.
    """
    from stzoo.data.datasets import read_folders, read_list

    if data.is_dir():
        items = read_folders(data, labels)
    else:
        start = root or data.parent
        items = read_list(data, start, labels)
        _refuse_elsewhere(items, data, start)
    return [item._replace(frame_rate=frame_rate) for item in items]


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
