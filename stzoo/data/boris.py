"""What BORIS exports of coded videos: aggregated events, a row a bout, and tabular events, a row a start or stop.

Both as text with tabs or commas. Older tabular exports have lines about the observation above the header.

Reference: Friard and Gamba 2016, BORIS; the columns are those of its versions 7 and 8.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stzoo.data.texts import read_text
from stzoo.errors import DataError, quoted

MEDIA = ("Media file name", "Media file path", "Media file", "Source")
"""The columns that may name the video."""

_BEHAVIOUR, _TIME, _START, _STOP = "Behavior", "Time", "Start (s)", "Stop (s)"
_OFFSET = "Time offset (s)"
_KINDS = ("Behavior type", "Status")
_WHO = ("Observation id", "Subject", _BEHAVIOUR, "Modifiers")  # what a start has in common with its stop

Cells = dict[str, str]


class Bout(NamedTuple):
    """A behaviour from its start to its stop, in seconds of a video; `line` is that of its start."""

    line: int
    media: str
    start: float
    end: float
    behaviour: str

    @property
    def span(self) -> tuple[float, float]:
        return self.start, self.end


def is_boris(text: str) -> bool:
    """Whether a table's text has the header of one of the exports, in its first hundred lines."""
    return header_of(text) is not None


def bouts(file: Path) -> list[Bout]:
    """All bouts of an export, by line.

    Raises:
        DataError: a behaviour has no end, as point events have none, a time is no number, a row names no video, or an
            observation has several videos, whose times run on from one to the next, or a time offset.
    """
    rows = list(_rows(file))
    _refuse_points(file, rows)
    found = [*(_aggregated if _START in rows[0][1] else _tabular)(file, rows)] if rows else []
    if not found:
        raise DataError(f"{file} is a BORIS export without a behaviour that starts and stops; export one with some.")
    return sorted(found)


def header_of(text: str) -> tuple[int, str] | None:
    """The number of the header's line from 0, and what stands between its columns."""
    for number, line in enumerate(text.splitlines()[:100]):
        for mark in ("\t", ","):
            cells = {cell.strip().strip('"') for cell in line.split(mark)}
            if _BEHAVIOUR in cells and (_TIME in cells or {_START, _STOP} <= cells):
                return number, mark
    return None


def _rows(file: Path) -> Iterator[tuple[int, Cells]]:
    text = read_text(file)
    found = header_of(text)
    assert found is not None
    first, mark = found
    reader = csv.reader(io.StringIO("\n".join(text.splitlines()[first:]), newline=""), delimiter=mark)
    names = [name.strip() for name in next(reader)]
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield first + reader.line_num, dict(zip(names, (cell.strip() for cell in cells), strict=False))


def _refuse_points(file: Path, rows: list[tuple[int, Cells]]) -> None:
    points = [(line, cells[_BEHAVIOUR]) for line, cells in rows if _kind(cells) == "POINT"]
    if points:
        line, name = points[0]
        raise DataError(
            f'{file} has {len(points)} point events, such as "{name}" in line {line}, and they have no end; leave them '
            "out of the export, or make them state events."
        )


def _aggregated(file: Path, rows: list[tuple[int, Cells]]) -> Iterator[Bout]:
    for line, cells in rows:
        start, end = (_seconds(file, line, cells, name) for name in (_START, _STOP))
        if end <= start:
            raise DataError(f"{file} line {line} stops at {end:g} s and starts at {start:g} s; correct the bout.")
        yield Bout(line, _media_of(file, line, cells), start, end, cells[_BEHAVIOUR])
    _refuse_queues(file, rows)


def _tabular(file: Path, rows: list[tuple[int, Cells]]) -> Iterator[Bout]:
    going: dict[tuple[str, ...], tuple[int, Cells]] = {}
    for line, cells in sorted(rows, key=lambda row: _seconds(file, row[0], row[1], _TIME)):
        who = (_media_of(file, line, cells), *(cells.get(name, "") for name in _WHO))
        kind = _kind(cells)
        if kind == "START" and who not in going:
            going[who] = line, cells
        elif kind == "STOP" and who in going:
            began, of_start = going.pop(who)
            start, end = _seconds(file, began, of_start, _TIME), _seconds(file, line, cells, _TIME)
            if end <= start:
                raise DataError(
                    f'{file} line {began}: "{cells[_BEHAVIOUR]}" starts and stops at {start:g} s; correct it.'
                )
            yield Bout(began, who[0], start, end, cells[_BEHAVIOUR])
        else:
            wrong = {"START": "a START of what goes on", "STOP": "a STOP of what has not started"}
            raise DataError(f'{file} line {line}, "{cells[_BEHAVIOUR]}": {wrong.get(kind, "no START or STOP")}.')
    for line, cells in going.values():
        raise DataError(f'{file} line {line}: "{cells[_BEHAVIOUR]}" starts and never stops; correct it in BORIS.')
    _refuse_queues(file, rows)


def _refuse_queues(file: Path, rows: list[tuple[int, Cells]]) -> None:
    media: dict[str, set[str]] = {}
    for line, cells in rows:
        if (offset := cells.get(_OFFSET, "")).strip("0:. "):
            raise DataError(
                f"{file} line {line}: the observation has a time offset of {offset}, so its times are not those of the "
                "video; export it without one, or write path,start,end,label."
            )
        media.setdefault(cells.get("Observation id", ""), set()).add(_media_of(file, line, cells))
    for observation, names in media.items():
        if observation and len(names) > 1:
            raise DataError(
                f'{file}: the observation "{observation}" has several videos, {quoted(sorted(names))}, whose times run '
                "on from one to the next; code every video as an observation of its own."
            )


def _kind(cells: Cells) -> str:
    return next((cells[name].upper() for name in _KINDS if cells.get(name)), "")


def _media_of(file: Path, line: int, cells: Cells) -> str:
    media = next((cells[name] for name in MEDIA if cells.get(name)), "")
    if not media:
        raise DataError(f"{file} line {line} names no video; export events of media files.")
    return media


def _seconds(file: Path, line: int, cells: Cells, name: str) -> float:
    try:
        value = float(cells.get(name, ""))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DataError(f'{file} line {line}: "{name}" is "{cells.get(name, "")}", which is no time in seconds.')
    return value
