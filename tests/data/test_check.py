from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from stzoo.contract import InputContract
from stzoo.data.broken import Broken, Cap
from stzoo.data.check import Report, check, write_good
from stzoo.data.datasets import Item
from stzoo.data.lists import Lists, read_lists
from stzoo.data.texts import read_lines
from stzoo.errors import DataError
from stzoo.recipe import Data
from tests.conftest import MakeVideo
from tests.data import layouts

CONTRACT = InputContract(frames=6, fps=10.0, resize=16, crop=16)


def checked(tmp_path: Path, lists: Lists, **options: float) -> Report:
    return check(lists, CONTRACT, CONTRACT, tmp_path / "record.jsonl", **options)


@pytest.fixture
def lists(make_video: MakeVideo) -> Lists:
    """Four training videos of two classes and two of validation, all of them in order."""
    items = [Item(make_video(f"v{i}.mp4", 8 + i), i % 2) for i in range(6)]
    return Lists(("still", "move"), items[:4], {"val": items[4:]})


def kinds(report: Report) -> list[tuple[str, str, str]]:
    return [(problem.split, problem.path.name, problem.kind) for problem in report.problems]


def test_a_dataset_in_order(tmp_path: Path, lists: Lists) -> None:
    report = checked(tmp_path, lists)
    assert (report.problems, report.suffers) == ((), ())
    assert report.videos == {"train": 4, "val": 2}
    assert report.absent == {"train": (), "val": ()}
    assert [path.name for path in report.good] == [f"v{i}.mp4" for i in range(6)]


def test_every_problem_is_named_once(tmp_path: Path, lists: Lists, make_video: MakeVideo) -> None:
    (tmp_path / "copy.mp4").write_bytes(lists.train[0].path.read_bytes())
    (tmp_path / "twin.mp4").write_bytes(lists.train[1].path.read_bytes())
    (tmp_path / "leak.mp4").write_bytes(lists.tests["val"][0].path.read_bytes())
    lists.train[:] = [
        *(item._replace(group=f"g{index}") for index, item in enumerate(lists.train)),
        Item(tmp_path / "missing.mp4", 0),
        Item(tmp_path / "copy.mp4", 0),
        Item(tmp_path / "twin.mp4", 0),
        Item(tmp_path / "leak.mp4", 0),
        lists.tests["val"][1],
        lists.train[3],
        Item(make_video("short.mp4", 5), 1),
        Item(make_video("counted.mp4", 15), 1, frames=16),
    ]
    lists.tests["val"].append(Item(make_video("other.mp4", 20), 1, group="g2"))
    report = checked(tmp_path, lists)
    assert sorted(kinds(report)) == sorted(
        [
            ("train", "missing.mp4", "missing"),
            ("train", "copy.mp4", "doubled"),
            ("train", "v3.mp4", "doubled"),
            ("train", "twin.mp4", "contradicted"),
            ("train", "v1.mp4", "contradicted"),
            ("train", "leak.mp4", "shared"),
            ("train", "v5.mp4", "shared"),
            ("train", "v2.mp4", "shared"),
            ("train", "short.mp4", "short"),
            ("train", "counted.mp4", "damaged"),
        ]
    )
    assert [path.name for path in report.good] == ["other.mp4", "short.mp4", "v0.mp4", "v3.mp4", "v4.mp4", "v5.mp4"]
    assert report.suffers == (
        "2 of the 12 videos of train cannot be read whole, more than 1.0%.",
        "2 videos are listed under several labels.",
        "3 videos of the training list are in another list as well.",
    )
    counted = report.to_json()
    assert counted["splits"]["train"] == {
        "videos": 12,
        "missing": 1,
        "empty": 0,
        "unreadable": 0,
        "damaged": 1,
        "short": 1,
        "doubled": 2,
        "contradicted": 2,
        "shared": 3,
        "classes_without_videos": [],
    }
    assert counted["good"] == 6
    assert len(counted["problems"]) == len(report.problems)


def test_a_class_without_a_video_that_can_be_read_is_named(tmp_path: Path, lists: Lists) -> None:
    for item in lists.train:
        if item.label == 1:
            item.path.write_bytes(b"")
    report = checked(tmp_path, lists, max_broken=0.9)
    assert report.absent["train"] == ("move",)
    assert report.suffers == ('1 classes have no training video that can be read whole: "move".',)


