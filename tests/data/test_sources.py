from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.data.datasets import Item
from stzoo.data.sources import Splits, held_out, with_sources
from stzoo.errors import DataError

ROOT = Path("/videos")


def splits_of(**names: str) -> Splits:
    return {split: [Item(ROOT / f"{name}.mp4", 0) for name in text] for split, text in names.items()}


def sources(tmp_path: Path, text: str, splits: Splits, column: str = "source") -> Splits:
    (tmp_path / "groups.csv").write_text(text, encoding="utf-8")
    return with_sources(splits, tmp_path / "groups.csv", column, (ROOT, ROOT / "clips"))


def test_every_listed_video_gets_its_source_and_fold(tmp_path: Path) -> None:
    text = "fold,path,label,source\n1,a.mp4,x,film 1\n,/videos/b.mp4,x,film 1\n0,c.mp4,x,c\n0,other.mp4,x,d\n"
    placed = sources(tmp_path, text, splits_of(train="ab", val="c"))
    assert [(item.group, item.fold) for item in placed["train"]] == [("film 1", "1"), ("film 1", None)]
    assert [(item.group, item.fold) for item in placed["val"]] == [("c", "0")]


def test_paths_may_start_in_either_folder_and_be_spelt_in_either_way(tmp_path: Path) -> None:
    splits = {"train": [Item(ROOT / "clips" / "caf\u00e9.mp4", 0)]}
    (item,) = sources(tmp_path, "path,picture\ncafe\u0301.mp4,p\n", splits, "picture")["train"]
    assert item.group == "p"


def test_the_row_of_a_recording_holds_for_its_parts_without_one(tmp_path: Path) -> None:
    splits = {"train": [Item(ROOT / f"a.mp4#t={start},{start + 1}", 0, group="a.mp4") for start in range(3)]}
    text = 'path,source,fold\na.mp4,film,2\n"a.mp4#t=1,2",other,1\n'
    placed = sources(tmp_path, text, splits)["train"]
    assert [(item.group, item.fold) for item in placed] == [("film", "2"), ("other", "1"), ("film", "2")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "path,source\na.mp4,s\n",
            r"groups\.csv \(data\.groups\) does not know /videos/b\.mp4 and 1 more; give",
        ),
        ("path,source\na.mp4,\nb.mp4,s\n", "line 2 lacks a path or its source"),
        ("path,label\na.mp4,s\n", "has no column source"),
        ("path,source\na.mp4,s\na.mp4,t\n", "line 3: a.mp4 stands in another line with another source"),
    ],
)
def test_a_file_of_sources_that_is_no_good_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        sources(tmp_path, text, splits_of(train="ab", val="c"))


@pytest.mark.parametrize(
    ("text", "fold", "sentence"),
    [
        ("path,source,fold\na.mp4,s,0\nb.mp4,t,1\nc.mp4,u,1\n", "2", 'no fold "2" beside others .* "0", "1"'),
        ("path,source,fold\na.mp4,s,0\nb.mp4,t,0\nc.mp4,u,0\n", "0", 'no fold "0" beside others'),
        (
            "path,source,fold\na.mp4,s,0\nb.mp4,t,\nc.mp4,u,1\n",
            "0",
            "1 of 3 videos have no fold, such as /videos/b.mp4",
        ),
        ("path,source,fold\na.mp4,s,0\nb.mp4,s,1\nc.mp4,u,1\n", "0", '"s" is a source of the folds "0", "1"'),
    ],
)
def test_a_fold_that_cannot_be_held_out_is_refused(tmp_path: Path, text: str, fold: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        held_out(sources(tmp_path, text, splits_of(train="ab", val="c")), fold)


def test_a_fold_is_held_out_and_further_lists_stay(tmp_path: Path) -> None:
    text = "path,source,fold\na.mp4,s,0\nb.mp4,t,1\nc.mp4,u,0\nd.mp4,v,1\n"
    parted = held_out(sources(tmp_path, text, splits_of(train="ab", val="bc", test="d")), "0")
    assert {split: [item.path.stem for item in items] for split, items in parted.items()} == {
        "train": ["b"],
        "val": ["a", "c"],
        "test": ["d"],
    }
