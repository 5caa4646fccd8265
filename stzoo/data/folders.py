"""What a folder holds: videos and classes, the folders of splits, and what is passed over.

Links are followed, each folder once. Hidden files and what systems put into folders (`@eaDir`, `__MACOSX`,
`lost+found`) count as nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stzoo.data.datasets import Item, recording
from stzoo.data.names import normal
from stzoo.errors import DataError, did_you_mean, listed
from stzoo.video.video import VIDEO_SUFFIXES, is_frame

_SYSTEM = frozenset(
    (
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot", "$recycle.bin", "recycler"),
        *("__macosx", "lost+found", "system volume information", "network trash folder", "temporary items"),
        *("desktop.ini", "thumbs.db"),
    )
)
_SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


class Walked(NamedTuple):
    """One folder of a walk. Who walks may take folders out of `folders`, which are not visited then."""

    path: str
    folders: list[str]
    videos: list[str]
    others: list[str]
    """Files that are no videos by their names."""


def is_systems(name: str) -> bool:
    """Whether a name is hidden, or that of something that systems put into folders for themselves."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def walk(folder: str) -> Iterator[Walked]:
    """A folder and all below it, in the order of names; links are followed, and each folder is visited once."""
    seen: set[tuple[int, int]] = set()
    for path, folders, names in os.walk(folder, followlinks=True):
        state = os.stat(path)
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not is_systems(name))
        files = sorted(name for name in names if not is_systems(name))
        videos = [name for name in files if _is_video(name)]
        yield Walked(path, folders, videos, [name for name in files if not _is_video(name)])


def passed_over(folder: Path | str, names: Sequence[str]) -> str:
    """A sentence about files of a folder that were passed over."""
    suffixes = Counter(os.path.splitext(name)[1].lower() or "no suffix" for name in names)
    shown = listed([suffix for suffix, _ in suffixes.most_common()])
    files, their = ("file", "its name ends") if len(names) == 1 else ("files", "their names end")
    return f"{len(names)} {files} in {folder} passed over, because {their} like no video's ({shown})."


def class_folders(folder: Path | str) -> tuple[str, ...]:
    """The names of the folders in a folder, sorted: the classes of videos that are kept in a folder a class.

    Raises:
        DataError: the folder cannot be read or holds no folder.
    """
    names = tuple(sorted({normal(path.name) for path in _folders(Path(folder))}))
    if not names:
        raise DataError(f"{folder} holds no folder; keep the videos of each class in a folder of its name.")
    return names


def read_folders(folder: Path | str, classes: Sequence[str]) -> list[Item]:
    """The videos in `folder/class/`, sorted by class and name: video files, folders of frames and zip files.

    In a class's folder further folders may lie, with videos of the class.

    Raises:
        DataError: there is no video, a folder is named after no class, or holds nothing that could be read.
    """
    folder = Path(folder)
    indices = {normal(name): index for index, name in enumerate(classes)}
    items = []
    class_folders(folder)
    for path in _folders(folder):
        name = normal(path.name)
        if name not in indices:
            raise DataError(
                f'{folder} holds the folder "{name}", and there is no such class among the {len(classes)}.'
                f"{did_you_mean(name, classes)} Rename or remove it."
            )
        videos = sorted(_videos_of_class(path))
        if not any(_is_readable(video) for video in videos):
            raise DataError(
                f"{path} holds no video, neither a file nor a folder of numbered pictures; put the videos of the class "
                f'"{name}" there, or take the folder away.'
            )
        items += [Item(video, indices[name], group=recording(video.stem, name)) for video in videos]
    return items


def passed_over_in_classes(folder: Path) -> str | None:
    """A sentence about the files that `read_folders` passes over, if there are any."""
    names = [name for name in _names(folder) if not (folder / name).is_dir()]
    for path in _folders(folder):
        for walked in walk(str(path)):
            if walked.path == str(path):
                names += walked.others
            elif walked.videos:
                names += [name for name in walked.others if not is_frame(name)]
            elif any(map(is_frame, walked.others)):
                walked.folders.clear()
    return passed_over(folder, names) if names else None


def split_folders(folder: Path) -> dict[str, Path]:
    """`train`, `val` and `test` -> the folder of each that a folder has, in any letter case; empty for no such parts.

    There is one that trains, and another one or nothing beside it: a class may be called train, too.
    """
    by_name = {path.name.casefold(): path for path in reversed(_folders(folder))}
    parts = {
        split: by_name[name]
        for split, names in _SPLITS.items()
        if (name := next((name for name in names if name in by_name), None)) is not None
    }
    return parts if "train" in parts and (len(parts) > 1 or len(by_name) == 1) else {}


def no_splits(folder: Path) -> list[str]:
    """The names of the folders beside those of the splits."""
    parts = {*split_folders(folder).values()}
    return [path.name for path in _folders(folder) if path not in parts]


def _videos_of_class(folder: Path) -> Iterator[Path]:
    """Videos, folders of frames, and folders that nothing is known of and so are named when they are read."""
    for walked in walk(str(folder)):
        path = Path(walked.path)
        if path != folder and not walked.videos and (not walked.folders or any(map(is_frame, walked.others))):
            walked.folders.clear()
            yield path
        yield from (path / name for name in walked.videos)


def _is_readable(path: Path) -> bool:
    """Whether it is a file, or a folder with a picture or a zip file in it."""
    return not path.is_dir() or any(is_frame(name) or _is_video(name) for name in _names(path))


def _is_video(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder) if (folder / name).is_dir()]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not is_systems(name))
    except OSError as error:
        raise DataError(f"{folder} is not a folder that can be read ({error.strerror}); check the path.") from error
