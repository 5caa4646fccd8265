"""How the files of every format are named, and where a recipe's [data] table has them; none is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stzoo.data import hmdb, official
from stzoo.data.datasets import Item, read_classes, read_frame_list, read_list
from stzoo.data.folders import class_folders, read_folders, split_folders
from stzoo.data.names import on_disk
from stzoo.errors import DataError
from stzoo.recipe import Data, Format
from stzoo.video.images import list_folder


@dataclass(frozen=True)
class Layout:
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
    names_paths: bool = False
    """Whether its lists name videos by their paths, suffixes and all."""


@dataclass(frozen=True)
class Files:
    """Where a dataset's lists and videos are."""

    root: Path
    lists: Path
    """The folder in which, or below which, lists are looked for."""
    paths: dict[str, Path]
    """train, val, tests.NAME, classes and groups, as far as there are any -> a file, a folder or a pattern of files."""
    videos: Path
    layout: Layout


def _something_files(version: int, name: str) -> tuple[str, ...]:
    """Both generations of the annotation files: `something-something-v2-train.json` and `labels/train.json`."""
    suffix = "csv" if version == 1 else "json"
    return f"something-something-v{version}-{name}.{suffix}", f"{name}.{suffix}"


def _something(version: int, read_classes: Callable[[Path], tuple[str, ...]], frame_rate: float | None) -> Layout:
    videos = f"20bn-something-something-v{version}"
    return Layout(
        official.read_something,
        read_classes=read_classes,
        classes=_something_files(version, "labels"),
        train=_something_files(version, "train"),
        val=_something_files(version, "validation"),
        annotations=("", "labels", "annotations"),
        videos=(videos, f"{videos}_zip", f"{videos}.zip/{videos}", f"{videos}.zip", "videos", "frames", ""),
        frame_rate=frame_rate,
    )


def _hmdb(videos: tuple[str, ...]) -> Layout:
    lists = ("*_test_split1.txt",)
    return Layout(
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


LAYOUTS: dict[Format, Layout] = {
    "list": Layout(read_list, names_paths=True),
    "frame-list": Layout(read_frame_list, names_paths=True),
    "folders": Layout(
        lambda folder, _, classes: read_folders(folder, classes),
        read_classes=_folder_classes,
        train=("train",),
        val=("val", "valid", "validation", "test"),
    ),
    "kinetics400": Layout(
        official.read_kinetics,
        train=("train.csv", "kinetics_train.csv", "kinetics_400_train.csv"),
        val=("val.csv", "validate.csv", "kinetics_val.csv", "kinetics_400_val.csv"),
        annotations=("", "annotations", "kinetics400"),
        own_classes=official.kinetics400_classes,
    ),
    "something-v1": _something(1, read_classes, 12.0),
    "something-v2": _something(2, official.read_something_classes, None),
    "ucf101": Layout(
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


def find_files(data: Data) -> Files:
    """Looks for every list of a dataset; none is read.

    Raises:
        DataError: a folder or file is missing.
    """
    root, layout = data.folder, LAYOUTS[data.format]
    if not root.is_dir():
        way_on = "`stzoo data make` makes some sets" if data.format == "list" else "it is your copy of the data"
        raise DataError(
            f"the dataset's folder {data.root} (data.root) does not exist; give the right one with --data-root, or of "
            f"a run in its recipe.toml; {way_on}"
        )
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
    videos = next((root / name for name in layout.videos if list_folder(root / name)), root)
    return Files(root, lists, paths, videos, layout)


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
