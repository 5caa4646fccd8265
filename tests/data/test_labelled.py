from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.data.datasets import Item
from stzoo.data.labelled import labelled
from stzoo.errors import DataError

LABELS = ("still", "shake")


def test_a_list_and_a_folder_of_classes_name_the_same_videos(tmp_path: Path) -> None:
    for name in ("still/a.mp4", "shake/b.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).write_text("")
    expected = [Item(tmp_path / "videos" / "shake" / "b.mp4", 1), Item(tmp_path / "videos" / "still" / "a.mp4", 0)]
    assert sorted(labelled(tmp_path / "videos", None, LABELS)) == expected
    (tmp_path / "list.txt").write_text("still/a.mp4 still\nshake/b.mp4 shake\n")
    assert sorted(labelled(tmp_path / "list.txt", tmp_path / "videos", LABELS)) == expected


@pytest.mark.parametrize("moved", [False, True])
def test_a_list_whose_paths_start_elsewhere_is_sent_to_root(tmp_path: Path, moved: bool) -> None:
    (tmp_path / "motion").mkdir()
    (tmp_path / "a.mp4").write_text("" if moved else "there")
    (tmp_path / "motion" / "list.txt").write_text(f"{'moved away' if moved else 'a'}.mp4 still\nc.mp4 still\n")
    with pytest.raises(DataError) as refused:
        labelled(tmp_path / "motion" / "list.txt", None, LABELS)
    hint = "" if moved else f", here --root {tmp_path}"
    assert str(refused.value).startswith("none of the 2 videos of")
    assert str(refused.value).endswith(f"say with --root in which folder the paths of the list start{hint}")


def test_a_folder_of_splits_is_refused_and_what_is_passed_over_is_said(tmp_path: Path) -> None:
    for name in ("Train/still/a.mp4", "Val/still/b.mp4", "Val/still/b.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"holds the splits Train, Val; name the one to measure on, .*--data .*Val$"):
        labelled(tmp_path, None, LABELS)
    said: list[str] = []
    assert len(labelled(tmp_path / "Val", None, LABELS, say=said.append)) == 1
    assert [sentence[:10] for sentence in said] == ["1 file in "]
