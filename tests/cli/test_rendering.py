from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stzoo.video import render as module
from stzoo.video.overlay import Lines
from stzoo.video.video import Video
from tests.cli.test_timeline import run
from tests.conftest import MakeVideo


@pytest.mark.parametrize("over_time", [[], ["--timeline", "--window", 2, "--hop", 2]])
def test_labels_are_written_onto_the_video(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over_time: list[object]
) -> None:
    shown: dict[float, list[tuple[str, float]]] = {}

    def render(video: Video, output: Path, lines_at: Callable[[float], Lines], **_: object) -> tuple[str, ...]:
        shown.update({seconds: [tuple(line) for line in lines_at(seconds)] for seconds in (0.5, 3.5)})
        return ("no sound.",)

    monkeypatch.setattr(module, "render", render)
    result = run(make_video("a.mp4", 40), *over_time, "--format", "json", "--topk", 2, "--render", tmp_path / "out.mp4")
    assert result.exit_code == 0, result.output
    assert result.stderr == f"Warning: no sound.\nWrote {tmp_path / 'out.mp4'}\n"
    (found,) = json.loads(result.stdout)
    windows = found["windows"] if over_time else [found, found]
    assert len(windows) == 2
    for lines, window in zip(shown.values(), windows, strict=True):
        assert lines == [(entry["label"], entry["score"]) for entry in window["predictions"]]


def test_a_video_that_cannot_be_read_is_not_rendered(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_text("no video")
    for over_time in ([], ["--timeline"]):
        result = run(tmp_path / "b.mp4", *over_time, "--render", tmp_path / "out.mp4")
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.mp4"]
