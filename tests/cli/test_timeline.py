from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import stzoo
from stzoo import cli
from stzoo.data.datasets import read_list
from stzoo.video.decode import probe
from tests.conftest import MakeVideo
from tests.data.layouts import write_frames

MODEL = "camera-motion-s"


def run(*args: object) -> Result:
    return CliRunner().invoke(
        cli.main, ["predict", *map(str, args), "--model", MODEL, "--device", "cpu"], prog_name="stzoo"
    )


@pytest.fixture
def video(make_video: MakeVideo) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), np.uint8)
    pixels = pixels.repeat(20, 0).repeat(8, 1).repeat(8, 2)
    return make_video("a.mp4", 40, width=96, height=64, pixels=pixels)


def test_every_format_says_the_same(video: Path, tmp_path: Path) -> None:
    common = (video, "--timeline", "--window", 1.5, "--hop", 1, "--clips", 1, "--topk", 2)
    written = run(*common, "-o", tmp_path / "t.json", "--figure", tmp_path / "new" / "t.png")
    assert written.exit_code == 0, written.output
    assert written.stdout == ""
    assert (tmp_path / "new" / "t.png").read_bytes().startswith(b"\x89PNG")
    (found,) = json.loads((tmp_path / "t.json").read_text())
    windows = found["windows"]
    assert [(window["start_seconds"], window["end_seconds"]) for window in windows] == [
        (0, 1.5),
        (1, 2.5),
        (2, 3.5),
        (2.5, 4),
    ]
    assert (found["path"], found["window_seconds"], found["hop_seconds"]) == (str(video), 1.5, 1.0)
    assert found["video"]["frames"] == 40
    assert found["contract"]["clips"] == 1

    model = stzoo.load(MODEL, device="cpu")
    model = type(model)(model.net, model.contract.changed(clips=1), model.labels, device="cpu")
    scores = model.timeline(video, 1.5).scores
    for window, expected in zip(windows, scores, strict=True):
        best = model.best(expected, 2)
        assert [entry["label"] for entry in window["predictions"]] == [prediction.label for prediction in best]
        assert [entry["score"] for entry in window["predictions"]] == pytest.approx(
            [each.score for each in best], abs=1e-4
        )

    rows = list(csv.DictReader(run(*common, "--format", "csv").stdout.splitlines()))
    assert [float(row["score1"]) for row in rows] == [window["predictions"][0]["score"] for window in windows]
    lines = run(*common).stdout.splitlines()
    assert lines[0] == str(video)
    best = [window["predictions"][0]["label"] for window in windows]
    assert [line.split("  ")[-1] for line in lines[1:]] == best
    subtitles = run(*common, "--format", "srt").stdout
    assert subtitles.count(" --> ") == len(found["captions"]) == 1 + sum(a != b for a, b in itertools.pairwise(best))


def test_events_are_parts_of_videos_as_lists_name_them(video: Path, tmp_path: Path) -> None:
    labels = stzoo.load(MODEL, device="cpu").labels
    whole = run(video, "--timeline", "--clips", 1, "--events", tmp_path / "e.csv", "--format", "json")
    assert whole.exit_code == 0, whole.output
    captions = json.loads(whole.stdout)[0]["captions"]
    items = read_list(tmp_path / "e.csv", tmp_path, labels)
    assert [item.video.place for item in items] == [video] * len(captions)
    assert [item.video.part for item in items] == [
        pytest.approx((caption["start_seconds"], caption["end_seconds"]), abs=1e-3) for caption in captions
    ]
    assert [labels[item.label] for item in items] == [caption["label"] for caption in captions]
    assert (tmp_path / "e.csv").read_text().splitlines()[1].startswith("a.mp4,0.000,")

    part = run(f"{video}#t=1,3", "--timeline", "--clips", 1, "--events", tmp_path / "p.csv")
    assert part.exit_code == 0, part.output
    rows = [row.split(",") for row in (tmp_path / "p.csv").read_text().splitlines()[1:]]
    assert float(rows[0][1]) == 1.0
    assert float(rows[-1][2]) == pytest.approx(3.0, abs=0.05)


def test_a_folder_gives_a_row_a_video_and_errors(video: Path, tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_text("no video")
    result = run(tmp_path, "--timeline", "--format", "jsonl", "--clips", 1)
    assert result.exit_code == 1
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert len(first["windows"]) == 3
    assert second == {
        "path": str(tmp_path / "b.mp4"),
        "error": f"{tmp_path}/b.mp4 is a text file, not a video; give a video file.",
    }
    table = run(tmp_path, "--timeline", "--format", "csv", "--clips", 1).stdout.splitlines()
    assert len(table) == 1 + 3 + 1
    assert run(tmp_path / "b.mp4", "--timeline", "--format", "srt").stdout == ""
    assert run(tmp_path / "b.mp4", "--timeline").stdout == ""


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--window", "3"], "--window is about a timeline; add --timeline."),
        (["--figure", "t.png"], "--figure is about a timeline; add --timeline."),
        (["--format", "srt"], "srt is a format of timelines; add --timeline, or choose another format."),
        (
            ["--timeline", "--workers", "2"],
            "a timeline is read while it is computed, without workers; leave --workers out.",
        ),
        (["--timeline", "--figure", "t.gif"], 't.gif has the suffix ".gif"; figures are written as png, svg, pdf'),
        (
            ["--timeline", "-o", "t.jsonl", "--resume"],
            "--resume goes on with rows of whole videos; leave --timeline and --render out.",
        ),
        (["--render", "out.gif"], 'out.gif has the suffix ".gif"; videos are written as .mp4, .mov, .mkv'),
        (["--render", "there.mp4"], "there.mp4 exists; choose another name."),
        (["--render", "out.mp4", "b.mp4"], "--render is about one video, and 2 were given; give one."),
        (["--timeline", "-o", "t.srt", "b.mp4"], "srt is about one video, and 2 were given; give one."),
        (
            ["--timeline", "--hop", "nan"],
            "windows of 2 seconds every nan seconds were asked for; both must be above 0.",
        ),
        (
            ["--render", "v.mp4", "-o", "v.mp4"],
            "two of -o, --figure, --render and --events name the same file, v.mp4; choose another.",
        ),
        (["--timeline", "--figure", "there.png"], "there.png exists; choose another name."),
        (["--timeline", "--events", "there.png"], "there.png exists; choose another name."),
        (["--events", "e.csv"], "--events is about a timeline; add --timeline."),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    args: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("there.png", "there.mp4"):
        Path(name).touch()
    result = run("a.mp4", *args)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {sentence}\n"


def test_folders_of_frames_in_a_folder_are_videos_at_a_rate(tmp_path: Path) -> None:
    for name in ("v/1", "v/2"):
        write_frames(tmp_path / name, 20)
    common = (tmp_path, "--format", "jsonl", "--clips", 1, "--frame-rate", 5)
    for options in ([], ["--timeline"]):
        rows = [json.loads(line) for line in run(*common, *options).stdout.splitlines()]
        assert [row["path"] for row in rows] == [f"{tmp_path}/v/1", f"{tmp_path}/v/2"]
        assert {row["video"]["fps"] for row in rows} == {5.0}
        lacking = run(tmp_path / "v" / "1", "--format", "jsonl", *options)
        assert lacking.exit_code == 1
        assert "holds frames and not their rate" in json.loads(lacking.stdout)["error"]
    assert run(tmp_path / "v" / "1", "--frame-rate", 5, "--render", tmp_path / "out.mp4").exit_code == 0
    assert probe(tmp_path / "out.mp4").fps == pytest.approx(5.0)
