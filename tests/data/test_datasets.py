from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from stzoo.data.datasets import Item, is_table, read_classes, read_frame_list, read_list
from stzoo.errors import DataError

CLASSES = ("still", "left", "turn left", "turn right")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_are_split_from_the_right(tmp_path: Path) -> None:
    names = "a.mp4 still\nmy clips/b c.mp4 turn left\n\n  d.mp4\tleft  \n/abs/e.mp4 turn right\nünï 2.webm still\n"
    indices = "a.mp4 0\nmy clips/b c.mp4 2\n\n  d.mp4\t1  \n/abs/e.mp4 3\nünï 2.webm 0\n"
    root = tmp_path / "root"
    for lines in (names, indices):
        assert read_list(write(tmp_path / "train.txt", lines), root, CLASSES) == [
            Item(root / "a.mp4", 0),
            Item(root / "my clips/b c.mp4", 2),
            Item(root / "d.mp4", 1),
            Item(Path("/abs/e.mp4"), 3),
            Item(root / "ünï 2.webm", 0),
        ]


def test_a_whole_list_has_names_or_indices(tmp_path: Path) -> None:
    classes = ("1", "10", "2")

    def labels(text: str, names: tuple[str, ...] = classes, prefer_names: bool = False) -> list[int]:
        return [item.label for item in read_list(write(tmp_path / "list.txt", text), tmp_path, names, prefer_names)]

    assert labels("a 0\nb 1\nc 2\n") == [0, 1, 2]
    assert labels("a 1\nb 10\nc 2\n") == [0, 1, 2]
    assert labels('a "1"\nb "2"\n') == [0, 2]
    assert labels("a 1\nb 2\n", prefer_names=True) == [0, 2]
    assert labels("a 0\nb 1\n", ("0", "1", "2")) == [0, 1]
    with pytest.raises(DataError, match=r'names of classes and indices as well, and "1" in line 1 would be another'):
        labels("a 1\nb 2\n")
    with pytest.raises(DataError, match=r'line 3: the label "still" is the name of a class, and .* are indices; write'):
        labels("a 0\nb 1\nc still\n", CLASSES)
    with pytest.raises(DataError, match=r'line 1: the label "0" is an index, and those of other lines are names'):
        labels("a 0\nb left\nc still\n", CLASSES)


def test_names_are_compared_whatever_system_spelt_them(tmp_path: Path) -> None:
    composed, taken_apart = (unicodedata.normalize(form, "café/é.mp4") for form in ("NFC", "NFD"))
    (tmp_path / taken_apart).parent.mkdir()
    (tmp_path / taken_apart).touch()
    for spelling in (composed, taken_apart):
        lines = f"{spelling} {unicodedata.normalize('NFD', 'thé')}\n"
        (item,) = read_list(write(tmp_path / "list.txt", lines), tmp_path, ("café", "thé"))
        assert (item.path, item.label) == (tmp_path / taken_apart, 1)
        assert item.path.exists()


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


def test_lines_of_frame_folders_are_split_from_the_right(tmp_path: Path) -> None:
    lines = "a b/1 2 7 turn left\nc\t12\tstill\nd 0 still\n"
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


def test_a_csv_file_is_read_by_its_columns(tmp_path: Path) -> None:
    text = 'source,label,path\nfilm 1,still,"a, b.mp4"\n,turn left,v_x_g01_c02.mp4\n'
    path = write(tmp_path / "train.csv", text)
    assert read_list(path, tmp_path, ("still", "turn left")) == [
        Item(tmp_path / "a, b.mp4", 0, "film 1"),
        Item(tmp_path / "v_x_g01_c02.mp4", 1, "turn left g01"),
    ]
    indices = write(tmp_path / "indices.csv", "path,label,fold\na.mp4,1,2\n")
    assert read_list(indices, tmp_path, ("still", "turn left")) == [Item(tmp_path / "a.mp4", 1, fold="2")]
    assert not is_table(write(tmp_path / "plain.csv", "a.mp4 1\n"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,label\n", "lists no video; write one row a video"),
        ("path,label\n,still\n", "line 2 names no path"),
        ("path,label\na.mp4,stil\n", 'line 2: the label "stil" is none of .* Did you mean "still"'),
        ("path,label\na.mp4,still,x\n", "another number of columns"),
        ("path,label\na.mp4,still\nb.mp4,1\n", 'line 3: the label "1" is an index'),
    ],
)
def test_a_csv_file_that_is_no_good_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_list(write(tmp_path / "train.csv", text), tmp_path, ("still", "turn left"))
