"""Lists that are tables: `path,label`, and `path,start,end,label` or a BORIS export for parts of videos."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from stzoo.data.boris import MEDIA, bouts, header_of, is_boris
from stzoo.data.names import normal
from stzoo.data.texts import read_rows, read_text, rewritten_rows
from stzoo.errors import DataError
from stzoo.video.video import part_of

SEGMENT = ("path", "start", "end", "label")
"""The columns of a table of parts of videos; times are seconds from a video's first frame."""

Row = dict[str, str]

_DELIMITERS = (",", "\t", ";")
_OTHER_NAMES = (
    "begin",
    "stop",
    "onset",
    "start_time",
    "end_time",
    "start_seconds",
    "end_seconds",
    "start (s)",
    "stop (s)",
)


def is_table(list_file: Path) -> bool:
    """Whether a list is a table: by its suffix, and a header of the columns above or of BORIS.

    Raises `DataError` where the file cannot be read.
    """
    if list_file.suffix.lower() not in (".csv", ".tsv"):
        return False
    text = read_text(list_file)
    return len({*SEGMENT} & _columns(text)[0]) > 1 or is_boris(text)


def _columns(text: str) -> tuple[set[str], str]:
    """The columns that the first line names, and what stands between them."""
    header, *_ = text.splitlines() or [""]
    named = [({cell.strip().strip('"') for cell in header.split(mark)}, mark) for mark in _DELIMITERS]
    return max(named, key=lambda columns: len({*SEGMENT} & columns[0]))


def table_rows(list_file: Path, root: Path) -> list[tuple[int, Row]]:
    """(line number, row) of a table, with at least path and label, and source and fold where they are known.

    The path of a part of a video says which, as `video.mp4#t=12.5,20`, and its source is the video.

    Args:
        list_file: as `is_table` knows it.
        root: where paths start. A video that BORIS has seen elsewhere is looked for there by its name.

    Raises:
        DataError: the file cannot be read, lacks a column, or names a part that ends before it starts, or
            overlaps another one of its label.
    """
    text = read_text(list_file)
    if is_boris(text):
        coded = [bout._replace(media=_media(bout.media, root)) for bout in bouts(list_file)]
        return [
            (bout.line, {"path": part_of(bout.media, *bout.span), "label": bout.behaviour, "source": bout.media})
            for bout in coded
        ]
    columns, mark = _columns(text)
    if not {"start", "end"} & columns:
        if odd := [name for name in _OTHER_NAMES if name in {column.casefold() for column in columns}]:
            raise DataError(f"{list_file} has the column {odd[0]}; a list of parts of videos has {','.join(SEGMENT)}.")
        return [*read_rows(list_file, ("path", "label"), mark)]
    rows, spans = [], []
    for number, row in read_rows(list_file, SEGMENT, mark):
        path = row["path"].strip()
        start, end = (_seconds(row[name], name, list_file, number) for name in ("start", "end"))
        if end <= start:
            raise DataError(
                f"{list_file} line {number} starts at {start:g} s and ends at {end:g} s; correct the times."
            )
        spans.append((path, normal(row["label"].strip()), start, end, number))
        part = part_of(path, start, end) if path else ""
        rows.append((number, {**row, "path": part, "source": row.get("source") or path}))
    _refuse_overlaps(list_file, spans)
    return rows


def rewritten_table(list_file: Path, root: Path, renamed: Callable[[str], str]) -> str:
    """The text of a table in which videos are `renamed`, a function of their paths below `root`."""
    text = read_text(list_file)
    if (found := header_of(text)) is None:
        return rewritten_rows(text, ("path",), renamed, _columns(text)[1])
    first, mark = found
    lines = [f"{line}\n" for line in text.splitlines()]
    table = rewritten_rows("".join(lines[first:]), MEDIA, lambda media: renamed(_media(media, root)), mark)
    return "".join(lines[:first]) + table


def _refuse_overlaps(list_file: Path, spans: Sequence[tuple[str, str, float, float, int]]) -> None:
    """Raises `DataError` where parts of one video with one label, of (path, label, start, end, line), overlap."""
    for (path, label, _, end, line), (other, theirs, start, _, number) in pairwise(sorted(spans)):
        if (path, label) == (other, theirs) and start < end:
            first, second = sorted((line, number))
            raise DataError(
                f'{list_file} line {second} overlaps line {first}, a part of the same video with the label "{label}"; '
                "make one row of both."
            )


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
