"""Lists that are tables: `path,label`, and `path,start,end,label` or a BORIS export for parts of videos."""

from __future__ import annotations

import math
from pathlib import Path

from stzoo.data.boris import bouts, is_boris
from stzoo.data.texts import read_rows, read_text
from stzoo.errors import DataError
from stzoo.video.video import part_of

SEGMENT = ("path", "start", "end", "label")
"""The columns of a table of parts of videos; times are seconds from a video's first frame."""

Row = dict[str, str]


def is_table(list_file: Path) -> bool:
    """Whether a list is a table: by its suffix, and a header of the columns above or of BORIS.

    Raises `DataError` where the file cannot be read.
    """
    if list_file.suffix.lower() not in (".csv", ".tsv"):
        return False
    text = read_text(list_file)
    header, *_ = text.splitlines() or [""]
    return len({*SEGMENT} & {*header.split(",")}) > 1 or is_boris(text)


def table_rows(list_file: Path, root: Path) -> list[tuple[int, Row]]:
    """(line number, row) of a table, with at least path and label, and source and fold where they are known.

    The path of a part of a video says which, as `video.mp4#t=12.5,20`, and its source is the video.

    Args:
        list_file: as `is_table` knows it.
        root: where paths start. A video that BORIS has seen elsewhere is looked for there by its name.

    Raises:
        DataError: the file cannot be read, lacks a column, or names a part that ends before it starts.
    """
    text = read_text(list_file)
    if is_boris(text):
        coded = [bout._replace(media=_media(bout.media, root)) for bout in bouts(list_file)]
        return [
            (bout.line, {"path": part_of(bout.media, *bout.span), "label": bout.behaviour, "source": bout.media})
            for bout in coded
        ]
    header, *_ = text.splitlines()
    if not {"start", "end"} & {*header.split(",")}:
        return [*read_rows(list_file, ("path", "label"))]
    rows = []
    for number, row in read_rows(list_file, SEGMENT):
        path = row["path"].strip()
        start, end = (_seconds(row[name], name, list_file, number) for name in ("start", "end"))
        if end <= start:
            raise DataError(
                f"{list_file} line {number} starts at {start:g} s and ends at {end:g} s; correct the times."
            )
        part = part_of(path, start, end) if path else ""
        rows.append((number, {**row, "path": part, "source": row.get("source") or path}))
    return rows


def _seconds(text: str, name: str, list_file: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DataError(f'{list_file} line {line}: {name} is "{text.strip()}"; write seconds, from 0 where it begins.')
    return value


def _media(media: str, root: Path) -> str:
    """A video as BORIS names it, or what has its name in the folder that paths start in."""
    name = media.replace("\\", "/").rpartition("/")[2]
    return media if (root / media).exists() or not (root / name).exists() else name
