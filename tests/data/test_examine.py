from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from stzoo.data import examine as module
from stzoo.data import record as record_module
from stzoo.data.examine import Finding, examine, examine_all
from stzoo.errors import DataError
from stzoo.video.video import Video
from tests.conftest import MakeVideo
from tests.data.layouts import picture, write_frames, zip_frames


def test_a_whole_video(make_video: MakeVideo, tmp_path: Path) -> None:
    finding = examine(Video(make_video("a.mp4", 11, fps=10)))
    assert (finding.frames, finding.seconds, finding.problem) == (11, pytest.approx(1.0), None)
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    assert examine(Video(tmp_path / "copy.mp4")) == finding


def test_a_whole_folder_of_frames(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", 7)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for frame in (tmp_path / "clip").iterdir():
            file.write(frame, f"1/{frame.name}")
    found = examine(Video(tmp_path / "clip", 12.0))
    assert (found.frames, found.seconds, found.problem) == (7, 0.5, None)
    assert examine(Video(tmp_path / "x.zip" / "1", 12.0)) == found
    assert examine(Video(tmp_path / "clip")).seconds is None


def test_what_is_wrong_is_named(make_video: MakeVideo, cut_off_video: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 48, 3), dtype=np.uint8)
    middle = make_video("middle.mp4", 40, pixels=noise, encoder={"g": "5", "bf": "0"})
    content = bytearray(middle.read_bytes())
    start, stop = len(content) // 3, 3 * len(content) // 4
    content[start:stop] = bytes(stop - start)
    middle.write_bytes(content)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes.mp4").write_bytes(bytes(range(256)) * 9)
    write_frames(tmp_path / "gap", 4)
    (tmp_path / "gap" / "00002.jpg").unlink()
    write_frames(tmp_path / "bad", 4)
    (tmp_path / "bad" / "00002.jpg").write_bytes(picture(1)[:60])
    (tmp_path / "worse").mkdir()
    (tmp_path / "worse" / "1.jpg").write_bytes(b"x")
    zip_frames(tmp_path / "x.zip", ["1/", "2/"], 2)
    problems = {
        "missing.mp4": "missing",
        "empty.mp4": "empty",
        "folder": "empty",
        "bytes.mp4": "unreadable",
        "worse": "unreadable",
        "x.zip/3": "unreadable",
        cut_off_video.name: "damaged",
        "middle.mp4": "damaged",
        "gap": "damaged",
        "bad": "damaged",
    }
    for name, problem in problems.items():
        finding = examine(Video(tmp_path / name, 12.0))
        assert finding.problem == problem, name
        assert finding.reason is not None
        assert str(tmp_path / name) in finding.reason or name == "x.zip/3"
        assert (finding.frames > 0) == (problem == "damaged"), name


@pytest.fixture
def videos(make_video: MakeVideo) -> list[Video]:
    return [Video(make_video(f"{i}.mp4", 2 + i)) for i in range(5)]


class Stopping:
    """Stands in for `examine`: remembers what it was asked, and is interrupted at one of them."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.seen: list[str] = []

    def __call__(self, video: Video) -> Finding:
        if len(self.seen) == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(video.place.name)
        return Finding(frames=int(video.place.stem))


def test_a_stopped_check_goes_on(videos: list[Video], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "new" / "record.jsonl"
    monkeypatch.setattr(module, "examine", Stopping(stop_at=3))
    with pytest.raises(KeyboardInterrupt):
        examine_all(videos, record)
    with record.open("a") as file:
        file.write('{"format": 1, "state": "cut o')
    rest = Stopping()
    monkeypatch.setattr(module, "examine", rest)
    steps: list[int] = []
    found = examine_all([*videos, videos[0]], record, advance=steps.append)
    assert rest.seen == ["3.mp4", "4.mp4"]
    assert steps == [3, 1, 1]
    assert [found[video].frames for video in videos] == [0, 1, 2, 3, 4]
    assert examine_all(videos, record) == found
    assert len(rest.seen) == 2


def test_a_video_that_changed_is_looked_at_again(
    videos: list[Video], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examine_all(videos, tmp_path / "record")
    os.utime(videos[2].path, (1, 1))
    videos[4].place.unlink()
    seen = Stopping()
    monkeypatch.setattr(module, "examine", seen)
    examine_all(videos, tmp_path / "record")
    assert seen.seen == ["2.mp4", "4.mp4"]


def test_a_folder_whose_picture_was_repaired_in_place_is_looked_at_again(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", 5)
    broken = tmp_path / "clip" / "00003.jpg"
    whole = broken.read_bytes()
    for content, problem in ((b"", "damaged"), (whole, None)):
        broken.write_bytes(content)
        (finding,) = examine_all([Video(tmp_path / "clip")], tmp_path / "record").values()
        assert finding.problem == problem


def test_lines_of_the_record_that_make_no_sense_are_passed_over(videos: list[Video], tmp_path: Path) -> None:
    record = tmp_path / "record"
    expected = examine_all(videos, record)
    lines = record.read_text().splitlines()
    strange = [json.dumps(json.loads(lines[0]) | change) for change in ({"format": 2}, {"state": []}, {"x": 1})]
    record.write_text("\n".join(["[" * 10_000, "nonsense", "7", *strange, *lines[1:]]))
    assert examine_all(videos, record) == expected


def test_two_checks_do_not_share_a_record(videos: list[Video], tmp_path: Path) -> None:
    with FileLock(tmp_path / "record.lock"), pytest.raises(DataError, match="another process"):
        examine_all(videos, tmp_path / "record")


class FragilePool:
    """Processes that all die when one of them gets the video `2.mp4`."""

    def __init__(self) -> None:
        self.broken = False

    def submit(self, work: Stopping, video: Video) -> Future[Finding]:
        future: Future[Finding] = Future()
        self.broken |= video.place.name == "2.mp4"
        if self.broken:
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result(work(video))
        return future


def test_a_video_that_kills_its_process_does_not_stop_the_others(
    videos: list[Video], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def pool(workers: int) -> Iterator[FragilePool]:
        yield FragilePool()

    monkeypatch.setattr(record_module, "processes", pool)
    work = Stopping()
    monkeypatch.setattr(module, "examine", work)
    findings = examine_all(videos, tmp_path / "record", workers=2)
    assert sorted(work.seen) == ["0.mp4", "1.mp4", "3.mp4", "4.mp4"]
    assert {video.place.stem for video, finding in findings.items() if finding.problem is None} == {"0", "1", "3", "4"}
    assert findings[videos[2]] == Finding(problem="unreadable", reason=f"{videos[2].path} makes the decoder crash.")


def test_an_error_that_nobody_foresaw_is_the_videos_own(make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "probe", fail)
    finding = examine(Video(make_video("a.mp4", 2)))
    assert finding.problem == "unreadable"
    assert "an unexpected ZeroDivisionError" in str(finding.reason)
