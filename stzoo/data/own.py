"""A user's own videos: their classes, and which of them train and validate, out of a folder or a `path label` list."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stzoo.data.datasets import Item, are_taken_for_indices, read_list
from stzoo.data.folders import class_folders, no_splits, passed_over_in_classes, read_folders, split_folders
from stzoo.data.lists import Lists
from stzoo.data.names import normal, on_disk
from stzoo.data.parts import refuse_behind
from stzoo.data.tables import is_table, table_rows
from stzoo.data.texts import fits_a_line, read_lines
from stzoo.errors import DataError, quoted
from stzoo.video.video import VIDEO_SUFFIXES

MAX_BROKEN = 0.05
"""The largest part of a user's own videos that is left out because they cannot be read."""
CLASSES, TRAIN, VAL, GROUPS = "classes.txt", "train.txt", "val.txt", "groups.csv"

_HELD_OUT, _MOST_HELD_OUT = 0.2, 50
_LONGEST_NAME = 500  # what a bundle takes


@dataclass(frozen=True)
class OwnVideos:
    """Classes, and videos by absolute paths."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[Item, ...]
    val: tuple[Item, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What of the data is not used, and what stands in for what is not there, in sentences."""

    def texts(self) -> dict[str, str]:
        """All this as files that `[data] format = "list"` reads, by name; their paths start in `root`.

        `GROUPS` is among them where the sources of videos are known.

        Raises:
            DataError: a path or class cannot stand in a list, or only so that the line means another class.
        """
        texts = {
            CLASSES: "".join(f"{name}\n" for name in self.classes),
            TRAIN: "".join(self._lines(self.train)),
            VAL: "".join(self._lines(self.val)),
        }
        return {**texts, GROUPS: self._groups()} if self.has_groups else texts

    @property
    def has_groups(self) -> bool:
        """Whether the source of any video is known."""
        return any(item.group is not None for item in (*self.train, *self.val))

    def _groups(self) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("path", "source"))
        table.writerows((self._listed(item.path), item.source) for item in (*self.train, *self.val))
        return text.getvalue()

    def _listed(self, path: Path) -> str:
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def _lines(self, items: Sequence[Item]) -> Iterator[str]:
        names = [normal(name) for name in self.classes]
        longer = [[other.removesuffix(name) for other in names if other.endswith(f" {name}")] for name in names]
        mark = '"' if are_taken_for_indices((item.label for item in items), self.classes) else ""
        for path, label, *_ in items:
            text = self._listed(path)
            if not fits_a_line(text) or normal(f"{text} ").endswith(tuple(longer[label])):
                raise DataError(
                    f"the path {text!r} cannot stand in a list before its class; rename the file or folder."
                )
            yield f"{text} {mark}{self.classes[label]}{mark}\n"


def own_videos(
    data: Path,
    val: Path | None = None,
    *,
    root: Path | None = None,
    classes: Sequence[str] | None = None,
    known: Sequence[str] = (),
    seed: int = 0,
) -> OwnVideos:
    """What a user gives as data; no video is opened but those of which a list names parts.

    Args:
        data: a folder with a folder a class, or with such folders in `train` and `val` or `test`, whatever their
            letter case; or a list of `path label`, or one of parts of videos as `stzoo.data.tables` reads it.
        val: videos to validate on, in the same forms. Without it they are those in the folder's `val`, or else in its
            `test`, or else a fifth of the videos of every class, at most 50, drawn by `seed`. Where names say of videos
            that they are cut from one recording, as those of UCF101 do, recordings are drawn in place of videos.
        root: where the paths of a list start; by default in the list's own folder.
        classes: class names in order. Without them they are the names of the folders, or the labels of the list: what
            follows the last tab of a line, or else its last word.
        known: the classes of a model; where the videos have exactly these, they are in this order.
        seed: of the draw.

    Raises:
        DataError: there are fewer than two classes, a class has too few videos or none that could be read, a video
            stands in both parts or twice in one, a part of one ends behind it, or a folder or list cannot be read.
    """
    lists = own_lists(data, val, root=root, classes=classes, known=known)
    origin, labels, train = data, lists.classes, lists.train
    held_out = lists.tests.get("val")
    if len(labels) < 2:
        hint = "" if origin.is_dir() else ", and where class names have several words --classes lists them"
        raise DataError(
            f'{origin} holds one class only, "{labels[0]}"; a model is trained to tell at least two apart{hint}.'
        )
    for name in labels:
        if not fits_a_line(name) or len(name) > _LONGEST_NAME:
            raise DataError(
                f"{name[:60]!r} is no name of a class; give it one line of at most {_LONGEST_NAME} letters."
            )
    _refuse_doubled([(origin, train), (val or origin, held_out or [])])
    _refuse_shared(train, held_out or [])
    _refuse_rare(origin, labels, train, 2 if held_out is None else 1)
    refuse_behind([*train, *(held_out or [])])
    if held_out is None:
        train, held_out = _carved(train, len(labels), seed)
    start = origin if origin.is_dir() else root or origin.parent
    return OwnVideos(start.resolve(), labels, tuple(train), tuple(held_out), lists.notes)


