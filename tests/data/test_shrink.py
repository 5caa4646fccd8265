from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data import shrink as module
from stzoo.data.cache import open_strips
from stzoo.data.lists import read_lists
from stzoo.data.shrink import Report, carry_out, estimate, plan_shrinking
from stzoo.errors import DataError, UsageError
from stzoo.recipe import Data
from stzoo.video.decode import probe
from stzoo.video.shrink import Shrunk
from stzoo.video.video import Video
from tests.conftest import write_video
from tests.data import layouts
from tests.data.test_lists import CONTRACT, read_all


def copied(video: Video, output: Path, short_side: int) -> Shrunk:
    """Stands in for the encoder, where only names matter: frames of a video that is made once."""
    output.parent.mkdir(parents=True, exist_ok=True)
    if not hasattr(copied, "content"):
        write_video(output, layouts.FRAMES)
        copied.content = output.read_bytes()  # type: ignore[attr-defined]
    output.write_bytes(copied.content)  # type: ignore[attr-defined]
    return Shrunk(layouts.FRAMES, False)


def shrunk(data: Data, out: Path, **options: Any) -> Report:
    return carry_out(plan_shrinking(data, out, 32), **options)


def lists_layout(root: Path) -> None:
    """`path label` lists beside videos of any container, with parts of one, sources, and a path with spaces."""
    names = ("a.avi", "b/c d.webm", "b/e.mkv", "f.mp4")
    for name in names:
        layouts.write_clip(root / name)
    layouts.write_frames(root / "g")
    (root / "classes.txt").write_text("one\nthe other\n")
    (root / "train.txt").write_text('a.avi one\nb/c d.webm\tthe other\nb/e.mkv#t=0,0.6 one\ng one\na.avi "one"\n')
    (root / "val.csv").write_text("path,label,source\nf.mp4,1,x\n./b/e.mkv,0,\n")
    (root / "groups.csv").write_text(
        "path,source\na.avi,s\nb/c d.webm,s\nb/e.mkv,t\n./b/e.mkv,t\n" + '"b/e.mkv#t=0,0.6",t\ng,u\nf.mp4,v\n'
    )


DATASETS: dict[str, tuple[Callable[[Path], object], dict[str, Any]]] = {
    "kinetics400": (layouts.kinetics, {}),
    "something-v1": (layouts.something_v1, {}),
    "something-v1 zipped": (partial(layouts.something_v1, zipped="20bn-something-something-v1/"), {}),
    "something-v2": (layouts.something_v2, {"tests": {"test": "something-something-v2-test-answers.csv"}}),
    "ucf101": (layouts.ucf101, {"tests": {"second": "testlist02.txt"}}),
    "hmdb51": (layouts.hmdb51, {}),
    "jhmdb": (layouts.jhmdb, {}),
    "list": (
        lists_layout,
        {"classes": "classes.txt", "train": "train.txt", "val": "val.csv", "groups": "groups.csv", "frame_rate": 10.0},
    ),
}


@pytest.mark.parametrize("name", DATASETS)
def test_a_recipe_runs_on_the_new_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "shrink", copied)
    make, options = DATASETS[name]
    (tmp_path / "old").mkdir()
    make(tmp_path / "old")
    data = Data(root=str(tmp_path / "old"), format=name.split()[0], **options)
    report = shrunk(data, tmp_path / "new")
    assert report.settings == {"data.root": str(tmp_path / "new")}
    assert report.problems == ()
    before, after = (read_lists(each) for each in (data, data.model_copy(update={"root": str(tmp_path / "new")})))
    assert before.classes == after.classes
    for split, items in before.splits.items():
        others = after.splits[split]
        assert [item.label for item in items] == [item.label for item in others]
        assert [item.video.part for item in items] == [item.video.part for item in others]
        assert [item.path.name.split(".")[0] for item in items] == [item.path.name.split(".")[0] for item in others]
        for one, other in itertools.pairwise(items):
            same = others[items.index(one)].source == others[items.index(other)].source
            assert same == (one.source == other.source)
    read_all(after)


def test_folders_of_classes(tmp_path: Path) -> None:
    for split, label, name in (("train", "a", "1.avi"), ("train", "b", "1.mp4"), ("val", "a", "x.webm")):
        layouts.write_clip(tmp_path / "old" / split / label / name)
    for name in ("1.mp4", "1.MP4"):
        layouts.write_clip(tmp_path / "old" / "train" / "a" / name)
    data = Data(root=str(tmp_path / "old"), format="folders")
    report = shrunk(data, tmp_path / "new")
    assert report.videos == 5
    after = read_lists(data.model_copy(update={"root": str(tmp_path / "new")}))
    assert (after.classes, [item.label for item in after.train]) == (("a", "b"), [0, 0, 0, 1])
    read_all(after)


