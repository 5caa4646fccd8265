from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.video import reader, workers
from stzoo.video.reader import VideoClips, read_clips
from stzoo.video.video import Video
from stzoo.video.workers import Reader, read_many
from tests.conftest import LEVELS, MakeVideo
from tests.data.layouts import write_frames

CONTRACT = InputContract(frames=4, fps=5.0, clips=2, resize=24, crop=16)


def children() -> set[int]:
    return {process.pid for process in workers._SPAWN.active_children() if process.pid is not None}


def test_every_file_gets_its_clips_or_its_reason_in_order(make_video: MakeVideo, tmp_path: Path) -> None:
    good = [make_video(f"{index}.mp4", 4 + index) for index in range(3)]
    text = tmp_path / "text.mp4"
    text.write_text("a shopping list")
    write_frames(tmp_path / "frames")
    good.append(tmp_path / "frames")
    videos = [Video(path, 12.0) for path in (good[0], text, good[1], tmp_path / "missing.mp4", *good[2:])]
    results = list(read_many(videos, CONTRACT))
    assert [video for video, _ in results] == videos
    for video, result in results:
        if video.path in good:
            assert isinstance(result, VideoClips)
            np.testing.assert_array_equal(result.clips, read_clips(video, CONTRACT).clips)
        else:
            assert isinstance(result, VideoError)
            with pytest.raises(VideoError) as alone:
                read_clips(video, CONTRACT)
            assert str(result) == str(alone.value)
    assert not children()


def test_a_reader_keeps_its_process_until_that_ends(make_video: MakeVideo, tmp_path: Path) -> None:
    good = Video(make_video("a.mp4", 4))
    one = Reader(CONTRACT, 60.0)
    try:
        assert isinstance(one.read(good), VideoClips)
        first = children()
        assert len(first) == 1
        assert isinstance(one.read(Video(tmp_path / "missing.mp4")), VideoError)
        assert children() == first
        (pid,) = first
        os.kill(pid, signal.SIGKILL)
        for process in workers._SPAWN.active_children():
            process.join(30)
        read = one.read(good)
        assert isinstance(read, VideoClips)
        np.testing.assert_array_equal(read.clips, read_clips(good, CONTRACT).clips)
        assert children().isdisjoint(first)
    finally:
        one.close()
    assert not children()


def test_few_files_are_held_however_many_there_are(make_video: MakeVideo) -> None:
    asked = 0

    def endless() -> Iterator[Video]:
        nonlocal asked
        video = Video(make_video("a.mp4", 4))
        for _ in itertools.count():
            asked += 1
            yield video

    reading = read_many(endless(), CONTRACT, clips=1, workers=1)
    for given in range(1, 6):
        _, result = next(reading)
        assert isinstance(result, VideoClips)
        assert result.clips.shape[0] == 1
        assert asked <= given + 2
    reading.close()
    assert not children()


def slow_and_deadly(video: Video, contract: InputContract, clips: int | None) -> VideoClips:
    """Stands in for `read_clips` in a worker: what a file does is written in its name."""
    if "hang" in video.place.name:
        time.sleep(600)
    if "crash" in video.place.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "odd" in video.place.name:
        raise ZeroDivisionError("a division")
    if "end" in video.place.name:
        raise EOFError
    if "exit" in video.place.name:
        os._exit(3)
    return read_clips(video, contract, clips)


def serve_badly(*arguments: object) -> None:
    reader.read_clips = slow_and_deadly
    workers._serve(*arguments)


def give(worker: workers._Worker, job: workers._Job, seconds: float, real: Callable[..., None]) -> None:
    """Stands in for the method: nobody waits for the limit of a file that hangs, and the others have all of theirs."""
    real(worker, job, 1.0 if "hang" in job.video.place.name else seconds)


