"""Every official layout, read as it comes."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.data.layouts import LAYOUTS
from stzoo.data.lists import Lists, missing, read_lists
from stzoo.errors import DataError
from stzoo.recipe import Data, Format
from stzoo.video.reader import read_strip
from tests.conftest import LEVELS
from tests.data import layouts
from tests.data.layouts import FRAMES, HMDB, KINETICS, SOMETHING, UCF

CONTRACT = InputContract(frames=3, stride_frames=1, resize=16, crop=16)


def lists_of(root: Path, form: str, **options: Any) -> Lists:
    return read_lists(Data(root=str(root), format=form, **options))


def rates(lists: Lists) -> set[float | None]:
    return {item.frame_rate for item in itertools.chain(*lists.splits.values())}


def read_all(lists: Lists) -> None:
    """Every video of every split has its frames."""
    for item in itertools.chain(*lists.splits.values()):
        strip = read_strip(item.video, CONTRACT, FRAMES, 16)
        np.testing.assert_allclose(strip.mean(axis=(1, 2, 3)) / LEVELS, np.arange(FRAMES), atol=0.5)


def test_every_format_that_a_recipe_may_name_can_be_read() -> None:
    assert {*LAYOUTS} == {*get_args(Format)}


@pytest.mark.parametrize("layout", ["{split}/{label}", "{split}/{under}", "{label}", ".", "{split}"])
def test_kinetics(tmp_path: Path, layout: str) -> None:
    names = layouts.kinetics(tmp_path, layout)
    lists = lists_of(tmp_path, "kinetics400")
    assert len(lists.classes) == 400
    assert [lists.classes[item.label] for item in lists.train] == [KINETICS[i % 3] for i in range(5)]
    assert [item.path.stem for item in lists.train] == names["train"]
    assert [item.path.stem for item in lists.tests["val"]] == names["val"]
    assert [item.group for item in lists.train] == [name[:11] for name in names["train"]]
    read_all(lists)


def test_of_two_copies_of_a_clip_that_in_the_folder_of_its_class_counts(tmp_path: Path) -> None:
    (_, name, *_) = layouts.kinetics(tmp_path, "{split}/{under}")["train"]
    layouts.write_clip(tmp_path / "aa" / f"{name}.mp4")
    assert lists_of(tmp_path, "kinetics400").train[1].path == tmp_path / "train" / "air_drumming" / f"{name}.mp4"


@pytest.mark.parametrize("layout", ["train", "{split}/{label}", "videos/{split}/{label}"])
def test_of_a_clip_that_the_mirror_replaced_the_replacement_counts(tmp_path: Path, layout: str) -> None:
    first, second, *_ = layouts.kinetics(tmp_path, layout)["train"]
    folder = tmp_path / "replacement" / "replacement_for_corrupted_k400"
    replacements = [folder / f"{first}.mp4", folder / "air drumming" / f"{second[:11]}.mp4"]
    for path in (*replacements, folder / "of_another_dataset.mp4"):
        layouts.write_clip(path)
    for suffix in ("ts", "webm", "mpg", "ogv", "wmv"):
        (folder / f"{first}.{suffix}").touch()
    items = lists_of(tmp_path, "kinetics400").train
    assert [item.path for item in items[:2]] == replacements
    assert all(folder not in item.path.parents for item in items[2:])


def test_a_clip_that_is_not_there_keeps_its_place_in_the_list(tmp_path: Path) -> None:
    (name, *_) = layouts.kinetics(tmp_path)["train"]
    (tmp_path / "train" / "abseiling" / f"{name}.mp4").unlink()
    assert lists_of(tmp_path, "kinetics400").train[0].path == tmp_path / "train" / "abseiling" / f"{name}.mp4"


@pytest.mark.parametrize("zipped", [None, "", "20bn-something-something-v1/"])
def test_something_v1(tmp_path: Path, zipped: str | None) -> None:
    layouts.something_v1(tmp_path, zipped)
    lists = lists_of(tmp_path, "something-v1")
    assert lists.classes == SOMETHING
    assert rates(lists) == {12.0}
    assert rates(lists_of(tmp_path, "something-v1", frame_rate=24.0)) == {24.0}
    assert [item.label for item in lists.train] == [1, 2, 0, 1, 2]
    assert [item.path.name for item in lists.tests["val"]] == ["11", "12", "13"]
    read_all(lists)
    with pytest.raises(DataError, match=r"test\.csv line 1: video 21 has no label"):
        lists_of(tmp_path, "something-v1", tests={"test": "something-something-v1-test.csv"})


def test_something_v1_with_a_zip_file_in_the_folder_of_every_video(tmp_path: Path) -> None:
    layouts.something_v1(tmp_path)
    folder = tmp_path / "20bn-something-something-v1"
    for video in folder.iterdir():
        layouts.zip_frames(tmp_path / f"{folder.name}_zip" / video.name / "RGB_frames.zip", [""])
    shutil.rmtree(folder)
    read_all(lists_of(tmp_path, "something-v1"))


@pytest.mark.parametrize("folder", ["UCF101/jpg", "ucf101_zip"])
def test_ucf101_as_folders_of_frames(tmp_path: Path, folder: str) -> None:
    layouts.ucf101(tmp_path)
    for video in [*(tmp_path / "UCF-101").rglob("*.avi")]:
        path = tmp_path / folder / video.parent.name / video.stem
        if "zip" in folder:
            layouts.zip_frames(path / "RGB_frames.zip", [""], name="image_{:05d}.jpg")
        else:
            layouts.write_frames(path, name="img_{:05d}.jpg")
    shutil.rmtree(tmp_path / "UCF-101")
    lists = lists_of(tmp_path, "ucf101", frame_rate=25.0)
    assert len({item.group for item in lists.train}) == 9
    read_all(lists)


@pytest.mark.parametrize("generation", ["20bn", "later"])
@pytest.mark.parametrize("frames", [False, True])
def test_something_v2(tmp_path: Path, generation: str, frames: bool) -> None:
    layouts.something_v2(tmp_path, generation=generation, frames=frames)
    answers = "test-answers.csv" if generation == "later" else "something-something-v2-test-answers.csv"
    lists = lists_of(tmp_path, "something-v2", frame_rate=12.0, tests={"test": answers})
    assert lists.classes == SOMETHING
    assert [item.label for item in lists.train] == [1, 2, 0, 1, 2]
    assert [item.path.name for item in lists.tests["val"]] == [f"{i}{'' if frames else '.webm'}" for i in (11, 12, 13)]
    assert [item.label for item in lists.tests["test"]] == [0]
    read_all(lists)


def test_a_video_of_something_v2_that_is_not_there_is_sought_under_the_name_it_would_have(tmp_path: Path) -> None:
    layouts.something_v2(tmp_path)
    videos = tmp_path / "20bn-something-something-v2"
    (videos / "2.webm").unlink()
    assert missing(lists_of(tmp_path, "something-v2"), 0.0)["train"].paths == {videos / "2.webm"}


@pytest.mark.parametrize("folder", ["HandstandPushups", "HandStandPushups"])
@pytest.mark.parametrize("split", [1, 2, 3])
def test_ucf101(tmp_path: Path, folder: str, split: int) -> None:
    layouts.ucf101(tmp_path, folder)
    lists = lists_of(tmp_path, "ucf101", train=f"trainlist0{split}.txt", val=f"testlist0{split}.txt")
    assert lists.classes == UCF
    assert [item.label for item in lists.train] == [0] * 6 + [1] * 6 + [2] * 6
    assert [item.label for item in lists.tests["val"]] == [0, 0, 1, 1, 2, 2]
    assert len({item.group for item in lists.train}) == 9
    assert all(item.path.is_file() for item in lists.train + lists.tests["val"])
    read_all(lists_of(tmp_path, "ucf101"))


@pytest.mark.parametrize(
    ("make", "form", "counts"), [(layouts.hmdb51, "hmdb51", (7, 5)), (layouts.jhmdb, "jhmdb", (9, 5))]
)
def test_hmdb51_and_jhmdb(tmp_path: Path, make: Callable[[Path], None], form: str, counts: tuple[int, int]) -> None:
    make(tmp_path)
    lists = lists_of(tmp_path, form)
    assert lists.classes == HMDB
    assert (len(lists.train), len(lists.tests["val"])) == counts
    assert {item.label for item in lists.train} == {item.label for item in lists.tests["val"]} == {0, 1, 2}
    assert {item.group for item in lists.train} & {item.group for item in lists.tests["val"]} >= {"April_09"}
    read_all(lists)
    second = lists_of(tmp_path, form, train="*_test_split2.txt", val="*_test_split2.txt")
    assert [item.path for item in second.train] == [item.path for item in lists.tests["val"]]
    with pytest.raises(DataError, match=r"split3\.txt lists no video to test, with a 2 behind its name"):
        lists_of(tmp_path, form, val="*_test_split3.txt")
    with pytest.raises(DataError, match=r"holds no \*_test_split4.txt, neither in itself nor in testTrainMulti"):
        lists_of(tmp_path, form, val="*_test_split4.txt")


@pytest.mark.parametrize("folder", ["Rename_Images", "Frames"])
def test_jhmdb_as_folders_of_frames(tmp_path: Path, folder: str) -> None:
    layouts.jhmdb(tmp_path)
    for video in [*(tmp_path / "JHMDB_video").rglob("*.avi")]:
        layouts.write_frames(tmp_path / folder / video.parent.name / video.stem, name="{:05d}.png")
    shutil.rmtree(tmp_path / "JHMDB_video")
    lists = lists_of(tmp_path, "jhmdb", frame_rate=30.0)
    assert rates(lists) == {30.0}
    read_all(lists)


def _grouped(root: Path, **options: Any) -> Lists:
    """Six videos of two classes in three folds."""
    (root / "classes.txt").write_text("sit\nstand\n")
    rows = [f"{name}/{index}.mp4,{name},g{index % 3},{index % 3}" for index in range(6) for name in ("sit", "stand")]
    (root / "all.csv").write_text("\n".join(["path,label,source,fold", *rows]) + "\n")
    return read_lists(Data(root=str(root), classes="classes.txt", train="all.csv", **options))


def test_every_fold_validates_once_in_place_of_a_list(tmp_path: Path) -> None:
    seen = []
    for fold in range(3):
        lists = _grouped(tmp_path, fold=fold, val="is not read")
        assert {item.fold for item in lists.tests["val"]} == {f"{fold}"}
        assert not {item.group for item in lists.train} & {item.group for item in lists.tests["val"]}
        assert len(lists.train) == 8
        seen += [item.path for item in lists.tests["val"]]
    assert len({*seen}) == len(seen) == 12
    assert _grouped(tmp_path, fold="1") == _grouped(tmp_path, fold=1)


def test_of_official_lists_a_fold_is_held_out_of_both_together(tmp_path: Path) -> None:
    layouts.hmdb51(tmp_path)
    names = [path.relative_to(tmp_path / "hmdb51_org") for path in (tmp_path / "hmdb51_org").rglob("*.avi")]
    rows = [f'"{name}",{name.name.partition("_")[0]},{len(name.name.partition("_")[0]) % 2}' for name in names]
    (tmp_path / "groups.csv").write_text("\n".join(["path,source,fold", *rows]) + "\n")
    official, lists = lists_of(tmp_path, "hmdb51"), lists_of(tmp_path, "hmdb51", groups="groups.csv", fold=1)
    both = {item.path for items in official.splits.values() for item in items}
    assert {item.path for items in lists.splits.values() for item in items} == both
    assert {item.group for item in lists.train} & {item.group for item in lists.tests["val"]} == set()


def test_classes_are_left_out_and_the_arrow_of_time_is_asked_of_the_others(tmp_path: Path) -> None:
    lists = _grouped(tmp_path, fold=0, leave_out=("sit",), frame_order="arrow")
    assert lists.classes == ("forward", "reversed")
    assert [(item.label, item.order) for item in lists.tests["val"]] == [(0, "given"), (1, "reversed")] * 2
    assert {item.path.parent.name for item in lists.train} == {"stand"}
    assert {item.group for item in lists.train} == {"g1", "g2"}
    mixed = _grouped(tmp_path, fold=0, frame_order="shuffled")
    assert {item.order for items in mixed.splits.values() for item in items} == {"shuffled"}
    assert mixed.classes == ("sit", "stand")


def test_folders_of_classes(tmp_path: Path) -> None:
    for split in ("train", "val"):
        layouts.write_clip(tmp_path / split / "still" / "a b.mp4")
        layouts.write_frames(tmp_path / split / "move" / "clip", name="img_{:05d}.jpg")
        layouts.zip_frames(tmp_path / split / "move" / "other.zip", [""])
        (tmp_path / split / "move" / "notes.txt").write_text("no video")
        (tmp_path / split / ".hidden").mkdir()
    lists = lists_of(tmp_path, "folders", frame_rate=10.0)
    assert lists.classes == ("move", "still")
    assert [(item.path.name, item.label) for item in lists.train] == [("clip", 0), ("other.zip", 0), ("a b.mp4", 1)]
    read_all(lists)
    assert lists.notes == tuple(
        f"1 file in {tmp_path / split} passed over, because its name ends like no video's (.txt)."
        for split in ("train", "val")
    )
    (tmp_path / "order.txt").write_text("still\nmove\n")
    assert lists_of(tmp_path, "folders", classes="order.txt").classes == ("still", "move")
    (tmp_path / "val" / "moves").mkdir()
    with pytest.raises(DataError, match=r'"moves", and there is no such class among the 2\. Did you mean "move"'):
        lists_of(tmp_path, "folders")


def test_folders_of_splits_in_any_spelling_are_found(tmp_path: Path) -> None:
    for path in ("Train/move/1.mp4", "Train/still/2.mp4", "Valid/move/3.mp4", "Test/move/4.mp4", "notes/x.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    lists = lists_of(tmp_path, "folders")
    assert [len(items) for items in lists.splits.values()] == [2, 1]
    assert lists.tests["val"][0].path == tmp_path / "Valid/move/3.mp4"
    (tmp_path / "Valid").rename(tmp_path / "other")
    assert lists_of(tmp_path, "folders").tests["val"][0].path == tmp_path / "Test/move/4.mp4"


def _class_folders(root: Path) -> None:
    for path in ("train/move/1.mp4", "train/still/2.mp4", "val/move/3.mp4"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (layouts.kinetics, "kinetics400"),
        (layouts.something_v1, "something-v1"),
        (layouts.ucf101, "ucf101"),
        (_class_folders, "folders"),
    ],
)
def test_a_root_may_be_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    make(Path("set"))
    lists = lists_of(Path("set"), form)
    assert missing(lists, 0.0) == {}
    assert [tmp_path / item.path for item in lists.train] == [
        item.path for item in lists_of(tmp_path / "set", form).train
    ]


def test_lists_of_frame_folders(tmp_path: Path) -> None:
    layouts.write_frames(tmp_path / "a b" / "clip 1", name="image_{:05d}.jpg")
    layouts.zip_frames(tmp_path / "all.zip", ["x/1/", "x/2/"])
    layouts.zip_frames(tmp_path / "c" / "RGB_frames.zip", [""])
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "category.txt").write_text("stand still\nmove\n")
    (tmp_path / "lists" / "list.txt").write_text(
        f"a b/clip 1 {FRAMES} stand still\nall.zip/x/2 {FRAMES} move\nc\t{FRAMES}\tmove\n"
    )
    lists = lists_of(
        tmp_path, "frame-list", annotations="lists", classes="category.txt", train="list.txt", val="list.txt"
    )
    assert [(item.label, item.frames) for item in lists.train] == [(0, FRAMES), (1, FRAMES), (1, FRAMES)]
    read_all(lists)


def test_only_good_videos_are_taken(tmp_path: Path) -> None:
    layouts.something_v1(tmp_path)
    (tmp_path / "good.txt").write_text("20bn-something-something-v1/2\n20bn-something-something-v1/12\n")
    lists = lists_of(tmp_path, "something-v1", good="good.txt")
    assert [item.path.name for item in lists.train] == ["2"]
    assert [item.path.name for item in lists.tests["val"]] == ["12"]
    (tmp_path / "good.txt").write_text("20bn-something-something-v1/2\n")
    with pytest.raises(DataError, match="names none of the videos of val"):
        lists_of(tmp_path, "something-v1", good="good.txt")


@pytest.mark.parametrize(
    ("make", "form", "lost", "sentence"),
    [
        (layouts.kinetics, "kinetics400", "train.csv", "holds no train.csv or kinetics_train.csv"),
        (layouts.ucf101, "ucf101", "ucfTrainTestlist/classInd.txt", r"holds no classInd.txt.*data.annotations"),
        (layouts.something_v1, "something-v1", "something-something-v1-validation.csv", "data.val"),
    ],
)
def test_a_list_that_is_not_there_is_named(
    tmp_path: Path, make: Callable[[Path], object], form: str, lost: str, sentence: str
) -> None:
    make(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(DataError, match=sentence):
        lists_of(tmp_path, form)


def test_a_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data-root, or of a run in its recipe\.toml; it is your copy of the data"):
        lists_of(tmp_path / "nowhere", "ucf101")
    with pytest.raises(DataError, match=r"in its recipe\.toml; `stzoo data make` makes some sets$"):
        read_lists(Data(root=str(tmp_path / "nowhere"), classes="c.txt", train="t.txt", val="v.txt"))


def test_the_users_own_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    layouts.ucf101(tmp_path / "data")
    below = lists_of(tmp_path / "data", "ucf101")
    (tmp_path / "data" / "ucfTrainTestlist").rename(tmp_path / "elsewhere")
    assert read_lists(Data(root="~/data", format="ucf101", annotations="~/elsewhere")) == below
    with pytest.raises(DataError, match=r"folder ~nobody-at-home/data \(data\.root\) does not exist"):
        read_lists(Data(root="~nobody-at-home/data", format="ucf101"))


def test_good_videos_are_taken_once_and_those_of_validation_do_not_train(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("a\nb\n")
    (tmp_path / "train.txt").write_text("1.mp4 0\n2.mp4 1\n1.mp4 0\n3.mp4 0\n")
    (tmp_path / "val.txt").write_text("3.mp4 0\n4.mp4 1\n3.mp4 0\n")
    (tmp_path / "good.txt").write_text("1.mp4\n2.mp4\n3.mp4\n4.mp4\n")
    names = {"classes": "classes.txt", "train": "train.txt", "val": "val.txt"}
    lists = read_lists(Data(root=str(tmp_path), good="good.txt", **names))
    assert [item.path.name for item in lists.train] == ["1.mp4", "2.mp4"]
    assert [item.path.name for item in lists.tests["val"]] == ["3.mp4", "4.mp4"]


@pytest.mark.parametrize("zipped", [None, "20bn-something-something-v1/"])
def test_missing_videos_are_counted_in_folders_and_in_zip_files(tmp_path: Path, zipped: str | None) -> None:
    layouts.something_v1(tmp_path, zipped)
    annotations = tmp_path / "something-something-v1-train.csv"
    lists = lists_of(tmp_path, "something-v1")
    assert missing(lists, 0.0) == {}
    annotations.write_text(annotations.read_text() + f"77;{layouts.SOMETHING[0]}\n")
    lists = lists_of(tmp_path, "something-v1")
    assert not missing(lists, 0.2)["train"].too_many
    assert not missing(lists, 1 / 6)["train"].too_many
    (found,) = missing(lists, 0.1).values()
    assert found.too_many
    assert {path.name for path in found.paths} == {"77"}
    assert found.sentence.startswith("1 of the 6 videos of train (16.7%) are not on disk, more than data.max_broken")


def test_all_missing_lists_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("a.mp4 0\n")
    with pytest.raises(DataError) as caught:
        lists_of(tmp_path, "list", classes="c.txt", train="t.txt", val="val.txt", tests={"classes": "m.txt"})
    heading, *lines = str(caught.value).splitlines()
    assert heading == "3 lists of the dataset are missing:"
    assert [line.split(" does not exist")[0].strip() for line in lines] == [
        str(tmp_path / name) for name in ("t.txt", "m.txt", "c.txt")
    ]
