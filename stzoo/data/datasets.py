"""Lists of labelled videos in general layouts: `path label` or `dir frames label` a line, or a CSV file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from stzoo.data.names import normal, on_disk, spellings
from stzoo.data.tables import is_table, table_rows
from stzoo.data.texts import read_lines
from stzoo.errors import DataError, did_you_mean
from stzoo.video.frame_order import FrameOrder
from stzoo.video.video import Video, split_part

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
    fold: str | None = None
    """The part of the videos that it is held out with, where the videos are cut into parts."""
    order: FrameOrder = "given"
    """In which order the frames of a clip of it are seen."""
    where: str | None = None
    """The line of a table that names this part of a video, for sentences: `events.csv line 7`."""

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


def read_list(
    list_file: Path | str, root: Path | str, classes: Sequence[str], prefer_names: bool = False
) -> list[Item]:
    """The videos of a list file, in its order.

    A line is `path label`. The path is below `root` and may contain spaces; the label is a class name, which may
    contain spaces too and stand in quotation marks, or the index of a class: one or the other in the whole list. Where
    both could be meant, names are with `prefer_names`. Whether the videos exist is not looked at.

    A CSV file whose header names the columns path and label is read by them. Where it has the columns source and fold,
    they say of every video which recording it was cut from, and with which part of the videos it is held out. With the
    columns start and end, and in an export of BORIS, rows are parts of videos: `stzoo.data.tables`.

    Raises:
        DataError: the file cannot be read or lists nothing, a line has no path or no known label, or all labels are
            names and indices as well and mean other classes then.
    """
    if is_table(Path(list_file)):
        rows = _parsed_rows(Path(list_file), Path(root), classes)
        return _items(Path(list_file), Path(root), classes, rows, prefer_names)
    return _read_list(list_file, root, classes, "path label", _path_alone, prefer_names)


def read_frame_list(list_file: Path | str, root: Path | str, classes: Sequence[str]) -> list[Item]:
    """The frame folders of a list file, in its order.

    A line is `dir frames label`: as in `read_list`, with the number of frames in the folder before the label. That may
    be 0, where nothing came out of a video.

    Raises:
        DataError: as `read_list`, or a line has no number of frames.
    """
    return _read_list(list_file, root, classes, "dir frames label", _path_and_frames)


def listed_place(path: str, root: Path) -> tuple[Path, str]:
    """Where the video is that a list names, as the file system spells it, and `#t=...` where a part of it is meant."""
    whole, _ = split_part(path)
    return on_disk(root / whole), path[len(whole) :]


def are_taken_for_indices(labels: Iterable[int], classes: Sequence[str]) -> bool:
    """Whether a list of these labels, written by name, could be read as indices that mean other classes."""
    pairs = [(classes[label], label) for label in set(labels)]
    return all(name.isdecimal() and len(name) < 10 and int(name) < len(classes) for name, _ in pairs) and any(
        int(name) != label for name, label in pairs
    )


class _Labelled(NamedTuple):
    """What stands before a label, taken apart, and the index of its class."""

    path: str
    frames: int | None
    label: int
    source: str | None = None
    fold: str | None = None


class _Line(NamedTuple):
    """One line of a list, with what it says if its label is a class's name, and if it is an index."""

    number: int
    text: str
    word: str
    as_name: _Labelled | None
    as_index: _Labelled | None


def _read_list(
    list_file: Path | str,
    root: Path | str,
    classes: Sequence[str],
    form: str,
    split: Callable[[str], tuple[str, int | None] | None],
    prefer_names: bool = False,
) -> list[Item]:
    """`split` takes what stands before the label apart; it gives `None` where that is not of the form."""
    lines = _parsed(Path(list_file), classes, form, split)
    if not lines:
        raise DataError(f"{list_file} lists no video; write one `{form}` a line.")
    return _items(Path(list_file), Path(root), classes, lines, prefer_names)


def _items(
    list_file: Path, root: Path, classes: Sequence[str], lines: Sequence[_Line], prefer_names: bool
) -> list[Item]:
    items = []
    labelled = _read_one_way(list_file, lines, classes, prefer_names)
    for (path, frames, label, source, fold), line in zip(labelled, lines, strict=True):
        place, part = listed_place(path, root)
        source = source or recording(place.stem, classes[label]) or (str(place) if part else None)
        where = f"{list_file} line {line.number}" if part else None
        items.append(Item(place.with_name(place.name + part), label, source, frames, fold=fold, where=where))
    return items


