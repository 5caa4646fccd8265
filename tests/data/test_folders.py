from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from stzoo.data.datasets import Item
from stzoo.data.folders import (
    class_folders,
    no_splits,
    passed_over,
    passed_over_in_classes,
    read_folders,
    split_folders,
    walk,
)
from stzoo.errors import DataError

SYSTEM = ("@eaDir", "__MACOSX", ".thumbnails", "lost+found", "System Volume Information", "$RECYCLE.BIN", "#recycle")


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize("system", SYSTEM)
def test_what_systems_put_into_folders_is_no_class_and_no_video(tmp_path: Path, system: str) -> None:
    touched(tmp_path, "a/1.mp4", "b/1.mp4", f"{system}/a/1.mp4", f"a/{system}/1.mp4", "a/Thumbs.db", "desktop.ini")
    assert class_folders(tmp_path) == ("a", "b")
    assert [item.path for item in read_folders(tmp_path, ("a", "b"))] == [tmp_path / "a/1.mp4", tmp_path / "b/1.mp4"]
    assert passed_over_in_classes(tmp_path) is None
    assert [walked.path for walked in walk(str(tmp_path))] == [str(tmp_path / name) for name in (".", "a", "b")]


def test_what_is_kept_in_folders_of_a_class_belongs_to_it(tmp_path: Path) -> None:
    touched(tmp_path, "a/v_a_g02_c01/x_1.jpg", "a/2.zip", "a/anna/3.rm", "a/anna/4/1.png", "a/nothing/notes.txt")
    (tmp_path / "a/v_a_g02_c01/flow").mkdir()
    items = read_folders(tmp_path, ("a",))
    names = ("2.zip", "anna/3.rm", "anna/4", "nothing", "v_a_g02_c01")
    assert [item.path for item in items] == [tmp_path / "a" / name for name in names]
    assert items[-1] == Item(tmp_path / "a/v_a_g02_c01", 0, "a g02")


def test_a_class_without_anything_to_read_is_refused(tmp_path: Path) -> None:
    touched(tmp_path, "a/1.mp4", "annotations/readme.txt")
    with pytest.raises(DataError, match=r"annotations holds no video, neither a file nor a folder of numbered"):
        read_folders(tmp_path, ("a", "annotations"))
    (tmp_path / "annotations/empty").mkdir()
    with pytest.raises(DataError, match="annotations holds no video"):
        read_folders(tmp_path, ("a", "annotations"))
    with pytest.raises(DataError, match="no such class among"):
        read_folders(tmp_path, ("annotation",))
    with pytest.raises(DataError, match="holds no folder"):
        class_folders(tmp_path / "a")


def test_links_are_followed_and_no_folder_is_visited_twice(tmp_path: Path) -> None:
    touched(tmp_path, "elsewhere/2.mp4", "data/a/1.mp4")
    (tmp_path / "data/a/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/round").symlink_to(tmp_path / "data/a")
    (tmp_path / "data/b").symlink_to(tmp_path / "elsewhere")
    items = read_folders(tmp_path / "data", ("a", "b"))
    names = [str(item.path.relative_to(tmp_path / "data")) for item in items]
    assert names == ["a/1.mp4", "a/linked/2.mp4", "b/2.mp4", "b/round/1.mp4"]


def test_how_many_files_are_passed_over_is_said(tmp_path: Path) -> None:
    touched(tmp_path, "a/1.mp4", "a/1.srt", "a/2.srt", "b/1/0001.png", "b/sub/2.mp4", "b/sub/LICENSE", "list.txt")
    expected = f"4 files in {tmp_path} passed over, because their names end like no video's (.srt, .txt, no suffix)."
    assert passed_over_in_classes(tmp_path) == expected
    assert passed_over("x", ["a.TXT"]) == "1 file in x passed over, because its name ends like no video's (.txt)."


def test_classes_are_compared_whatever_system_spelt_them(tmp_path: Path) -> None:
    composed, taken_apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    touched(tmp_path, f"{taken_apart}/1.mp4")
    assert class_folders(tmp_path) == (composed,)
    for spelling in (composed, taken_apart):
        assert [item.label for item in read_folders(tmp_path, ("a", spelling))] == [1]


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("Train", "Test"), {"train": "Train", "test": "Test"}),
        (("train", "valid"), {"train": "train", "val": "valid"}),
        (("TRAINING", "Validation", "notes"), {"train": "TRAINING", "val": "Validation"}),
        (("train", "val", "test"), {"train": "train", "val": "val", "test": "test"}),
        (("train",), {"train": "train"}),
        (("train", "bus"), {}),
        (("val", "test"), {}),
    ],
)
def test_splits_have_their_names_in_any_letter_case(
    tmp_path: Path, folders: tuple[str, ...], splits: dict[str, str]
) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    assert split_folders(tmp_path) == {split: tmp_path / name for split, name in splits.items()}
    assert not splits or no_splits(tmp_path) == [name for name in folders if name not in splits.values()]
