"""What a recipe's [data] table says: class names and labelled videos, whatever the format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stzoo.data import hmdb, official
from stzoo.data.datasets import Item, read_classes, read_frame_list, read_list
from stzoo.data.folders import class_folders, passed_over_in_classes, read_folders, split_folders
from stzoo.data.names import normal, on_disk
from stzoo.data.questions import ARROW, arrow_of_time, shuffled, without_classes
from stzoo.data.sources import Splits, held_out, with_sources
from stzoo.data.texts import read_lines
from stzoo.errors import DataError, VideoError, quoted
from stzoo.recipe import Data, Format
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


@dataclass(frozen=True)
class _Layout:
    """How one format names its files. Of several names, the first that is there counts; * stands for any letters."""

    read: Callable[[Path, Path, Sequence[str]], list[Item]]
    read_tests: Callable[[Path, Path, Sequence[str]], list[Item]] | None = None
    """Of lists other than the training list, where one file holds several."""
    read_classes: Callable[[Path], tuple[str, ...]] = read_classes
    classes: tuple[str, ...] = ()
    """None: the training list itself says them."""
    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ("",)
    videos: tuple[str, ...] = ("",)
    own_classes: Callable[[], tuple[str, ...]] | None = None
    """The class names of a dataset whose files do not carry their order."""
    frame_rate: float | None = None
    """Of folders of frames, where the dataset says it."""


def _something_files(version: int, name: str) -> tuple[str, ...]:
    """Both generations of the annotation files: `something-something-v2-train.json` and `labels/train.json`."""
    suffix = "csv" if version == 1 else "json"
    return f"something-something-v{version}-{name}.{suffix}", f"{name}.{suffix}"


def _something(version: int, read_classes: Callable[[Path], tuple[str, ...]], frame_rate: float | None) -> _Layout:
    videos = f"20bn-something-something-v{version}"
    return _Layout(
        official.read_something,
        read_classes=read_classes,
        classes=_something_files(version, "labels"),
        train=_something_files(version, "train"),
        val=_something_files(version, "validation"),
        annotations=("", "labels", "annotations"),
        videos=(videos, f"{videos}_zip", f"{videos}.zip/{videos}", f"{videos}.zip", "videos", "frames", ""),
        frame_rate=frame_rate,
    )


def _hmdb(videos: tuple[str, ...]) -> _Layout:
    lists = ("*_test_split1.txt",)
    return _Layout(
        hmdb.read_train,
        read_tests=hmdb.read_test,
        read_classes=hmdb.read_classes,
        classes=lists,
        train=lists,
        val=lists,
        annotations=("", "testTrainMulti_7030_splits", "test_train_splits", "splits", "annotations"),
        videos=videos,
    )


def _folder_classes(path: Path) -> tuple[str, ...]:
    return class_folders(path) if path.is_dir() else read_classes(path)


LAYOUTS: dict[Format, _Layout] = {
    "list": _Layout(read_list),
    "frame-list": _Layout(read_frame_list),
    "folders": _Layout(
        lambda folder, _, classes: read_folders(folder, classes),
        read_classes=_folder_classes,
        train=("train",),
        val=("val", "valid", "validation", "test"),
    ),
    "kinetics400": _Layout(
        official.read_kinetics,
        train=("train.csv", "kinetics_train.csv", "kinetics_400_train.csv"),
        val=("val.csv", "validate.csv", "kinetics_val.csv", "kinetics_400_val.csv"),
        annotations=("", "annotations", "kinetics400"),
        own_classes=official.kinetics400_classes,
    ),
    "something-v1": _something(1, read_classes, 12.0),
    "something-v2": _something(2, official.read_something_classes, None),
    "ucf101": _Layout(
        official.read_ucf101,
        read_classes=official.read_ucf101_classes,
        classes=("classInd.txt",),
        train=("trainlist01.txt",),
        val=("testlist01.txt",),
        annotations=("", "ucfTrainTestlist", "annotations"),
        videos=("UCF-101", "UCF101/jpg", "UCF101", "ucf101_zip", "videos", "frames", ""),
    ),
    "hmdb51": _hmdb(("hmdb51_org", "HMDB51", "videos", "frames", "")),
    "jhmdb": _hmdb(
        (
            *("JHMDB_video/ReCompress_Videos", "ReCompress_Videos"),
            *("Rename_Images", "Frames", "videos", "frames", ""),
        )
    ),
}


def read_lists(data: Data) -> Lists:
    """Reads every list of a dataset; no video is opened.

    With `data.good`, every list has its good videos once, and the training list none that another list has. Then
    sources are told, a fold is held out, classes are left out and the frames' order is changed, as [data] asks for.

    Raises:
        DataError: a folder or file that is missing or not of its format, or that does not know what [data] asks for.
    """
    root, layout = data.folder, LAYOUTS[data.format]
    if not root.is_dir():
        way_on = "give the right one with --data-root; `stzoo data make` makes some sets"
        if data.format != "list":
            way_on = "point --data-root at your copy of the data"
        raise DataError(f"the dataset's folder {data.root} (data.root) does not exist; {way_on}")
    lists = root / os.path.expanduser(data.annotations or "")
    if data.format == "folders" and lists.is_dir() and (parts := split_folders(lists)):
        layout = replace(layout, train=(parts["train"].name,), val=_names_of_val(parts) or layout.val)
    files = {"train": layout.train if data.train is None else (data.train,)}
    if data.fold is None or data.format not in ("list", "frame-list", "folders"):
        files["val"] = layout.val if data.val is None else (data.val,)
    files |= {f"tests.{name}": (file,) for name, file in data.tests.items()}
    if data.classes is not None or layout.own_classes is None:
        files["classes"] = layout.classes or files["train"] if data.classes is None else (data.classes,)
    if data.groups is not None:
        files["groups"] = (data.groups,)
    paths = _paths(lists, layout.annotations, files)
    if layout.own_classes is not None and "classes" not in paths:
        classes = layout.own_classes()
    else:
        classes = layout.read_classes(paths.pop("classes"))
    folders = dict.fromkeys(path for path in paths.values() if data.format == "folders" and path.is_dir())
    videos = next((root / name for name in layout.videos if list_folder(root / name)), root)
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


def _paths(folder: Path, below: tuple[str, ...], files: Mapping[str, tuple[str, ...]]) -> dict[str, Path]:
    """For every key the first of its names that is there, in a folder or one of those below it.

    Raises:
        DataError: some are not there; all of them are named.
    """
    paths, problems = {}, []
    for key, names in files.items():
        candidates = [on_disk(folder / inner / name) for name in names for inner in below]
        path = next((path for path in candidates if path.exists() or _any_match(path)), None)
        if path is not None:
            paths[key] = path
        elif len(candidates) == 1:
            problems.append(f"{candidates[0]} does not exist; check the path of the list.")
        else:
            places = ", ".join(filter(None, below))
            problems.append(
                f"{folder} holds no {' or '.join(names)}{places and f', neither in itself nor in {places}'}; give the "
                f"folder as data.annotations, or the file's name as data.{key}."
            )
    problems = list(dict.fromkeys(problems))
    if problems:
        heading = [f"{len(problems)} lists of the dataset are missing:"] if len(problems) > 1 else []
        raise DataError("\n  ".join([*heading, *problems]))
    return paths


def _any_match(pattern: Path) -> bool:
    return "*" in pattern.name and any(pattern.parent.glob(pattern.name))


def _names_of_val(parts: Mapping[str, Path]) -> tuple[str, ...]:
    return tuple(parts[split].name for split in ("val", "test") if split in parts)


def _good(root: Path, name: str | None) -> frozenset[str] | None:
    """The normal spellings of the paths in a file of good videos."""
    return None if name is None else frozenset(normal(str(root / line)) for _, line in read_lines(root / name))
