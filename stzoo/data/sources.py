"""The recordings that videos were cut from, and the folds that they are held out in, as a CSV file says them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from stzoo.data.datasets import Item
from stzoo.data.names import normal
from stzoo.data.texts import read_rows
from stzoo.errors import DataError, quoted

Splits = dict[str, list[Item]]


def with_sources(splits: Splits, file: Path, column: str, folders: Sequence[Path]) -> Splits:
    """The same videos with the source, and the fold where there is one, that a CSV file has for each.

    Args:
        splits: split -> videos.
        file: has the columns path and `column`, and perhaps fold. Rows of other videos do not count. A row that names
            a whole recording holds for the parts of it that have no row.
        column: names the source of a video.
        folders: those that a path may start in.

    Raises:
        DataError: the file cannot be read or lacks a column or one of the videos, or names no source of one or several.
    """
    known: dict[str, tuple[str, str | None]] = {}
    for number, row in read_rows(file, ("path", column)):
        path, source, fold = row["path"].strip(), row[column].strip(), row.get("fold") or None
        if not path or not source:
            raise DataError(f"{file} line {number} lacks a path or its {column}; fill both, or take the line out.")
        for folder in folders:
            place = normal(str(folder / path))
            if known.setdefault(place, (source, fold)) != (source, fold):
                raise DataError(f"{file} line {number}: {path} stands in another line with another {column} or fold.")
    listed = {item.path: item.video.place for items in splits.values() for item in items}
    found = {
        path: known.get(normal(str(path))) or known.get(normal(str(recording))) for path, recording in listed.items()
    }
    if absent := [path for path, row in found.items() if row is None]:
        first, *others = absent
        more = f" and {len(others)} more" if others else ""
        raise DataError(f"{file} (data.groups) does not know {first}{more}; give every listed video a row.")

    def placed(item: Item) -> Item:
        row = found[item.path]
        assert row is not None
        return item._replace(group=row[0], fold=row[1] or item.fold)

    return {split: [placed(item) for item in items] for split, items in splits.items()}


def held_out(splits: Splits, fold: str) -> Splits:
    """The videos of `train` and `val` together, parted anew: those of one fold are `val`, the others `train`.

    Raises:
        DataError: there is no such fold, or nothing beside it, a video has none, or a source is in two of them.
    """
    items = list({item.path: item for split in ("train", "val") for item in splits.get(split, ())}.values())
    without = [item.path for item in items if item.fold is None]
    if without:
        raise DataError(
            f"{len(without)} of {len(items)} videos have no fold, such as {without[0]}; data.fold needs a column fold, "
            "in the file of data.groups or in a training list that is a CSV file"
        )
    folds = sorted({item.fold for item in items if item.fold is not None})
    if fold not in folds or len(folds) < 2:
        raise DataError(f'the videos have no fold "{fold}" beside others (data.fold); they have {quoted(folds)}.')
    for source, of_source in _folds_by_source(items).items():
        if len(of_source) > 1:
            raise DataError(f'"{source}" is a source of the folds {quoted(sorted(of_source))}; a source has one fold.')
    parted = {"train": [item for item in items if item.fold != fold], "val": [i for i in items if i.fold == fold]}
    return {**splits, **parted}


def _folds_by_source(items: Iterable[Item]) -> dict[str, set[str]]:
    folds: dict[str, set[str]] = {}
    for item in items:
        folds.setdefault(item.source, set()).add(str(item.fold))
    return folds