@pytest.mark.parametrize(("max_broken", "suffers"), [(0.25, False), (0.24, True)])
def test_training_suffers_where_it_would_refuse_to_go_on(
    tmp_path: Path, lists: Lists, max_broken: float, suffers: bool
) -> None:
    lists.train[0].path.write_bytes(b"")
    assert bool(checked(tmp_path, lists, max_broken=max_broken).suffers) == suffers
    with pytest.raises(DataError) if suffers else nullcontext():
        Cap(max_broken, len(lists.train)).hold([Broken(lists.train[0].path, "empty")], len(lists.train))


@pytest.mark.parametrize(("frames", "short"), [(6, 0), (5, 1)])
@pytest.mark.parametrize(
    "timing", [{"fps": 10.0}, {"fps": None, "stride_frames": 1}, {"fps": None, "sampling": "segments"}]
)
def test_short_is_shorter_than_a_clip(
    tmp_path: Path, make_video: MakeVideo, frames: int, short: int, timing: dict[str, float | str | None]
) -> None:
    lists = Lists(("a",), [Item(make_video("a.mp4", frames), 0)], {"val": [Item(make_video("b.mp4", 9), 0)]})
    contract = CONTRACT.model_copy(update=timing)
    report = check(lists, contract, contract, tmp_path / "record")
    assert report.count("train", "short") == short
    assert not report.suffers, "short videos are filled up"


def test_training_videos_are_as_long_as_a_training_clip(tmp_path: Path, make_video: MakeVideo) -> None:
    lists = Lists(("a",), [Item(make_video("a.mp4", 5), 0)], {"val": [Item(make_video("b.mp4", 4), 0)]})
    training = CONTRACT.model_copy(update={"frames": 3})
    assert kinds(check(lists, CONTRACT, training, tmp_path / "record")) == [("val", "b.mp4", "short")]
    assert kinds(check(lists, training, CONTRACT, tmp_path / "record")) == [("train", "a.mp4", "short")]


def test_the_good_videos_can_be_trained_on_alone(tmp_path: Path) -> None:
    layouts.something_v1(tmp_path)
    (tmp_path / "20bn-something-something-v1" / "4" / "00003.jpg").write_bytes(b"")
    lists = read_lists(Data(root=str(tmp_path), format="something-v1"))
    report = check(lists, CONTRACT, CONTRACT, tmp_path / "record", max_broken=0.5)
    assert [kind for _, _, kind in kinds(report) if kind == "damaged"] == ["damaged"]
    write_good(tmp_path / "good.txt", report, tmp_path)
    again = read_lists(Data(root=str(tmp_path), format="something-v1", good="good.txt"))
    good = {item.path for items in (again.train, *again.tests.values()) for item in items}
    assert good == set(report.good)
    assert tmp_path / "20bn-something-something-v1" / "4" not in good


def test_good_videos_are_named_whatever_their_names_where_a_line_can_hold_them(tmp_path: Path, lists: Lists) -> None:
    names = ["no\u00a0break.mp4", "\u3000wide.mp4", "two\nlines.mp4", "ü 1.mp4"]
    for item, name in zip(lists.train, names, strict=True):
        item.path.rename(tmp_path / name)
    lists.train[:] = [item._replace(path=tmp_path / name) for item, name in zip(lists.train, names, strict=True)]
    report = checked(tmp_path, lists)
    unnamed = write_good(tmp_path / "good.txt", report, tmp_path)
    assert {path.name for path in unnamed} == {"\u3000wide.mp4", "two\nlines.mp4"}
    assert {tmp_path / name for _, name in read_lines(tmp_path / "good.txt")} == {*report.good} - {*unnamed}


def test_folders_of_frames_without_a_rate_cannot_give_frames_a_second(tmp_path: Path) -> None:
    layouts.something_v2(tmp_path, frames=True)
    lists = read_lists(Data(root=str(tmp_path), format="something-v2"))
    first, second = checked(tmp_path, lists).suffers
    assert first.startswith("5 of the 5 videos of train are folders of frames, and 10 frames a second are wanted")
    assert second.startswith("3 of the 3 videos of val")
    counting = CONTRACT.model_copy(update={"fps": None, "stride_frames": 1})
    assert check(lists, counting, counting, tmp_path / "record.jsonl").suffers == ()
    known = read_lists(Data(root=str(tmp_path), format="something-v2", frame_rate=12.0))
    assert checked(tmp_path, known).suffers == ()
