from __future__ import annotations

import re
from pathlib import Path

import pytest

from stzoo.data.datasets import read_list
from stzoo.data.labelled import labelled
from stzoo.data.own import own_videos
from stzoo.data.parts import refuse_behind
from stzoo.errors import DataError
from tests.conftest import MakeVideo
from tests.data.test_boris import written


def test_a_part_that_ends_behind_its_video_is_refused_with_its_line(make_video: MakeVideo, tmp_path: Path) -> None:
    make_video("a.mp4", 20)  # 2 s
    rows = ["a.mp4,0,1,walk", "gone.mp4,0,9,walk", "a.mp4,1,2.4,sit", "a.mp4,1.5,3,walk", "a.mp4,7,8,sit"]
    file = written(tmp_path / "a.csv", "path,start,end,label", *rows)
    sentence = re.escape(
        f"{file} line 5: the part from 1.5 to 3 s is not all in {tmp_path}/a.mp4, which is 2.00 s long; correct the "
        "times of this line, and of 1 lines more."
    )
    with pytest.raises(DataError, match=sentence):
        refuse_behind(read_list(file, tmp_path, ("sit", "walk")))
    for read in (lambda: labelled(file, None, ("sit", "walk")), lambda: own_videos(file, file)):
        with pytest.raises(DataError):
            read()


def test_what_has_no_times_or_cannot_be_opened_is_passed_over(tmp_path: Path, make_video: MakeVideo) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "1.jpg").touch()
    (tmp_path / "empty.mp4").touch()
    make_video("a.mp4", 20)
    rows = [f"{name},0,1,walk" for name in ("frames", "empty.mp4", "gone.mp4", "a.mp4")]
    refuse_behind(read_list(written(tmp_path / "a.csv", "path,start,end,label", *rows), tmp_path, ("walk",)))
