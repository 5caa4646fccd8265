"""The lists of a dataset for a folder in which its videos have other names.

Files that know videos by their ids, or by their names without suffixes, are copied as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from stzoo.data.datasets import Item, listed_place
from stzoo.data.layouts import Files, find_files
from stzoo.data.tables import is_table, rewritten_table
from stzoo.data.texts import fits_a_line, read_lines, read_text, rewritten_rows
from stzoo.errors import DataError
from stzoo.files import write_text
from stzoo.recipe import Data

Names = Mapping[Path, PurePosixPath]
"""Where a video is -> where it is in the new folder, relative to that."""

_ELSEWHERE = "lists"  # the folder of lists that are not below the dataset's own folder


def rewrite_lists(data: Data, out: Path, names: Names) -> dict[str, str]:
    """Writes every list that [data] asks for into the folder `out`.

    Returns:
        Key -> value of what else than `data.root` a recipe has to be told to find them all there: nothing, where the
        lists are below the dataset's folder and named from there.

    Raises:
        DataError: a list is not of its format, or a new name cannot stand in it.
    """
    files = find_files(data)
    settings: dict[str, str] = {}
    lists = _below(files.lists, files.root)
    if lists is None or Path(os.path.expanduser(data.annotations or "")).is_absolute():
        lists = lists or PurePosixPath(_ELSEWHERE)
        settings["data.annotations"] = str(lists)
    classes = files.layout.read_classes(files.paths["classes"]) if files.layout.names_paths else ()
    for key, path, configured in _in_turn(data, files):
        below = _below(path, files.root if key == "good" else files.lists)
        if below is None or Path(configured).is_absolute():
            below = PurePosixPath(path.name)
            settings[f"data.{key}"] = str(below)
        for file in [path] if path.exists() else sorted(path.parent.glob(path.name)):
            if file.is_file():
                text = _rewritten(key, file, files, classes, names)
                write_text(out / ("" if key == "good" else lists) / below.parent / file.name, text)
    return settings


def _in_turn(data: Data, files: Files) -> Iterator[tuple[str, Path, str]]:
    """Key, place and what the recipe says, of every list; what trains comes last, as it may be the classes' file."""
    for key in sorted(files.paths, key=("classes", "groups").__contains__, reverse=True):
        configured = data.tests[key.removeprefix("tests.")] if key.startswith("tests.") else getattr(data, key)
        yield key, files.paths[key], configured or ""
    if data.good is not None:
        yield "good", files.root / data.good, data.good


def _below(path: Path, folder: Path) -> PurePosixPath | None:
    """A path relative to a folder, without leaving it; None where it is elsewhere."""
    there, here = (Path(os.path.abspath(each)) for each in (path, folder))
    return PurePosixPath(there.relative_to(here).as_posix()) if there.is_relative_to(here) else None


def _rewritten(key: str, file: Path, files: Files, classes: tuple[str, ...], names: Names) -> str:
    def renamed(text: str, folders: tuple[Path, ...] = (files.root,)) -> str:
        for folder in folders:
            place, part = listed_place(text, folder)
            if place in names:
                return f"{names[place]}{part}"
        return text

    if key == "good":
        return "".join(f"{renamed(line)}\n" for _, line in read_lines(file))
    if key == "groups":
        folders = (files.root, files.videos)
        return rewritten_rows(read_text(file), ("path",), lambda text: renamed(text, folders))
    if key == "classes" or not files.layout.names_paths:
        return read_text(file)
    if is_table(file):
        return rewritten_table(file, files.root, renamed)
    items = files.layout.read(file, files.root, classes)
    lines = zip(read_lines(file), items, strict=True)
    return "".join(f"{_line(file, number, line, item, files.root, renamed)}\n" for (number, line), item in lines)


def _line(file: Path, number: int, line: str, item: Item, root: Path, renamed: Callable[[str], str]) -> str:
    """A line with its path renamed, and what stands behind it as it was."""
    ends = [place for place, letter in enumerate(line) if letter in " \t"]
    paths = (line[:end].rstrip() for end in reversed(ends))
    path = next(path for path in paths if _leads_to(path, root) == item.path)
    new = f"{renamed(path)}{line[len(path) :]}"
    if not fits_a_line(new):
        raise DataError(f"{file} line {number}: the path {path!r} cannot be written anew; rename the file or folder.")
    return new


def _leads_to(path: str, root: Path) -> Path:
    place, part = listed_place(path, root)
    return place.with_name(place.name + part)
