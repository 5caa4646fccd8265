"""What a recipe's [data] table says: class names and labelled videos, whatever the format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stzoo.data.datasets import Item
from stzoo.data.folders import passed_over_in_classes
from stzoo.data.layouts import find_files
from stzoo.data.names import normal
from stzoo.data.questions import ARROW, arrow_of_time, shuffled, without_classes
from stzoo.data.sources import Splits, held_out, with_sources
from stzoo.data.texts import read_lines
from stzoo.errors import DataError, VideoError, quoted
from stzoo.recipe import Data
from stzoo.video.images import list_folder


@dataclass(frozen=True)
class Lists:
    """The classes of a dataset, and its videos by split."""

    classes: tuple[str, ...]
    train: list[Item]
    tests: dict[str, list[Item]]
    """`val` first, then the recipe's tests."""
    notes: tuple[str, ...] = ()
    """A sentence for every folder of classes of which files were passed over."""

    @property
    def splits(self) -> dict[str, list[Item]]:
        """`train`, then the others."""
        return {"train": self.train, **self.tests}


@dataclass(frozen=True)
class Missing:
    """The videos of a list that are not on disk."""

    paths: frozenset[Path]
    too_many: bool
    """Whether training refuses to start."""
    sentence: str


def read_lists(data: Data) -> Lists:
    """Reads every list of a dataset; no video is opened.

    With `data.good`, every list has its good videos once, and the training list none that another list has. Then
    sources are told, a fold is held out, classes are left out and the frames' order is changed, as [data] asks for.

    Raises:
        DataError: a folder or file that is missing or not of its format, or that does not know what [data] asks for.
    """
    files = find_files(data)
    root, videos, layout, paths = files.root, files.videos, files.layout, dict(files.paths)
    if layout.own_classes is not None and "classes" not in paths:
        classes = layout.own_classes()
    else:
        classes = layout.read_classes(paths.pop("classes"))
    folders = dict.fromkeys(path for path in paths.values() if data.format == "folders" and path.is_dir())
    good = _good(root, data.good)
    frame_rate = data.frame_rate or layout.frame_rate

    def read(key: str, elsewhere: frozenset[Path] = frozenset()) -> list[Item]:
        read_items = layout.read if key == "train" else layout.read_tests or layout.read
        items = [item._replace(frame_rate=frame_rate) for item in read_items(paths[key], videos, classes)]
        if good is None:
            return items
        once: dict[Path, Item] = {}
        for item in items:
            if normal(str(item.path)) in good and item.path not in elsewhere:
                once.setdefault(item.path, item)
        if not once:
            raise DataError(f"{data.good} (data.good) names none of the videos of {key}; check both files.")
        return list(once.values())

    tests = {key.removeprefix("tests."): read(key) for key in paths if key not in ("train", "groups")}
    elsewhere = frozenset(item.path for items in tests.values() for item in items)
    splits = {"train": read("train", elsewhere), **tests}
    if data.groups is not None:
        splits = with_sources(splits, paths["groups"], data.source_column, (root, videos))
    classes, splits = _as_asked(data, classes, splits)
    notes = tuple(note for folder in folders if (note := passed_over_in_classes(folder)))
    return Lists(classes, splits.pop("train"), splits, notes)


def _as_asked(data: Data, classes: tuple[str, ...], splits: Splits) -> tuple[tuple[str, ...], Splits]:
    if data.fold is not None:
        splits = held_out(splits, str(data.fold))
    if data.leave_out:
        classes, splits = without_classes(classes, splits, data.leave_out)
    if data.frame_order == "shuffled":
        return classes, shuffled(splits)
    return (ARROW, arrow_of_time(splits)) if data.frame_order == "arrow" else (classes, splits)


def missing(lists: Lists, max_broken: float) -> dict[str, Missing]:
    """Split -> its videos that are not on disk, for every list that lacks some; no video is opened.

    More than `max_broken` of a list are too many.
    """
    inside: dict[Path, set[str]] = {}
    by_split = {}
    for split, items in lists.splits.items():
        absent = [item.path for item in items if not _is_there(item.video.place, inside)]
        if absent:
            too_many = len(absent) > max_broken * len(items)
            way_on = f"more than data.max_broken = {max_broken} allows" if too_many else "and will be left out"
            share = len(absent) / len(items)
            sentence = (
                f"{len(absent)} of the {len(items)} videos of {split} ({share:.1%}) are not on disk, {way_on}: the "
                f"first is {absent[0]}, and stzoo data check names them all."
            )
            by_split[split] = Missing(frozenset(absent), too_many, sentence)
    return by_split


def without_videos(lists: Lists, absent: Mapping[str, Missing]) -> str | None:
    """A sentence about the classes that the training list has no video of, or none that is on disk."""
    gone = absent["train"].paths if "train" in absent else frozenset()
    labels = {item.label for item in lists.train if item.path not in gone}
    names = [name for label, name in enumerate(lists.classes) if label not in labels]
    return f"{len(names)} of {len(lists.classes)} classes have no training video: {quoted(names)}." if names else None


def _is_there(path: Path, inside: dict[Path, set[str]]) -> bool:
    """Whether a video exists; what is in a folder, also one in a zip file, is read once and kept in `inside`."""
    folder = path.parent
    if folder not in inside:
        try:
            inside[folder] = list_folder(folder)
        except (OSError, VideoError):
            inside[folder] = set()
    return path.name in inside[folder] or os.path.exists(path)


def _good(root: Path, name: str | None) -> frozenset[str] | None:
    """The normal spellings of the paths in a file of good videos."""
    return None if name is None else frozenset(normal(str(root / line)) for _, line in read_lines(root / name))
