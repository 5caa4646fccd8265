from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.data.datasets import read_list
from stzoo.data.tables import is_table, table_rows
from stzoo.errors import DataError
from tests.data.test_boris import AGGREGATED, aggregated, written


def test_tables_are_known_by_suffix_and_header(tmp_path: Path) -> None:
    assert is_table(written(tmp_path / "a.csv", "path,label"))
    assert is_table(written(tmp_path / "b.csv", "path,start,end"))  # so that the missing column is named
    assert is_table(written(tmp_path / "c.tsv", AGGREGATED))
    assert not is_table(written(tmp_path / "d.csv", "a.mp4 0"))
    assert not is_table(written(tmp_path / "e.txt", "path,label"))


def test_parts_of_a_video_are_of_one_source(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", "path,start,end,label", "v/a.mp4,1.50,3,walk", "v/a.mp4,3,4.25,sit")
    first, second = read_list(file, tmp_path, ("sit", "walk"))
    assert str(first.path) == f"{tmp_path}/v/a.mp4#t=1.5,3"
    assert (first.video.place, first.video.part) == (tmp_path / "v/a.mp4", (1.5, 3.0))
    assert (first.label, second.label) == (1, 0)
    assert first.source == second.source == "v/a.mp4"


def test_a_line_of_a_list_may_name_a_part_too(tmp_path: Path) -> None:
    items = read_list(written(tmp_path / "a.txt", "a.mp4#t=1.5,3 walk", "a.mp4#t=4,5 sit"), tmp_path, ("sit", "walk"))
    assert [item.video.part for item in items] == [(1.5, 3.0), (4.0, 5.0)]
    assert {item.source for item in items} == {str(tmp_path / "a.mp4")}


def test_a_video_that_boris_saw_elsewhere_is_found_by_its_name(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tsv", AGGREGATED, aggregated("walk", "1", "2", media="C:\\films\\a.mp4"))
    assert table_rows(file, tmp_path)[0][1]["path"] == "C:\\films\\a.mp4#t=1,2"
    (tmp_path / "a.mp4").touch()
    assert table_rows(file, tmp_path)[0][1]["path"] == "a.mp4#t=1,2"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["path,start,end", "a.mp4,1,2"], "has no column label"),
        (["path,start,label", "a.mp4,1,walk"], "has no column end"),
        (["path,start,end,label", "a.mp4,3,2,walk"], "line 2 starts at 3 s and ends at 2 s"),
        (["path,start,end,label", "a.mp4,2,2,walk"], "line 2 starts at 2 s and ends at 2 s"),
        (["path,start,end,label", "a.mp4,-1,2,walk"], 'line 2: start is "-1"'),
        (["path,start,end,label", "a.mp4,1,nan,walk"], 'line 2: end is "nan"'),
        (["path,start,end,label", "a.mp4,1,inf,walk"], 'line 2: end is "inf"'),
        (["path,start,end,label", "a.mp4,0:01,2,walk"], 'line 2: start is "0:01"'),
        (["path,start,end,label", ",1,2,walk"], "line 2 names no path"),
    ],
)
def test_what_names_no_part_is_refused_with_its_line(tmp_path: Path, lines: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_list(written(tmp_path / "a.csv", *lines), tmp_path, ("walk",))
