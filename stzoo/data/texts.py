"""The text files that datasets are listed in: line by line, and row by row where they have a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from stzoo.errors import DataError


def read_lines(path: Path) -> list[tuple[int, str]]:
    """(line number from 1, stripped line) of the lines that are not blank.

    Raises:
        DataError: the file cannot be read or is not UTF-8.
    """
    return [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]


def fits_a_line(text: str) -> bool:
    """Whether `read_lines` gives a text back that is written on a line of its own."""
    return text.strip() == text and text.splitlines() == [text] and text.encode("utf-8", "replace").decode() == text


def read_rows(path: Path, columns: Sequence[str], delimiter: str = ",") -> list[tuple[int, dict[str, str]]]:
    """(line number, row) of a csv with a header that has at least those columns.

    Raises:
        DataError: the file cannot be read, lacks a column, or has a row of another length.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    rows = []
    try:
        if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
            without = ", so nothing can be trained or measured on it" if missing == ["label"] else ""
            raise DataError(
                f"{path} has no column {' and no '.join(missing)}{without}; its header must name {', '.join(columns)}."
            )
        for row in reader:
            if None in row or None in row.values():
                raise DataError(f"{path} line {reader.line_num} has another number of columns than the header.")
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num} is not csv ({error}); check the file.") from error
    return rows


def rewritten_rows(text: str, columns: Sequence[str], change: Callable[[str], str], delimiter: str = ",") -> str:
    """A csv text with a header, in which the cells of some columns are changed."""
    reader, rewritten = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), io.StringIO()
    writer = csv.writer(rewritten, delimiter=delimiter, lineterminator="\n")
    header = next(reader, [])
    places = [place for place, name in enumerate(header) if name.strip() in columns]
    writer.writerow(header)
    for row in reader:
        writer.writerow([change(cell.strip()) if place in places else cell for place, cell in enumerate(row)])
    return rewritten.getvalue()


def read_text(path: Path) -> str:
    """The text of an annotation file, without a byte order mark.

    Raises:
        DataError: the file cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path of the list.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({type(error).__name__}); check the file.") from error
