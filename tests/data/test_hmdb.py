from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.data import hmdb
from stzoo.errors import DataError

CLASSES = ("catch", "swing_baseball")


@pytest.mark.parametrize(
    ("stem", "name", "source"),
    [
        ("April_09_brush_hair_u_nm_np1_ba_goo_0", "brush_hair", "April_09"),
        (
            "#122_Cleaning_Up_Chiba__Japan_pick_f_cm_np1_fr_med_12",
            "pick",
            "#122_Cleaning_Up_Chiba__Japan",
        ),
        ("run_run_f_nm_np2_le_bad_1", "run", "run"),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0", "wave", "April_09_brush_hair"),
        ("brush_hair_01", "brush_hair", None),
    ],
)
def test_the_title_in_a_name_is_the_source(stem: str, name: str, source: str | None) -> None:
    assert hmdb.source_of(stem, name) == source


def test_lines_say_train_test_or_neither(tmp_path: Path) -> None:
    (tmp_path / "catch_test_split1.txt").write_text("a b.avi 1 \nc.avi 2\r\nd.avi 0\n\ne 1\n")
    (tmp_path / "swing_baseball_test_split1.txt").write_text("f.avi 1\n")
    (tmp_path / "notes_test_splitx.txt").write_text("no list\n")
    files = tmp_path / "*_test_split*.txt"
    assert hmdb.read_classes(files) == CLASSES
    train = hmdb.read_train(files, tmp_path / "videos", CLASSES)
    assert [(str(item.path.relative_to(tmp_path / "videos")), item.label) for item in train] == [
        ("catch/a b.avi", 0),
        ("catch/e", 0),
        ("swing_baseball/f.avi", 1),
    ]
    assert [item.path.name for item in hmdb.read_test(files, tmp_path, CLASSES)] == ["c.avi"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("catch", "../../etc.avi 1\n", r'line 1: "\.\./\.\./etc\.avi 1" is not `video\.avi 0`, 1 or 2'),
        ("catch", "a.avi 1\nb.avi 3\n", "line 2"),
        ("catch", "a.avi\n", "line 1"),
        ("cach", "a.avi 1\n", 'the class "cach", which is none of the 2 classes. Did you mean "catch"'),
        ("catch", "a.avi 2\n", "lists no video to train, with a 1 behind its name"),
    ],
)
def test_a_split_that_is_no_good_is_refused(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / f"{name}_test_split1.txt").write_text(text)
    with pytest.raises(DataError, match=sentence):
        hmdb.read_train(tmp_path / "*_test_split1.txt", tmp_path, CLASSES)