def _parsed_rows(list_file: Path, root: Path, classes: Sequence[str]) -> list[_Line]:
    indices = {normal(name): index for index, name in enumerate(classes)}
    lines = []
    for number, row in table_rows(list_file, root):
        path, word = row["path"].strip(), normal(row["label"].strip())
        if not path:
            raise DataError(f"{list_file} line {number} names no path; write the path of a video there.")
        of_video = row.get("source") or None, row.get("fold") or None
        as_name = _Labelled(path, None, indices[word], *of_video) if word in indices else None
        is_index = word.isdecimal() and len(word) < 10 and int(word) < len(classes)
        as_index = _Labelled(path, None, int(word), *of_video) if is_index else None
        lines.append(_Line(number, path, word, as_name, as_index))
    if not lines:
        raise DataError(f"{list_file} lists no video; write one row a video.")
    return lines


def _parsed(
    list_file: Path, classes: Sequence[str], form: str, split: Callable[[str], tuple[str, int | None] | None]
) -> list[_Line]:
    indices = {spelling: index for index, name in enumerate(classes) for spelling in spellings(name)}
    indices = {f'"{spelling}"': index for spelling, index in indices.items()} | indices
    by_last_word: dict[str, list[str]] = {}
    for name in sorted(indices, key=len, reverse=True):
        by_last_word.setdefault(name.split()[-1], []).append(name)

    def labelled(before: str, label: int) -> _Labelled | None:
        parts = split(before.rstrip()) if before.strip() else None
        return None if parts is None else _Labelled(*parts, label)

    lines = []
    for number, line in read_lines(list_file):
        rest, _, word = line.replace("\t", " ").rpartition(" ")
        named = next((name for name in by_last_word.get(word, []) if line.endswith((f" {name}", f"\t{name}"))), None)
        if labelled(line[: -len(named)] if named else line[: len(rest)], 0) is None:
            raise DataError(f'{list_file} line {number}: "{line}" is not `{form}`; write it so, with spaces between.')
        as_name = None if named is None else labelled(line[: -len(named)], indices[named])
        is_index = named in (None, word) and word.isdecimal() and len(word) < 10 and int(word) < len(classes)
        lines.append(_Line(number, line, word, as_name, labelled(line[: len(rest)], int(word)) if is_index else None))
    return lines


def _read_one_way(
    list_file: Path, lines: Sequence[_Line], classes: Sequence[str], prefer_names: bool
) -> list[_Labelled]:
    """All lines read in one way: their labels are the names of classes, or they are indices."""
    names = [line.as_name for line in lines if line.as_name is not None]
    indices = [line.as_index for line in lines if line.as_index is not None]
    if len(names) == len(lines) and (prefer_names or len(indices) < len(lines) or names == indices):
        return names
    if len(indices) == len(lines) > len(names):
        return indices
    if len(names) == len(lines) == len(indices):
        differing = next(line for line in lines if line.as_name != line.as_index)
        raise DataError(
            f'{list_file}: all of its labels are names of classes and indices as well, and "{differing.word}" in line '
            f"{differing.number} would be another class; write names in quotation marks, or keep a folder a class."
        )
    by_name = len(names) >= len(indices)
    wrong = next(line for line in lines if (line.as_name if by_name else line.as_index) is None)
    if (wrong.as_index if by_name else wrong.as_name) is not None:
        here, there = ("an index", "names of classes") if by_name else ("the name of a class", "indices")
        raise DataError(
            f'{list_file} line {wrong.number}: the label "{wrong.word}" is {here}, and those of other lines are '
            f"{there}; write all labels of a list in one way."
        )
    known = f"the {len(classes)} class names or an index from 0 to {len(classes) - 1}"
    raise DataError(
        f'{list_file} line {wrong.number}: the label "{wrong.word}" is none of {known}.'
        f"{did_you_mean(wrong.word, classes)}"
    )


def _path_alone(text: str) -> tuple[str, None]:
    return text, None


def _path_and_frames(text: str) -> tuple[str, int] | None:
    path, _, frames = text.replace("\t", " ").rpartition(" ")
    if not path.strip() or not frames.isdecimal() or int(frames) >= 10**9:
        return None
    return text[: len(path)].rstrip(), int(frames)