def test_a_worker_that_dies_or_hangs_is_replaced(make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    real = workers._serve
    program = {"target": serve_badly}
    process = workers._SPAWN.Process
    monkeypatch.setattr(workers._SPAWN, "Process", lambda **options: process(**{**options, **program}))
    monkeypatch.setattr(workers._Worker, "give", partialmethod(give, real=workers._Worker.give))
    names = ["a", "crash", "b", "odd", "end", "hang", "exit", "c"]
    videos = [Video(make_video(f"{name}.mp4", 4)) for name in names]
    start = time.monotonic()
    results = dict(read_many(videos, CONTRACT, workers=1, seconds_a_file=300.0))
    assert time.monotonic() - start < 300
    assert workers._serve is real
    sentences = {video.place.stem: str(result) for video, result in results.items() if isinstance(result, VideoError)}
    assert sentences.keys() == {"crash", "odd", "end", "hang", "exit"}
    assert "cannot be read because of an unexpected ZeroDivisionError (a division)" in sentences["odd"]
    assert "an unexpected EOFError" in sentences["end"]
    assert "crashed (SIGSEGV) the process" in sentences["crash"]
    assert "was not read within 300 seconds" in sentences["hang"]
    assert "--workers 0" in sentences["hang"]
    assert "ended (exit code 3) the process" in sentences["exit"]
    for name in ("a", "b", "c"):
        result = results[videos[names.index(name)]]
        assert isinstance(result, VideoClips)
        assert result.clips.mean() < 4 * LEVELS
    assert not children()


@pytest.mark.parametrize(("count", "seconds"), [(0, 1.0), (1, 0.0)])
def test_senseless_numbers_are_refused_at_once(count: int, seconds: float) -> None:
    with pytest.raises(UsageError, match="ask for at least 1 worker"):
        read_many([], CONTRACT, workers=count, seconds_a_file=seconds)


def test_no_file_needs_no_process() -> None:
    assert list(read_many([], CONTRACT)) == []


SCRIPT = """
import itertools
import signal
import sys
from stzoo.contract import InputContract
from stzoo.video.video import Video
from stzoo.video.workers import Reader, read_many
{guard}
    # Whoever runs the tests in the background, as a shell's & does, may have had interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    contract = InputContract(frames=4, fps=5.0, clips=2, resize=24, crop=16)
    for video, result in read_many(itertools.repeat(Video(sys.argv[1])), contract):
        print(result.info.frames, flush=True)
"""


def lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(os.name != "posix", reason="sends an interrupt as a terminal does")
def test_an_interrupt_ends_everything(make_video: MakeVideo, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(guard='if __name__ == "__main__":'))
    command = [sys.executable, str(script), str(make_video("a.mp4", 4))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "4\n"
        os.killpg(running.pid, signal.SIGINT)
        _, messages = running.communicate(timeout=300)
    assert running.returncode != 0
    assert messages.count("KeyboardInterrupt") == 1, messages
    deadline = time.monotonic() + 120
    while (left := lives(running.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


@pytest.mark.parametrize("killed", [3, 100])
def test_workers_that_are_killed_before_they_begin_are_replaced_up_to_a_bound(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    start = workers._Worker.start.__func__
    starts = itertools.count()

    def fated(cls: type[workers._Worker], how: workers.How) -> workers._Worker:
        worker = start(cls, how)
        if next(starts) < killed:
            worker.process.kill()
        return worker

    monkeypatch.setattr(workers._Worker, "start", classmethod(fated))
    reads = read_many([Video(make_video("a.mp4", 4))] * 2, CONTRACT, workers=1)
    if killed > 10:
        with pytest.raises(UsageError, match="are killed before they have begun"):
            list(reads)
    else:
        assert [type(result) for _, result in reads] == [VideoClips] * 2
    assert not children()


def test_a_script_without_its_guard_is_told_so(make_video: MakeVideo, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(guard="if True:"))
    command = [sys.executable, str(script), str(make_video("a.mp4", 4))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert 'under `if __name__ == "__main__":`' in done.stderr


def test_a_folder_without_its_rate_is_a_reason_and_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.signal, "signal", lambda *_: None)
    write_frames(tmp_path / "frames")
    ours, theirs = workers._SPAWN.Pipe()
    for path in (tmp_path / "frames", tmp_path / "missing.mp4"):
        ours.send(Video(path))
    threading.Thread(target=workers._serve, args=(theirs, CONTRACT, None)).start()
    assert ours.recv() == workers._READY
    assert "holds frames and not their rate" in str(ours.recv())
    assert "does not exist" in str(ours.recv())
    ours.close()