def test_pixels_and_frames_are_those_of_the_originals(tmp_path: Path) -> None:
    layouts.ucf101(tmp_path / "old")
    data = Data(root=str(tmp_path / "old"), format="ucf101")
    shrunk(data, tmp_path / "new", workers=2)
    strips = [
        open_strips(
            tmp_path / "cache",
            read_lists(data.model_copy(update={"root": str(root)})).train[:3],
            CONTRACT,
            frames=6,
            size=16,
            progress=False,
        ).clips.astype(int)
        for root in (tmp_path / "old", tmp_path / "new")
    ]
    assert np.abs(strips[0] - strips[1]).max() <= 6


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """Six videos: one is missing, one is empty, and one is outside of the dataset's folder."""
    monkeypatch.setattr(module, "shrink", copied)
    root = tmp_path / "old"
    for name in ("1.mp4", "2.mp4", "3.avi", "../4.mp4"):
        layouts.write_clip(root / name)
    (root / "5.mp4").touch()
    (root / "classes.txt").write_text("a\nb\n")
    (root / "train.txt").write_text(f"1.mp4 a\n3.avi b\n../4.mp4 a\n5.mp4 b\n6.mp4 b\n{root}/../4.mp4 a\n")
    (root / "val.txt").write_text("2.mp4 0\n")
    return Data(root=str(root), classes="classes.txt", train="train.txt", val="val.txt")


def test_what_the_loader_leaves_out_it_leaves_out_again(
    videos: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    report = shrunk(videos, tmp_path / "new")
    assert [problem.problem for problem in report.problems] == ["unreadable", "missing"]
    assert str(report.problems[0].reason).endswith("5.mp4 is empty (0 bytes); copy or download it again.")
    for root in (tmp_path / "old", tmp_path / "new"):
        items = read_lists(videos.model_copy(update={"root": str(root)})).train
        cache = open_strips(tmp_path / "c", items, CONTRACT, frames=3, size=16, max_broken=0.9, progress=False)
        assert [item.label for item in cache.items] == [0, 1, 0, 0]


def test_nothing_is_written_outside(videos: Data, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()}
    shrunk(videos, tmp_path / "new")
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in tmp_path.iterdir()} == {"old", "new", "4.mp4"}
    (outside,) = (tmp_path / "new" / "outside").iterdir()
    assert outside.name.endswith("-4.mp4")
    assert f"outside/{outside.name} a" in (tmp_path / "new" / "train.txt").read_text()


@given(
    st.lists(st.lists(st.sampled_from(["..", ".", "a", "A", "b.avi", "b.mp4", "b", "outside", "x#t=1"]), min_size=1))
)
def test_names_are_safe_and_each_ones_own(parts: list[list[str]]) -> None:
    places = [Path("/data/set", *each) for each in parts]
    names = module._names(Path("/data/set"), places)
    assert {*names} == {*places}
    there = {Path(os.path.abspath(place)) for place in places}
    assert len({str(name).casefold() for name in names.values()}) == len(there)
    for name in names.values():
        assert not name.is_absolute()
        assert ".." not in name.parts
        assert name.suffix == ".mp4"


def test_a_stopped_command_goes_on(videos: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def stopping(stop_at: str, video: Video, output: Path, short_side: int) -> Shrunk:
        if video.place.name == stop_at:
            raise KeyboardInterrupt
        seen.append(video.place.name)
        return copied(video, output, short_side)

    monkeypatch.setattr(module, "shrink", partial(stopping, "4.mp4"))
    with pytest.raises(KeyboardInterrupt):
        shrunk(videos, tmp_path / "new")
    assert not (tmp_path / "new" / "train.txt").exists()
    (tmp_path / "new" / ".4.mp4.x.tmp").touch()
    monkeypatch.setattr(module, "shrink", partial(stopping, "none"))
    steps: list[int] = []
    report = shrunk(videos, tmp_path / "new", advance=steps.append)
    assert sorted(seen) == ["1.mp4", "2.mp4", "3.avi", "4.mp4", "5.mp4"]
    assert steps[0] == 2
    assert not list((tmp_path / "new").glob(".*.tmp"))
    seen.clear()
    assert shrunk(videos, tmp_path / "new") == report
    assert seen == []
    os.utime(tmp_path / "old" / "1.mp4", (1, 1))
    (tmp_path / "new" / "3.mp4").unlink()
    assert shrunk(videos, tmp_path / "new") == report
    assert seen == ["1.mp4", "3.avi"]


def test_a_full_disk_is_one_sentence(videos: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(video: Video, output: Path, short_side: int) -> Shrunk:
        output.parent.mkdir(parents=True, exist_ok=True)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output))

    monkeypatch.setattr(module, "shrink", full)
    with pytest.raises(DataError, match=r"1\.mp4 \(No space left on device\): its disk has .* free; make room"):
        shrunk(videos, tmp_path / "new")


