"""The annotation files of Kinetics-400, Something-Something and UCF101 as they come, and where their videos are.

A video that is not there gets the path at which the dataset's own layout would have it; reading it then says so.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from stzoo.data.datasets import Item, recording
from stzoo.data.texts import read_lines, read_rows, read_text
from stzoo.errors import DataError, did_you_mean
from stzoo.video.images import list_folder
from stzoo.video.video import VIDEO_SUFFIXES

_KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end")
_KINETICS_DEPTH = 3  # root / split / class / clip
_ID_LETTERS = 11
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_CLIP = re.compile(r"[A-Za-z0-9_-]{11}_[0-9]{6}_[0-9]{6}")


def kinetics400_classes() -> tuple[str, ...]:
    """The 400 class names in alphabetical order, which the official csv files do not carry."""
    text = resources.files("stzoo.data").joinpath("labels", "kinetics400.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def read_kinetics(list_file: Path, videos: Path, classes: Sequence[str]) -> list[Item]:
    """A csv with the columns `label,youtube_id,time_start,time_end,split`, in its order.

    Clips are named `<id>_<start:06d>_<end:06d>` with any suffix, or are folders of frames of that name, and stand in
    folders of their class (spaces kept or underscores), of their split, both or neither. Below a folder whose name
    begins with `replacement` are the mirror's files for clips that it first gave out damaged: there the id at the
    beginning of the name tells, and they come before all others. Clips of one YouTube video are one group. A clip that
    is not there is expected where the first of its class is.

    Raises:
        DataError: the file cannot be read or lists nothing, lacks a column, or a row has no known label, id or times.
    """
    clips, replacements = _clips_below(videos)
    indices = {name: index for index, name in enumerate(classes)}
    rows, homes = [], dict[int, Path]()
    for number, row in read_rows(list_file, _KINETICS_COLUMNS):
        where = f"{list_file} line {number}"
        label, video = row["label"], row["youtube_id"]
        if not _YOUTUBE_ID.fullmatch(video):
            raise DataError(f"{where}: {video!r:.40} is no YouTube id of 11 letters; check the file.")
        start, end = (_seconds(row[column], where) for column in ("time_start", "time_end"))
        name = f"{video}_{start:06d}_{end:06d}"
        paths = clips.get(name, [])
        index = _index(label, indices, where)
        path = next((path for path in paths if _plain(path.parent.name) == _plain(label)), paths[0] if paths else None)
        if path is not None:
            homes.setdefault(index, path.parent)
        rows.append((name, video, index, replacements.get(video, path)))
    items = [
        Item(path or homes.get(index, videos / classes[index]) / f"{name}.mp4", index, group=video)
        for name, video, index, path in rows
    ]
    return _listed(items, list_file)


def read_something_classes(path: Path) -> tuple[str, ...]:
    """Class names in the order of `*-labels.json` of Something-Something V2: an object of name to index.

    Raises:
        DataError: the file cannot be read or is not such an object.
    """
    value = _json(path)
    try:
        order = {int(index): _without_brackets(name) for name, index in value.items()}
        names = tuple(order[index] for index in range(len(value)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not an object of class names and indices from 0; check the file.") from error
    if not names or len(set(names)) < len(names):
        raise DataError(f"{path} names no class, or one twice; check the file.")
    return names


def read_something(list_file: Path, videos: Path, classes: Sequence[str]) -> list[Item]:
    """The lists of both versions of Something-Something, in their order.

    A `.csv` holds `id;label` (V1, and V2's test answers), a `.json` objects with `id` and `template` (V2), whose
    brackets do not belong to the class name. Videos are named by their ids: folders of frames, zip files or files.

    Raises:
        DataError: the file cannot be read, is not of this form or lists nothing, or an entry has no known label or id.
    """
    indices = {name: index for index, name in enumerate(classes)}
    pairs = _json_pairs(list_file) if list_file.suffix.lower() == ".json" else _csv_pairs(list_file)
    names = list_folder(videos)
    usual = next((suffix for suffix in _suffixes(names) if suffix), "")
    items = []
    for where, video, label in pairs:
        if not re.fullmatch(r"[0-9]{1,12}", video):
            raise DataError(f"{where}: {video!r:.40} is no number, as ids of this dataset are; check the file.")
        if label is None:
            raise DataError(f"{where}: video {video} has no label, so nothing can be measured on this list.")
        name = next((f"{video}{s}" for s in ("", *_suffixes(names)) if f"{video}{s}" in names), f"{video}{usual}")
        items.append(Item(videos / name, _index(_without_brackets(label), indices, where)))
    return _listed(items, list_file)


def read_ucf101_classes(path: Path) -> tuple[str, ...]:
    """Class names in the order of `classInd.txt`: lines of an index from 1 and a name.

    Raises:
        DataError: the file cannot be read, or its indices do not run from 1.
    """
    lines = [line.split(maxsplit=1) for _, line in read_lines(path)]
    if not lines or [line[0] for line in lines] != [str(number) for number in range(1, len(lines) + 1)]:
        raise DataError(f"{path} is not a list of indices from 1 and class names; check the file.")
    names = tuple(line[-1] for line in lines)
    if len(set(names)) < len(names) or any(len(line) < 2 for line in lines):
        raise DataError(f"{path} has a line without a class name, or a name twice; check the file.")
    return names


def read_ucf101(list_file: Path, videos: Path, classes: Sequence[str]) -> list[Item]:
    """`trainlist0x.txt` (`Class/v_Class_g01_c01.avi 1`) or `testlist0x.txt` (without the index), in its order.

    The label is that of the folder. Folders and files are found whatever the case of their letters, because archives
    disagree on `HandstandPushups`; a folder of frames or another suffix may stand for the avi. Videos of a class that
    share `g01` .. `g25` are cut from one recording and are one group.

    Raises:
        DataError: the file cannot be read or lists nothing, or a line has no known folder or an index of another class.
    """
    indices = {name.casefold(): index for index, name in enumerate(classes)}
    place_of = finder(videos)
    items = []
    for number, line in read_lines(list_file):
        where = f"{list_file} line {number}"
        match = re.fullmatch(r"([^/\\]+)/([^/\\]+?)(\.avi)?(?:\s+([0-9]+))?", line)
        if match is None or {match[1], match[2]} & {".", ".."}:
            raise DataError(f'{where}: "{line:.80}" is not `Class/video.avi` with or without an index; check the file.')
        folder, stem, suffix, index = match[1], match[2], match[3] or "", match[4]
        label = _index(folder.casefold(), indices, where)
        if index is not None and int(index) != label + 1:
            raise DataError(f"{where}: the index {index} is not that of {folder}, which is {label + 1}.")
        items.append(Item(place_of(folder, stem, suffix), label, group=recording(stem, classes[label])))
    return _listed(items, list_file)


def finder(videos: Path) -> Callable[[str, str, str], Path]:
    """A function of class folder, stem and suffix that finds a video below a folder, whatever the case of its letters.

    A folder of frames or another suffix may stand for the suffix. A video that is not there is expected as it is named.
    """
    listings: dict[Path, dict[str, list[str]]] = {}

    def alike(folder: Path, name: str) -> list[Path]:
        if folder not in listings:
            listing = listings[folder] = {}
            for entry in sorted(list_folder(folder)):
                listing.setdefault(entry.casefold(), []).append(entry)
        entries = listings[folder].get(name.casefold(), [])
        return [folder / entry for entry in sorted(entries, key=lambda entry: entry != name)]

    def place_of(folder: str, stem: str, suffix: str) -> Path:
        candidates = (
            path
            for name in dict.fromkeys((stem + suffix, stem, *(stem + other for other in sorted(VIDEO_SUFFIXES))))
            for above in alike(videos, folder)
            for path in alike(above, name)
        )
        return next(candidates, videos / folder / f"{stem}{suffix}")

    return place_of


def _clips_below(videos: Path) -> tuple[dict[str, list[Path]], dict[str, Path]]:
    """Every Kinetics clip below a folder, by name without suffix, paths sorted; and replacements, by YouTube id."""
    clips: dict[str, list[Path]] = {}
    replacements: dict[str, Path] = {}
    folders = [(videos, 0, False)]
    while folders:
        folder, depth, replaces = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                stem, suffix = os.path.splitext(entry.name)
                is_video = suffix.lower() in VIDEO_SUFFIXES
                if replaces and is_video:
                    path, video = Path(entry.path), stem[:_ID_LETTERS]
                    replacements[video] = min(path, replacements.get(video, path))
                elif _CLIP.fullmatch(stem) and (is_video or (not suffix and entry.is_dir())):
                    clips.setdefault(stem, []).append(Path(entry.path))
                elif depth < _KINETICS_DEPTH and entry.is_dir():
                    below = replaces or entry.name.casefold().startswith("replacement")
                    folders.append((Path(entry.path), depth + 1, below))
    return {name: sorted(paths) for name, paths in clips.items()}, replacements


def _csv_pairs(path: Path) -> list[tuple[str, str, str | None]]:
    """(where, id, label) of lines `id;label`."""
    pairs = []
    for number, line in read_lines(path):
        video, _, label = line.partition(";")
        pairs.append((f"{path} line {number}", video.strip(), label.strip() or None))
    return pairs


def _json_pairs(path: Path) -> list[tuple[str, str, str | None]]:
    """(where, id, template) of a list of objects."""
    value = _json(path)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise DataError(f"{path} is not a list of objects with id and template; check the file.")
    pairs = []
    for number, entry in enumerate(value, 1):
        template = entry.get("template")
        label = template if isinstance(template, str) and template else None
        pairs.append((f"{path} entry {number}", str(entry.get("id")), label))
    return pairs


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON that can be read ({type(error).__name__}); check the file.") from error


def _index(label: str, indices: dict[str, int], where: str) -> int:
    if label not in indices:
        raise DataError(
            f'{where}: the label "{label:.80}" is none of the {len(indices)} classes.{did_you_mean(label, indices)}'
        )
    return indices[label]


def _listed(items: list[Item], list_file: Path) -> list[Item]:
    if not items:
        raise DataError(f"{list_file} lists no video; check the file.")
    return items


def _seconds(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}(\.0*)?", text):
        raise DataError(f"{where}: {text!r:.40} is no time in whole seconds; check the file.")
    return int(text.partition(".")[0])


def _suffixes(names: set[str]) -> list[str]:
    """The suffixes of the videos among some names, sorted."""
    return sorted({PurePosixPath(name).suffix for name in names} & VIDEO_SUFFIXES)


def _plain(name: str) -> str:
    return name.replace("_", " ").casefold()


def _without_brackets(template: str) -> str:
    return template.replace("[", "").replace("]", "")
