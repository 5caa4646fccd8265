"""Lists of labelled videos in general layouts: `path label` or `dir frames label` a line, and a folder a class."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from stzoo.errors import DataError, did_you_mean
from stzoo.video.video import VIDEO_SUFFIXES, Video

_CUT = re.compile(r".*_(g[0-9]{2})_c[0-9]{2}")


class Item(NamedTuple):
    """A video and the index of its class."""

    path: Path
    label: int
    group: str | None = None
    """What the video shares with others that were cut from one recording; they stand on one side of every split."""
    frames: int | None = None
    """How many frames the list says there are."""
    frame_rate: float | None = None
    """Frames a second of a folder of frames, where it is known."""

    @property
    def video(self) -> Video:
        return Video(self.path, self.frame_rate)

    @property
    def source(self) -> str:
        """The recording that the video was cut from; the video itself where nobody says."""
        return self.group if self.group is not None else str(self.path)


def common_rate(items: Sequence[Item]) -> float | list[float | None] | None:
    """The frame rate that all items have; all of their rates where they differ."""
    rates = [item.frame_rate for item in items]
    return rates[0] if len(set(rates)) == 1 else rates


def recording(name: str, class_name: str) -> str | None:
    """The recording that a clip is cut from, as the names of UCF101 say it: `g07` in `v_YoYo_g07_c02`, of its class."""
    match = _CUT.fullmatch(name)
    return f"{class_name} {match[1]}" if match else None


def read_classes(path: Path | str) -> tuple[str, ...]:
    """Class names in the order of their indices, one a line; blank lines do not count.

    Raises:
        DataError: the file cannot be read, holds no name, or a name twice.
    """
    names = [line for _, line in read_lines(Path(path))]
    if not names:
        raise DataError(f"{path} names no class; write one class name a line.")
    for number, name in enumerate(names):
        if name in names[:number]:
            raise DataError(f'{path} names the class "{name}" twice; every class has one line.')
    return tuple(names)


def read_list(list_file: Path | str, root: Path | str, classes: Sequence[str]) -> list[Item]:
    """The videos of a list file, in its order.

    A line is `path label`. The path is below `root` and may contain spaces; the label is a class name, which may
    contain spaces too, or the index of a class. Names are tried first. Whether the videos exist is not looked at.

    Raises:
        DataError: the file cannot be read or lists nothing, or a line has no path or no known label.
    """
    return _read_list(list_file, root, classes, "path label", _path_alone)


def read_frame_list(list_file: Path | str, root: Path | str, classes: Sequence[str]) -> list[Item]:
    """The frame folders of a list file, in its order.

    A line is `dir frames label`: as in `read_list`, with the number of frames in the folder before the label. That may
    be 0, where nothing came out of a video.

    Raises:
        DataError: as `read_list`, or a line has no number of frames.
    """
    return _read_list(list_file, root, classes, "dir frames label", _path_and_frames)


def class_folders(folder: Path | str) -> tuple[str, ...]:
    """The names of the folders in a folder, sorted: the classes of videos that are kept in a folder a class.

    Raises:
        DataError: the folder cannot be read or holds no folder.
    """
    names = tuple(path.name for path in _visible(Path(folder)) if path.is_dir())
    if not names:
        raise DataError(f"{folder} holds no folder; keep the videos of each class in a folder of its name.")
    return names


def read_folders(folder: Path | str, classes: Sequence[str]) -> list[Item]:
    """The videos in `folder/class/`, sorted by class and name: video files, folders of frames and zip files.

    Raises:
        DataError: there is no video, or a folder is named after no class.
    """
    folder = Path(folder)
    indices = {name: index for index, name in enumerate(classes)}
    items = []
    for name in class_folders(folder):
        if name not in indices:
            raise DataError(
                f'{folder} holds the folder "{name}", and there is no such class among the {len(classes)}.'
                f"{did_you_mean(name, classes)} Rename or remove it."
            )
        videos = [path for path in _visible(folder / name) if path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir()]
        items += [Item(path, indices[name], group=recording(path.stem, name)) for path in videos]
    if not items:
        raise DataError(f"{folder} holds no video in any of its folders; put videos there.")
    return items


def read_lines(path: Path) -> list[tuple[int, str]]:
    """(line number from 1, stripped line) of the lines that are not blank.

    Raises:
        DataError: the file cannot be read or is not UTF-8.
    """
    return [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]


def fits_a_line(text: str) -> bool:
    """Whether `read_lines` gives a text back that is written on a line of its own."""
    return text.strip() == text and text.splitlines() == [text] and text.encode("utf-8", "replace").decode() == text


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


def _read_list(
    list_file: Path | str,
    root: Path | str,
    classes: Sequence[str],
    form: str,
    split: Callable[[str], tuple[str, int | None] | None],
) -> list[Item]:
    """`split` takes what stands before the label apart; it gives `None` where that is not of the form."""
    list_file, root = Path(list_file), Path(root)
    indices = {name: index for index, name in enumerate(classes)}
    by_last_word: dict[str, list[str]] = {}
    for name in sorted(indices, key=len, reverse=True):
        by_last_word.setdefault(name.split()[-1], []).append(name)
    items = []
    for number, line in read_lines(list_file):
        before, _, word = line.replace("\t", " ").rpartition(" ")
        named = [name for name in by_last_word.get(word, []) if line.endswith((f" {name}", f"\t{name}"))]
        before = line[: -len(named[0])].rstrip() if named else line[: len(before)].rstrip()
        parts = split(before)
        if not before or parts is None:
            raise DataError(f'{list_file} line {number}: "{line}" is not `{form}`; write it so, with spaces between.')
        if not named and (not word.isdecimal() or int(word) >= len(classes)):
            known = f"the {len(classes)} class names or an index from 0 to {len(classes) - 1}"
            raise DataError(
                f'{list_file} line {number}: the label "{word}" is none of {known}.{did_you_mean(word, classes)}'
            )
        path, label = root / parts[0], indices[named[0]] if named else int(word)
        items.append(Item(path, label, recording(path.stem, classes[label]), parts[1]))
    if not items:
        raise DataError(f"{list_file} lists no video; write one `{form}` a line.")
    return items


def _path_alone(text: str) -> tuple[str, None]:
    return text, None


def _path_and_frames(text: str) -> tuple[str, int] | None:
    path, _, frames = text.replace("\t", " ").rpartition(" ")
    if not path.strip() or not frames.isdecimal() or int(frames) >= 10**9:
        return None
    return text[: len(path)].rstrip(), int(frames)


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} is not a folder that can be read ({error.strerror}); check the path.") from error
