from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.data.datasets import Item, read_classes, read_folders, read_frame_list, read_list
from stzoo.errors import DataError

CLASSES = ("still", "left", "turn left", "turn right")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_are_split_from_the_right(tmp_path: Path) -> None:
    lines = "a.mp4 0\nmy clips/b c.mp4 turn left\n\n  d.mp4\tleft  \n/abs/e.mp4 3\nünï 2.webm still\n"
    items = read_list(write(tmp_path / "train.txt", lines), tmp_path / "root", CLASSES)
    root = tmp_path / "root"
    assert items == [
        Item(root / "a.mp4", 0),
        Item(root / "my clips/b c.mp4", 2),
        Item(root / "d.mp4", 1),
        Item(Path("/abs/e.mp4"), 3),
        Item(root / "ünï 2.webm", 0),
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("a.mp4 4", '"4" is none of the 4 class names or an index from 0 to 3'),
        ("a.mp4 -1", '"-1" is none of'),
        ("a.mp4 stil", 'Did you mean "still"?'),
        ("a.mp4", "is not `path label`"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        read_list(write(tmp_path / "list.txt", f"ok.mp4 0\n{line}\n"), tmp_path, CLASSES)
    assert "list.txt line 2" in str(caught.value)


def test_ucf101_in_a_plain_list_keeps_its_recordings(tmp_path: Path) -> None:
    lines = "still/v_still_g08_c01.avi 0\nstill/v_still_g08_c02.avi 0\nleft/v_left_g08_c01.avi 1\ng08_c01.avi 0\n"
    assert [item.group for item in read_list(write(tmp_path / "train.txt", lines), tmp_path, CLASSES)] == [
        "still g08",
        "still g08",
        "left g08",
        None,
    ]
    folder = tmp_path / "turn left" / "v_turn_g02_c01"
    folder.mkdir(parents=True)
    (item,) = read_folders(tmp_path, CLASSES)
    assert item == Item(folder, 2, "turn left g02")


def test_lines_of_frame_folders_are_split_from_the_right(tmp_path: Path) -> None:
    lines = "a b/1 2 7 turn left\nc\t12\t0\nd 0 still\n"
    items = read_frame_list(write(tmp_path / "train.txt", lines), tmp_path, CLASSES)
    assert items == [
        Item(tmp_path / "a b/1 2", 2, frames=7),
        Item(tmp_path / "c", 0, frames=12),
        Item(tmp_path / "d", 0, frames=0),
    ]


@pytest.mark.parametrize("line", ["a still", "a x 0", "7 0", "a -1 0", "a 10000000000 0"])
def test_a_frame_folder_without_a_number_of_frames_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="is not `dir frames label`"):
        read_frame_list(write(tmp_path / "list.txt", f"{line}\n"), tmp_path, CLASSES)


def test_empty_missing_and_binary_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lists no video"):
        read_list(write(tmp_path / "empty.txt", "\n \n"), tmp_path, CLASSES)
    with pytest.raises(DataError, match="does not exist"):
        read_list(tmp_path / "missing.txt", tmp_path, CLASSES)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="UTF-8"):
        read_list(tmp_path / "binary.txt", tmp_path, CLASSES)
    with pytest.raises(DataError, match="cannot be read"):
        read_list(tmp_path, tmp_path, CLASSES)


def test_classes_keep_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "classes.txt", "\n".join(CLASSES) + "\n\n")
    assert read_classes(path) == CLASSES


def test_classes_without_names_or_with_twins_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="names no class"):
        read_classes(write(tmp_path / "none.txt", "\n"))
    with pytest.raises(DataError, match='"a" twice'):
        read_classes(write(tmp_path / "twins.txt", "a\nb\na\n"))
