"""The annotation files of HMDB51 and J-HMDB as they come, one a class and split: `brush_hair_test_split1.txt`.

Both name their clips alike: title of the source, class, visible body, camera, people, viewpoint, quality and number,
as in `April_09_brush_hair_u_nm_np1_ba_goo_0.avi`. Reference: Kuehne et al. 2011; Jhuang et al. 2013.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stzoo.data.datasets import Item
from stzoo.data.datasets import read_classes as read_names
from stzoo.data.official import finder
from stzoo.data.texts import read_lines
from stzoo.errors import DataError, did_you_mean

_FILE = re.compile(r"([^.].*)_test_split[0-9]+\.txt")
_LINE = re.compile(r"([^/\\]+?)(\.avi)?\s+([012])")
_CLIP = re.compile(r"(.+)_[fhlu]_[cn]m_np[0-9]+_(?:ba|fr|le|ri)_(?:bad|goo|med)_[0-9]+")
_TRAIN, _TEST = "1", "2"  # 0 is in neither


def read_classes(files: Path) -> tuple[str, ...]:
    """The classes of a split's files, in alphabetical order; or those of a text file, one a line.

    Raises:
        DataError: the text file cannot be read, or names none or one twice.
    """
    return read_names(files) if files.is_file() else tuple(sorted(name for name, _ in _files(files)))


def read_train(files: Path, videos: Path, classes: Sequence[str]) -> list[Item]:
    """The training videos of a split, whose files match a pattern such as `splits/*_test_split1.txt`.

    Lines are `name.avi 1`. Videos are in folders of their class; a folder of frames or another suffix may stand for the
    avi. Clips whose names begin with the same title were cut from one source, whatever their classes.

    Raises:
        DataError: a file cannot be read, is of no known class or has another form, or there is no video.
    """
    return _read(files, videos, classes, _TRAIN)


def read_test(files: Path, videos: Path, classes: Sequence[str]) -> list[Item]:
    """The test videos, whose lines are `name.avi 2`, as `read_train`."""
    return _read(files, videos, classes, _TEST)


def source_of(stem: str, class_name: str) -> str | None:
    """The title in the name of a clip; None where the name is of another form."""
    match = _CLIP.fullmatch(stem)
    return match[1].removesuffix(f"_{class_name}") if match else None


def _files(files: Path) -> list[tuple[str, Path]]:
    """Class and file, of the files that match a pattern."""
    found = ((_FILE.fullmatch(path.name), path) for path in sorted(files.parent.glob(files.name)))
    return [(match[1], path) for match, path in found if match]


def _read(files: Path, videos: Path, classes: Sequence[str], part: str) -> list[Item]:
    place_of = finder(videos)
    items = []
    for name, path in _files(files):
        if name not in classes:
            raise DataError(
                f'{path} is about the class "{name}", which is none of the {len(classes)} classes.'
                f"{did_you_mean(name, classes)}"
            )
        for number, line in read_lines(path):
            match = _LINE.fullmatch(line)
            if match is None or match[1] in (".", ".."):
                raise DataError(f'{path} line {number}: "{line:.80}" is not `video.avi 0`, 1 or 2; check the file.')
            stem, suffix, listed = match[1], match[2] or "", match[3]
            if listed == part:
                place = place_of(name, stem, suffix)
                items.append(Item(place, classes.index(name), group=source_of(stem, name)))
    if not items:
        what = "train" if part == _TRAIN else "test"
        raise DataError(f"{files} lists no video to {what}, with a {part} behind its name; check the files.")
    return items
