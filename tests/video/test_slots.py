from __future__ import annotations

import os
import signal
import threading
from multiprocessing import context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.errors import DataError
from stzoo.video.augment import Cut, read_random_clip
from stzoo.video.slots import Job, clip_readers
from stzoo.video.video import Video
from tests.conftest import MakeVideo

CUT = Cut(InputContract(frames=3, stride_frames=2, resize=16, crop=8), (10, 16), flip=True)
SHAPE = (3, 8, 8, 3)
SHARED = Path("/dev/shm")


@pytest.fixture
def jobs(make_video: MakeVideo, tmp_path: Path) -> list[Job]:
    videos = [Video(make_video(f"{number}.mp4", 8 + number)) for number in range(4)]
    videos.insert(2, Video(tmp_path / "missing.mp4"))
    draws = np.random.default_rng(0).random((len(videos), CUT.draws))
    return [(video, CUT, row) for video, row in zip(videos, draws, strict=True)]


@pytest.mark.parametrize("ahead", [1, 3, 9])
def test_clips_are_those_that_this_process_reads_in_their_order(jobs: list[Job], ahead: int) -> None:
    with clip_readers(2, SHAPE, ahead) as read_all:
        read = [clip if isinstance(clip, str) else clip.copy() for clip in read_all(jobs * 2)]
    assert "missing.mp4 does not exist" in read[2]
    for number, (job, clip) in enumerate(zip(jobs * 2, read, strict=True)):
        if number % len(jobs) != 2:
            assert np.array_equal(clip, read_random_clip(*job))


@pytest.mark.skipif(not SHARED.is_dir(), reason="memory that is shared has its names elsewhere")
def test_shared_memory_has_no_name_that_could_be_left_behind(jobs: list[Job]) -> None:
    """So also one that is killed leaves none; and what is interrupted ends its threads and processes."""
    before, threads = set(SHARED.iterdir()), threading.active_count()

    def interrupted() -> None:
        with clip_readers(1, SHAPE, 2) as read_all:
            next(read_all(jobs))
            assert not {path for path in set(SHARED.iterdir()) - before if path.name.startswith("pym-")}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert threading.active_count() == threads


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_reader_that_dies_ends_the_reading_with_a_sentence(jobs: list[Job]) -> None:
    def killed() -> None:
        with clip_readers(1, SHAPE, 1) as read_all:
            read = read_all(jobs)
            next(read)
            pool = read.gi_frame.f_locals["pool"]  # type: ignore[attr-defined]
            os.kill(next(iter(pool._processes)), signal.SIGKILL)
            list(read)

    with pytest.raises(DataError, match="a process that decodes training videos has died"):
        killed()


def test_no_memory_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(context.BaseContext, "RawArray", none)
    with pytest.raises(DataError, match=r"576 bytes of memory .* No space left on device"), clip_readers(1, SHAPE, 1):
        pass
