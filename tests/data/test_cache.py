from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.data import cache
from stzoo.data.broken import Broken
from stzoo.data.cache import ClipCache, open_clips, open_strips
from stzoo.data.datasets import Item
from stzoo.errors import DataError, UsageError, VideoError
from stzoo.video.reader import read_clips, read_strip
from stzoo.video.video import Video
from tests.conftest import MakeVideo
from tests.data.layouts import write_frames, zip_frames

CONTRACT = InputContract(frames=3, fps=5.0, clips=2, resize=20, crop=16)


@pytest.fixture
def items(make_video: MakeVideo) -> list[Item]:
    return [Item(make_video(f"v{i}.mp4", 6 + i, width=48 + 16 * i), i % 2) for i in range(4)]


def strips(folder: Path, items: list[Item], **options: object) -> ClipCache:
    return open_strips(folder, items, CONTRACT, frames=4, size=18, progress=False, **options)


class Counter:
    """Stands in for `read_strip` and says how often it was called."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.paths: list[Path] = []
        self.fail_after = fail_after
        self.lock = threading.Lock()

    def __call__(self, video: Video, **options: object) -> np.ndarray:
        with self.lock:
            if self.fail_after is not None and len(self.paths) >= self.fail_after:
                raise KeyboardInterrupt
            self.paths.append(video.place)
        return read_strip(video, **options)


def test_a_cache_holds_what_the_reader_reads(tmp_path: Path, items: list[Item]) -> None:
    kept = strips(tmp_path / "cache", items)
    assert isinstance(kept.clips, np.memmap)
    before = kept.clips[0, 0, 0, 0, 0]
    kept.clips[0, 0, 0, 0, 0] = before + 1
    assert np.fromfile(kept.folder / "frames.u8", np.uint8, 1) == before, "what is written stays in this process"
    kept.clips[0, 0, 0, 0, 0] = before
    assert (len(kept), kept.items, kept.broken) == (4, tuple(items), ())
    np.testing.assert_array_equal(kept.labels, [0, 1, 0, 1])
    assert kept.labels.dtype == np.int64
    for row, item in zip(kept.clips, items, strict=True):
        np.testing.assert_array_equal(row, read_strip(item.video, CONTRACT, 4, 18))
    evaluated = open_clips(tmp_path / "cache", items, CONTRACT, progress=False)
    assert evaluated.clips.shape == (4, 2, 3, 16, 16, 3)
    np.testing.assert_array_equal(evaluated.clips[1], read_clips(items[1].video, CONTRACT).clips)
    assert open_clips(tmp_path / "cache", items, CONTRACT, clips=1, progress=False).clips.shape[1] == 1


def test_clips_to_measure_on_are_in_the_order_of_their_item_and_strips_are_not(
    tmp_path: Path, items: list[Item]
) -> None:
    clips = {
        order: open_clips(tmp_path, [item._replace(order=order) for item in items], CONTRACT, progress=False).clips
        for order in ("given", "reversed", "shuffled")
    }
    np.testing.assert_array_equal(clips["reversed"], clips["given"][:, :, ::-1])
    assert not np.array_equal(clips["shuffled"], clips["given"])
    np.testing.assert_array_equal(np.sort(clips["shuffled"], axis=2), np.sort(clips["given"], axis=2))
    both = open_clips(tmp_path, [items[0], items[0]._replace(order="reversed")], CONTRACT, progress=False).clips
    np.testing.assert_array_equal(both[1], both[0][:, ::-1])
    turned = [item._replace(order="reversed") for item in items]
    np.testing.assert_array_equal(strips(tmp_path, turned).clips, strips(tmp_path, items).clips)


def test_the_second_opening_decodes_nothing(tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    first = strips(tmp_path, items)
    monkeypatch.setattr(cache, "read_strip", Counter(fail_after=0))
    again = strips(tmp_path, items)
    np.testing.assert_array_equal(first.clips, again.clips)


def test_another_question_about_the_same_videos_shares_the_pixels(tmp_path: Path, items: list[Item]) -> None:
    first = strips(tmp_path, items)
    other = strips(tmp_path, [Item(item.path, 7) for item in items])
    assert other.folder == first.folder
    np.testing.assert_array_equal(other.labels, [7] * 4)


@pytest.mark.parametrize("change", ["file", "list", "contract", "size"])
def test_whatever_decides_the_pixels_is_in_the_name(tmp_path: Path, items: list[Item], change: str) -> None:
    first = strips(tmp_path, items).folder
    if change == "file":
        os.utime(items[0].path, (1, 1))
        second = strips(tmp_path, items)
    elif change == "list":
        second = strips(tmp_path, items[1:])
    elif change == "contract":
        slower = CONTRACT.model_copy(update={"fps": 4.0})
        second = open_strips(tmp_path, items, slower, frames=4, size=18, progress=False)
    else:
        second = open_strips(tmp_path, items, CONTRACT, frames=4, size=17, progress=False)
    assert second.folder != first


@pytest.mark.parametrize(("policy", "decides"), [("stretch", True), ("repeat-last", False)])
def test_a_clip_decides_the_pixels_of_strips_that_hold_a_stretched_one(
    tmp_path: Path, items: list[Item], policy: str, decides: bool
) -> None:
    folders = {
        open_strips(
            tmp_path,
            items,
            CONTRACT.model_copy(update={"short_video": policy, "frames": frames}),
            frames=9,
            size=18,
            progress=False,
        ).folder
        for frames in (3, 8)
    }
    assert len(folders) == 1 + decides


def test_normalisation_does_not_decide_the_pixels(tmp_path: Path, items: list[Item]) -> None:
    other = CONTRACT.model_copy(update={"mean": (0.5, 0.5, 0.5)})
    assert (
        strips(tmp_path, items).folder == open_strips(tmp_path, items, other, frames=4, size=18, progress=False).folder
    )


def test_a_stopped_build_goes_on_where_it_was(
    tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_ROWS_A_FLUSH", 1)
    stopped = Counter(fail_after=2)
    monkeypatch.setattr(cache, "read_strip", stopped)
    with pytest.raises(KeyboardInterrupt):
        strips(tmp_path, items, workers=1)
    assert not list(tmp_path.glob("*/complete.json"))
    rest = Counter()
    monkeypatch.setattr(cache, "read_strip", rest)
    kept = strips(tmp_path, items, workers=1)
    assert rest.paths == [item.path for item in items[2:]]
    for row, item in zip(kept.clips, items, strict=True):
        np.testing.assert_array_equal(row, read_strip(item.video, CONTRACT, 4, 18))


@pytest.mark.parametrize("loss", ["pixels gone", "pixels cut"])
def test_lost_pixels_are_read_again(tmp_path: Path, items: list[Item], loss: str) -> None:
    kept = strips(tmp_path, items)
    before, pixels = kept.clips.copy(), kept.folder / "frames.u8"
    del kept
    if loss == "pixels gone":
        pixels.unlink()
    else:
        pixels.write_bytes(pixels.read_bytes()[:-1])
    (pixels.parent / "done.u8").write_bytes(b"\1" * 4)
    np.testing.assert_array_equal(strips(tmp_path, items).clips, before)


@pytest.mark.parametrize("record", ["", "[]", '{"format": 1}', '{"broken": []}', '{"broken": {"first": "gone"}}'])
def test_a_cache_whose_record_is_damaged_is_made_again(tmp_path: Path, items: list[Item], record: str) -> None:
    """Renamed before it was on the disk, a file may be empty when the power has failed."""
    kept = strips(tmp_path, items)
    before, path = kept.clips.copy(), kept.folder / "complete.json"
    whole = path.read_text()
    path.write_text(record)
    np.testing.assert_array_equal(strips(tmp_path, items).clips, before)
    assert path.read_text() == whole


def test_broken_videos_are_named_and_left_out(
    tmp_path: Path, items: list[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Item(tmp_path / "missing.mp4", 1)
    mixed = [missing, items[0], items[1], Item(tmp_path, 0), items[2], missing]
    kept = open_strips(tmp_path / "cache", mixed, CONTRACT, frames=4, size=18, max_broken=0.5)
    assert kept.items == tuple(items[:3])
    assert [path for path, _ in kept.broken] == [missing.path, tmp_path, missing.path]
    assert kept.broken[1] == Broken(tmp_path, f"{tmp_path} is a directory; give a video file inside it.")
    for row, item in zip(kept.clips, items, strict=False):
        np.testing.assert_array_equal(row, read_strip(item.video, CONTRACT, 4, 18))
    assert f"left out: {missing.path} does not exist" in capsys.readouterr().err
    assert strips(tmp_path / "cache", mixed, max_broken=0.5).broken == kept.broken
    with pytest.raises(DataError, match=r"more than 10\.0% of the list \(data\.max_broken\)"):
        strips(tmp_path / "cache", mixed, max_broken=0.1)


def test_too_many_broken_videos_are_refused(tmp_path: Path, items: list[Item]) -> None:
    with pytest.raises(DataError, match=r"1 of 5 videos cannot be read(.|\n)*missing\.mp4 does not exist"):
        strips(tmp_path, [*items, Item(tmp_path / "missing.mp4", 0)])
    with pytest.raises(DataError, match="1 of 1 videos cannot be read, which leaves none"):
        strips(tmp_path, [Item(tmp_path / "missing.mp4", 0)], max_broken=1.0)
    assert not list(tmp_path.glob("*/complete.json"))


def test_the_cap_is_over_the_whole_list(tmp_path: Path, items: list[Item]) -> None:
    part = [*items, Item(tmp_path / "missing.mp4", 0)]
    assert len(strips(tmp_path / "cache", part, max_broken=0.01, part_of=100).broken) == 1
    with pytest.raises(DataError, match=r"1 of 99 videos cannot be read, more than 1\.0%"):
        strips(tmp_path / "cache", part, max_broken=0.01, part_of=99)


def test_folders_of_frames_and_zip_files_are_kept_like_videos(tmp_path: Path) -> None:
    write_frames(tmp_path / "folder", 8)
    zip_frames(tmp_path / "x.zip", ["1/"], 8)
    mixed = [
        Item(path, label, frame_rate=10.0)
        for path, label in ((tmp_path / "folder", 3), (tmp_path / "x.zip" / "2", 1), (tmp_path / "x.zip" / "1", 2))
    ]
    kept = strips(tmp_path / "cache", mixed, max_broken=0.5)
    assert kept.labels.tolist() == [3, 2]
    assert [path for path, _ in kept.broken] == [tmp_path / "x.zip" / "2"]
    np.testing.assert_array_equal(kept.clips[0], read_strip(Video(tmp_path / "folder", 10.0), CONTRACT, 4, 18))
    np.testing.assert_array_equal(kept.clips[0], kept.clips[1])
    slower = [item._replace(frame_rate=5.0) for item in mixed]
    apart = [mixed[0], *slower[1:]]
    assert len({strips(tmp_path / "cache", items, max_broken=0.5).folder for items in (mixed, slower, apart)}) == 3
    os.utime(tmp_path / "x.zip", (1, 1))
    changed = strips(tmp_path / "cache", mixed, max_broken=0.5).folder
    assert changed != kept.folder
    (tmp_path / "folder" / "00003.jpg").write_bytes(b"overwritten, which a folder's own time does not show")
    assert strips(tmp_path / "cache", mixed, max_broken=0.5).folder not in (changed, kept.folder)


def test_two_builders_at_once_agree(tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter()
    monkeypatch.setattr(cache, "read_strip", counter)
    results: list[ClipCache] = []
    build: Callable[[], None] = lambda: results.append(strips(tmp_path, items, workers=2))  # noqa: E731
    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counter.paths) == 4, "one of them decoded, the others waited"
    for result in results:
        np.testing.assert_array_equal(result.clips, results[0].clips)


def test_a_full_disk_is_said_before_it_hurts(
    tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = cache.shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="No space left"):
        strips(tmp_path, items)


def test_nonsense_is_refused(tmp_path: Path, items: list[Item]) -> None:
    with pytest.raises(DataError, match="no video"):
        strips(tmp_path, [])
    with pytest.raises(UsageError, match="at least 1"):
        open_clips(tmp_path, items, CONTRACT, clips=0, progress=False)


def test_an_error_that_nobody_foresaw_is_the_videos_and_is_let_through_where_that_is_asked(
    tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cache, "read_strip", fail)
    assert not issubclass(ZeroDivisionError, VideoError)
    with pytest.raises(DataError, match=r"v0\.mp4 cannot be read because of an unexpected ZeroDivisionError"):
        strips(tmp_path, items)
    monkeypatch.setenv("STZOO_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        strips(tmp_path, items)


def test_the_record_of_a_finished_cache_is_readable(tmp_path: Path, items: list[Item]) -> None:
    folder = strips(tmp_path, items).folder
    assert json.loads((folder / "complete.json").read_text()) == {"format": 1, "videos": 4, "broken": {}}
    assert sorted(path.name for path in folder.iterdir()) == ["complete.json", "frames.u8", "lock"]


def test_crops_are_kept_beside_clips(items: list[Item], tmp_path: Path) -> None:
    one = open_clips(tmp_path / "cache", items, CONTRACT, progress=False)
    three = open_clips(tmp_path / "cache", items, CONTRACT.changed(crops=3), progress=False)
    assert three.clips.shape == (4, 6, 3, 16, 16, 3)
    np.testing.assert_array_equal(three.clips[:, 1::3], one.clips)