def test_what_nobody_foresaw_is_the_videos_own(videos: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(video: Video, output: Path, short_side: int) -> Shrunk:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "shrink", fail)
    report = shrunk(videos, tmp_path / "new")
    assert [problem.problem for problem in report.problems].count("unreadable") == 5
    assert "an unexpected ZeroDivisionError" in str(report.problems[0].reason)


def test_frames_whose_rate_nobody_knows_are_refused(tmp_path: Path) -> None:
    lists_layout(tmp_path / "old")
    data = Data(root=str(tmp_path / "old"), classes="classes.txt", train="train.txt", val="val.csv")
    with pytest.raises(UsageError, match="--frame-rate"):
        shrunk(data, tmp_path / "new")


def test_only_what_the_recipe_takes_is_written(videos: Data, tmp_path: Path) -> None:
    (tmp_path / "old" / "good.txt").write_text("1.mp4\n3.avi\n2.mp4\n")
    report = shrunk(videos.model_copy(update={"good": "good.txt"}), tmp_path / "new")
    assert (report.videos, report.problems) == (3, ())
    assert (tmp_path / "new" / "good.txt").read_text() == "1.mp4\n3.mp4\n2.mp4\n"
    one = shrunk(videos.model_copy(update={"leave_out": ("b",)}), tmp_path / "one")
    assert one.videos == 3


def test_lists_that_stand_elsewhere_are_told(videos: Data, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    for name in ("classes.txt", "train.txt", "val.txt"):
        shutil.move(tmp_path / "old" / name, tmp_path / "lists" / name)
    data = videos.model_copy(
        update={"annotations": str(tmp_path / "lists"), "val": str(tmp_path / "lists" / "val.txt")}
    )
    report = shrunk(data, tmp_path / "new")
    assert report.settings == {
        "data.root": str(tmp_path / "new"),
        "data.annotations": "lists",
        "data.val": "val.txt",
    }
    assert "3.mp4 b\n" in (tmp_path / "new" / "lists" / "train.txt").read_text()


def test_other_folders_are_left_alone(videos: Data, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for out, words in (
        (tmp_path / "full", "holds something else"),
        (tmp_path / "full" / "x", "is a file"),
        (tmp_path / "old" / "new", "are one in the other"),
        (tmp_path / "old", "are one in the other"),
        (tmp_path, "are one in the other"),
    ):
        with pytest.raises(DataError, match=words):
            plan_shrinking(videos, out)


def test_lists_that_would_say_something_else_are_refused(
    videos: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite = module.rewrite_lists

    def wrong(data: Data, out: Path, names: module.Names) -> dict[str, str]:
        settings = rewrite(data, out, names)
        text = (out / "train.txt").read_text()
        (out / "train.txt").write_text(text.replace("1.mp4 a", "1.mp4 b"))
        return settings

    monkeypatch.setattr(module, "rewrite_lists", wrong)
    with pytest.raises(DataError, match=r"say something else .*: 1\.mp4 is another entry there"):
        shrunk(videos, tmp_path / "new")


def test_a_dry_run_writes_nothing_and_says_the_size(videos: Data, tmp_path: Path) -> None:
    guess = estimate(plan_shrinking(videos, tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    assert (guess.videos, guess.tried) == (6, 6)
    assert guess.before_bytes == sum(path.stat().st_size for path in (tmp_path).rglob("*.[ma][pv][4i]"))
    assert guess.after_bytes == 5 * len(copied.content)  # type: ignore[attr-defined]
    assert guess.free_bytes > 0


def test_the_record_says_what_became_of_each_video(videos: Data, tmp_path: Path) -> None:
    report = shrunk(videos, tmp_path / "new")
    entries = [json.loads(line) for line in (tmp_path / "new" / "shrink.jsonl").read_text().splitlines()]
    assert len(entries) == report.videos == 6
    assert sum(entry["after_bytes"] for entry in entries) == report.after_bytes
    assert probe(tmp_path / "new" / "1.mp4").frames == entries[0]["frames"]