def own_lists(
    data: Path,
    val: Path | None = None,
    *,
    root: Path | None = None,
    classes: Sequence[str] | None = None,
    known: Sequence[str] = (),
) -> Lists:
    """What a user gives as data, as it stands there; `val` is among the tests where it is given, or a folder has one.

    The arguments are those of `own_videos`. Raises `DataError` where a folder or list cannot be read.
    """
    origin, data = data, data.resolve()
    start = data if data.is_dir() else (root or data.parent).resolve()
    notes: list[str] = []
    if data.is_dir() and (parts := split_folders(data)):
        notes += _notes_on_parts(origin, parts, val is not None)
        data, val = parts["train"], val or parts.get("val", parts.get("test"))
    labels = tuple(classes) if classes is not None else _classes(data, start, known)
    train = _items(data, root, labels, classes is None)
    tests = {} if val is None else {"val": _items(val.resolve(), root, labels, classes is None)}
    notes += [note for part in (data, val) if part and part.is_dir() and (note := passed_over_in_classes(part))]
    return Lists(labels, train, tests, tuple(notes))


def _notes_on_parts(folder: Path, parts: dict[str, Path], has_val: bool) -> Iterator[str]:
    """What of the folders of splits trains and validates, where that is not all, and what folder is no split."""
    if others := no_splits(folder):
        yield f"Passed over in {folder}, because they are none of the splits train, val and test: {quoted(others)}."
    if "test" in parts and (has_val or "val" in parts):
        yield f"{parts['test']} is not used; measure on it with stzoo evaluate --data {parts['test']}."
    elif "test" in parts:
        yield f"{folder} has no folder val, so the videos of {parts['test']} validate."


def _items(data: Path, root: Path | None, classes: Sequence[str], prefer_names: bool) -> list[Item]:
    if data.is_dir():
        return read_folders(data, classes)
    return read_list(data, (root or data.parent).resolve(), classes, prefer_names)


def _classes(data: Path, root: Path, known: Sequence[str]) -> tuple[str, ...]:
    if data.is_dir():
        names = class_folders(data)
    else:
        labels = _labels(data, root)
        are_numbers = all(label.isdecimal() for label in labels)
        names = tuple(sorted(labels, key=(lambda label: (int(label), label)) if are_numbers else None))
    return tuple(known) if set(names) == set(map(normal, known)) else names


def _labels(data: Path, root: Path) -> set[str]:
    """The labels that a list has. Raises `DataError` where it lists nothing."""
    if is_table(data):
        labels = [row["label"].strip() for _, row in table_rows(data, root)]
    else:
        lines = read_lines(data)
        _refuse_several_words(data, lines, root)
        labels = [line.rpartition("\t" if "\t" in line else " ")[2] for _, line in lines]
    if not labels:
        raise DataError(f"{data} lists no video; write one `path label` a line.")
    return set(map(normal, labels))


