from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data.datasets import Item, read_classes, read_list
from stzoo.data.lists import read_lists
from stzoo.data.own import OwnVideos, own_videos
from stzoo.errors import DataError
from stzoo.recipe import Data


def folders(root: Path, **classes: int) -> Path:
    """Empty files in a folder a class: what is listed is not opened."""
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            (root / name / f"{index}.mp4").touch()
    return root


def listed(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def read_back(videos: OwnVideos, folder: Path) -> OwnVideos:
    for name, text in videos.texts().items():
        (folder / name).write_text(text, encoding="utf-8")
    classes = read_classes(folder / "classes.txt")
    lists = [tuple(read_list(folder / f"{part}.txt", videos.root, classes)) for part in ("train", "val")]
    return OwnVideos(videos.root, classes, *lists)


def test_a_fifth_of_every_class_validates(tmp_path: Path) -> None:
    videos = own_videos(folders(tmp_path / "data", run=10, jump=2, sit=400))
    assert videos.classes == ("jump", "run", "sit")
    counts = [[sum(item.label == label for item in part) for label in range(3)] for part in (videos.train, videos.val)]
    assert counts == [[1, 8, 350], [1, 2, 50]]
    assert not {item.path for item in videos.train} & {item.path for item in videos.val}
    assert videos == own_videos(tmp_path / "data")
    assert videos.val != own_videos(tmp_path / "data", seed=1).val
    assert read_back(videos, tmp_path) == videos


def test_clips_of_one_recording_stand_on_one_side(tmp_path: Path) -> None:
    for name in ("YoYo", "Typing"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for group, clip in itertools.product(range(1, 11), range(1, 4)):
            (tmp_path / "data" / name / f"v_{name}_g{group:02d}_c{clip:02d}.avi").touch()
    videos = own_videos(tmp_path / "data")
    assert (len(videos.train), len(videos.val)) == (2 * 8 * 3, 2 * 2 * 3)
    assert not {item.group for item in videos.train} & {item.group for item in videos.val}
    assert read_back(videos, tmp_path) == videos
    for path in (tmp_path / "data" / "YoYo").glob("*_g0[2-9]_*"):
        path.unlink()
    assert len({item.group for item in own_videos(tmp_path / "data").train}) == 8 + 1
    for path in (tmp_path / "data" / "YoYo").glob("*_g10_*"):
        path.unlink()
    with pytest.raises(DataError, match='holds 1 recording of the class "YoYo" and needs at least 2'):
        own_videos(tmp_path / "data")


def test_the_sources_of_a_list_reach_the_run(tmp_path: Path) -> None:
    rows = [f"{name}/{index}.mp4,{name},film {index // 2}" for index in range(8) for name in ("a", "b")]
    (tmp_path / "mine.csv").write_text("\n".join(["path,label,source", *rows]) + "\n")
    videos = own_videos(tmp_path / "mine.csv")
    assert videos.classes == ("a", "b")
    assert len(videos.train) + len(videos.val) == 16
    assert {item.label for item in videos.train} == {item.label for item in videos.val} == {0, 1}
    assert not {item.source for item in videos.train} & {item.source for item in videos.val}
    texts = videos.texts()
    assert list(texts) == ["classes.txt", "train.txt", "val.txt", "groups.csv"]
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    names = {"classes": "classes.txt", "train": "train.txt", "val": "val.txt", "groups": "groups.csv"}
    lists = read_lists(Data(root=str(tmp_path), **names))
    assert [item.group for item in lists.train] == [item.group for item in videos.train]
    rows = ["1.mp4,a,x", "2.mp4,a,y", "3.mp4,b,y", "4.mp4,b,z", "5.mp4,c,z", "6.mp4,c,x"]
    (tmp_path / "shared.csv").write_text("\n".join(["path,label,source", *rows]) + "\n")
    for seed in range(20):
        shared = own_videos(tmp_path / "shared.csv", seed=seed)
        assert {item.label for item in shared.train} == {0, 1, 2}
        assert shared.val
    (tmp_path / "empty.csv").write_text("path,label\n")
    with pytest.raises(DataError, match="lists no video"):
        own_videos(tmp_path / "empty.csv")


def test_a_folder_may_bring_its_own_parts(tmp_path: Path) -> None:
    root = tmp_path / "data"
    folders(root / "train", a=3, b=1)
    held_out = folders(root / "validation", a=1, b=2)
    videos = own_videos(root)
    assert (videos.root, len(videos.train), len(videos.val)) == (root, 4, 3)
    assert all(item.path.is_relative_to(held_out) for item in videos.val)
    assert read_back(videos, tmp_path) == videos
    elsewhere = own_videos(root, folders(tmp_path / "other", b=1))
    assert elsewhere.val == (Item(tmp_path / "other" / "b" / "0.mp4", 1),)


def test_the_labels_of_a_list_are_its_classes(tmp_path: Path) -> None:
    spaces = listed(tmp_path / "a.txt", "my clip.mp4\tstand up", "b.mp4\tsit", "c.mp4\tsit", "d.mp4\tstand up")
    assert own_videos(spaces).classes == ("sit", "stand up")
    numbers = listed(tmp_path / "b.txt", "x.mp4 10", "y.mp4 9", "x2.mp4 10", "y2.mp4 9")
    assert own_videos(numbers).classes == ("9", "10")
    indices = listed(tmp_path / "c.txt", "x.mp4 1", "y.mp4 0")
    held_out = listed(tmp_path / "d.txt", "sub/x.mp4 yes")
    named = own_videos(indices, held_out, classes=["no", "yes"], root=tmp_path / "videos")
    assert [item.label for item in (*named.train, *named.val)] == [1, 0, 1]
    assert named.val[0].path == tmp_path / "videos" / "sub" / "x.mp4"


def test_splits_may_be_called_in_any_way_and_what_is_none_is_said(tmp_path: Path) -> None:
    folders(tmp_path / "data" / "Train", a=3, b=1)
    folders(tmp_path / "data" / "Test", a=1, b=2)
    (tmp_path / "data" / "annotations").mkdir()
    (tmp_path / "data" / "Train" / "a" / "0.srt").touch()
    videos = own_videos(tmp_path / "data")
    assert (videos.classes, len(videos.train), len(videos.val)) == (("a", "b"), 4, 3)
    assert [" ".join(note.split()[:4]) for note in videos.notes] == [
        f"Passed over in {tmp_path / 'data'},",
        f"{tmp_path / 'data'} has no folder",
        "1 file in " + str(tmp_path / "data" / "Train"),
    ]
    assert '"annotations"' in videos.notes[0]
    folders(tmp_path / "data" / "VAL", a=1, b=1)
    videos = own_videos(tmp_path / "data")
    assert len(videos.val) == 2
    assert "Test is not used" in videos.notes[1]


def test_names_that_look_like_indices_stay_names(tmp_path: Path) -> None:
    held_out = {"1": 2, "2": 2, "3": 0}
    data = folders(tmp_path / "data", **{"1": 3, "2": 3, "3": 3})
    for name, count in held_out.items():
        lines = [f"data/{name}/{index}.mp4 {name}" for index in range(count)]
        listed(tmp_path / f"{name}.txt", *lines)
    val = listed(tmp_path / "val.txt", "x.mp4 1", "y.mp4 2")
    videos = own_videos(data, val)
    assert [item.label for item in videos.val] == [0, 1]
    assert videos.texts()["val.txt"].splitlines() == [f'{tmp_path / "x.mp4"} "1"', f'{tmp_path / "y.mp4"} "2"']
    assert read_back(videos, tmp_path) == videos


def test_a_label_of_several_words_is_not_taken_apart_in_silence(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4"):
        (tmp_path / f"{name}.mp4").touch()
    lines = ("1.mp4 playing guitar", "2.mp4 playing guitar", "3.mp4 playing drums", "4.mp4 playing drums")
    with pytest.raises(DataError, match=r'line 1: its class would be "guitar" .* "playing guitar" and "1.mp4" are'):
        own_videos(listed(tmp_path / "words.txt", *lines))
    tabs = listed(tmp_path / "tabs.txt", *(line.replace(" ", "\t", 1) for line in lines))
    assert own_videos(tabs).classes == ("playing drums", "playing guitar")
    with_names = own_videos(tmp_path / "words.txt", classes=["playing drums", "playing guitar"])
    assert len(with_names.train) == 2
    (tmp_path / "frames").mkdir()
    with pytest.raises(DataError, match=r'"run fast" and "frames" are probably meant'):
        own_videos(listed(tmp_path / "frames.txt", "frames run fast", "1.mp4 jump"))


def test_known_classes_keep_their_order(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", left=2, right=2, still=2)
    known = ("still", "left", "right")
    assert own_videos(data, known=known).classes == known
    assert own_videos(data, known=(*known, "up")).classes == ("left", "right", "still")


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ({"only": 3}, 'holds one class only, "only"'),
        ({"a": 2, "b": 1}, 'holds 1 video of the class "b" and needs at least 2, one of them to validate on'),
        ({"a": 2, "b": 0}, r"data/b holds no video, .* videos of the class \"b\" there, or take the folder away"),
        ({}, "holds no folder"),
    ],
)
def test_too_little_is_refused(tmp_path: Path, classes: dict[str, int], words: str) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match=words):
        own_videos(folders(tmp_path / "data", **classes))


def test_a_video_stands_once_and_on_one_side(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", a=2, b=2)
    val = listed(tmp_path / "val.txt", "data/a/1.mp4 a", "data/../data/b/0.mp4 b")
    with pytest.raises(DataError, match=r"^2 videos are listed more than once: .*a/1\.mp4 stands both in .* and in"):
        own_videos(data, val)
    twice = listed(tmp_path / "twice.txt", "x.mp4 a", "y.mp4 b", "x.mp4 b")
    with pytest.raises(DataError, match=r"^1 video is listed .*x\.mp4 stands twice in"):
        own_videos(twice)
    with pytest.raises(DataError, match='the label "c" is none of'):
        own_videos(data, listed(tmp_path / "val.txt", "z.mp4 c"))
    with pytest.raises(
        DataError, match=r'one class only, "x"; .* where class names have several words --classes lists'
    ):
        own_videos(listed(tmp_path / "words.txt", "1 up x", "2 down x"))
    with pytest.raises(DataError, match="lists no video"):
        own_videos(listed(tmp_path / "empty.txt"))


words = st.lists(st.sampled_from(["up", "stand", "0", "1", "a\nb", " ", "é"]), min_size=1, max_size=3).map(" ".join)


@given(
    classes=st.lists(words, min_size=2, max_size=4, unique=True),
    paths=st.lists(words, min_size=1, max_size=4, unique=True),
    data=st.data(),
)
def test_what_is_written_reads_as_it_was_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, classes: list[str], paths: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("lists")
    labels = [data.draw(st.integers(0, len(classes) - 1)) for _ in paths]
    items = tuple(Item(folder / path, label) for path, label in zip(paths, labels, strict=True))
    names = [" ".join(name.split()) for name in classes]
    if len(set(names)) < len(names) or "" in names:
        return
    videos = OwnVideos(folder, tuple(names), items, items)
    try:
        videos.texts()
    except DataError:
        return
    assert read_back(videos, folder) == videos


def test_few_recordings_that_show_all_classes_leave_most_of_them_to_train(tmp_path: Path) -> None:
    rows = [f"{video}.mp4,{start},{start + 1},class{start}" for video in range(10) for start in range(6)]
    (tmp_path / "parts.csv").write_text("\n".join(["path,start,end,label", *rows]))
    videos = own_videos(tmp_path / "parts.csv")
    assert len({item.video.place for item in videos.val}) == 2
    assert len({item.video.place for item in videos.train}) == 8


def test_parts_of_one_recording_in_both_lists_are_refused(tmp_path: Path) -> None:
    for name, start in (("train", 0), ("val", 5)):
        parts = [("walk", start), ("sit", start + 1)]
        rows = [f"{video}.mp4,{begin},{begin + 1},{label}" for video in "ab" for label, begin in parts]
        (tmp_path / f"{name}.csv").write_text("\n".join(["path,start,end,label", *rows]))
    with pytest.raises(DataError, match=r"parts of .*a\.mp4 train and validate"):
        own_videos(tmp_path / "train.csv", tmp_path / "val.csv")