def _refuse_several_words(data: Path, lines: Sequence[tuple[int, str]], root: Path) -> None:
    """Raises `DataError` where a label has probably several words, of which only the last would be the class."""
    for number, line in lines:
        words = line.split(" ")
        path, label = " ".join(words[:-1]), words[-1]
        if "\t" in line or Path(path).suffix.lower() in VIDEO_SUFFIXES or on_disk(root / path).exists():
            continue
        for count in range(len(words) - 2, 0, -1):
            shorter = " ".join(words[:count])
            if Path(shorter).suffix.lower() in VIDEO_SUFFIXES or on_disk(root / shorter).exists():
                meant = " ".join(words[count:])
                raise DataError(
                    f'{data} line {number}: its class would be "{label}" and its video "{path}", but "{meant}" and '
                    f'"{shorter}" are probably meant; write a tab before labels of several words, or list the class '
                    "names in a file for --classes."
                )


def _refuse_doubled(parts: Sequence[tuple[Path, Sequence[Item]]]) -> None:
    seen: dict[Path, Path] = {}
    doubled: list[tuple[Path, Path, Path]] = []
    for part, items in parts:
        for item in items:
            path = item.path.resolve()
            if path in seen:
                doubled.append((item.path, seen[path], part))
            seen.setdefault(path, part)
    if doubled:
        path, first, second = doubled[0]
        where = f"twice in {first}" if first == second else f"both in {first} and in {second}"
        count = "1 video is" if len(doubled) == 1 else f"{len(doubled)} videos are"
        raise DataError(f"{count} listed more than once: {path} stands {where}; keep one of them.")


def _refuse_shared(train: Sequence[Item], val: Sequence[Item]) -> None:
    """Raises `DataError` where parts of one recording stand on both sides."""
    trains = {item.video.place.resolve() for item in train if item.video.part is not None}
    shared = next((item for item in val if item.video.place.resolve() in trains), None)
    if shared is not None:
        raise DataError(
            f"parts of {shared.video.place} train and validate, so that what is measured says little about other "
            "videos; keep all parts of a recording in one list."
        )


def _refuse_rare(origin: Path, classes: Sequence[str], train: Sequence[Item], least: int) -> None:
    counts = Counter(label for label, _ in {(item.label, _source(item)) for item in train})
    rare = [(counts[label], name) for label, name in enumerate(classes) if counts[label] < least]
    if rare:
        count, name = rare[0]
        what = "recording" if any(item.group for item in train) else "video"
        raise DataError(
            f'{origin} holds {count} {what}{"" if count == 1 else "s"} of the class "{name}" and needs at least {least}'
            f"{', one of them to validate on' if least > 1 else ''}; add some, or take the class out of the data."
        )


def _carved(items: Sequence[Item], classes: int, seed: int) -> tuple[list[Item], list[Item]]:
    """The items without those to validate on, and these; both in their order, no recording in both.

    A recording stays where it is the last one of a class, of which others may have drawn the rest. Classes with few
    recordings draw first, and what is drawn counts for every class that it shows.
    """
    by_class = [list(dict.fromkeys(_source(item) for item in items if item.label == label)) for label in range(classes)]
    left = [len(sources) for sources in by_class]
    held_out: set[str | Path] = set()
    for label in sorted(range(classes), key=lambda label: len(by_class[label])):
        sources = by_class[label]
        count = min(max(1, round(_HELD_OUT * len(sources))), _MOST_HELD_OUT)
        drawn = np.random.default_rng([seed, label]).choice(len(sources), count, replace=False)
        for source in (sources[index] for index in drawn.tolist()):
            if len(sources) - left[label] >= count:
                break
            shown_in = [other for other, theirs in enumerate(by_class) if source in theirs]
            if source not in held_out and all(left[other] > 1 for other in shown_in):
                held_out.add(source)
                for other in shown_in:
                    left[other] -= 1
    train = [item for item in items if _source(item) not in held_out]
    return train, [item for item in items if _source(item) in held_out]


def _source(item: Item) -> str | Path:
    """What videos that were cut from one recording have in common."""
    return item.group or item.path
