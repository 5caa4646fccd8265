from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo import bundle as bundles
from stzoo import cli
from stzoo.bundle.confidence import Confidence, Threshold, add
from tests.conftest import MakeVideo, write_dark_and_bright


@pytest.fixture
def folder(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "model"))


def run(*args: object) -> Result:
    return CliRunner().invoke(cli.main, list(map(str, args)), prog_name="stzoo")


def test_a_model_is_calibrated_and_says_unknown(folder: Path, make_video: MakeVideo, tmp_path: Path) -> None:
    videos = write_dark_and_bright(tmp_path / "videos")
    paths = sorted(videos.rglob("*.mp4"))[:4]
    listed = tmp_path / "val.txt"
    listed.write_text("".join(f"{path} {index % 3}\n" for index, path in enumerate(paths)))
    result = run("calibrate", folder, "--data", listed, "--root", "/", "--workers", 0, "--precision", 0.97)
    assert result.exit_code == 0, result.output
    assert "97 %  not shown by so few videos" in result.output
    assert "on 4 videos of val.txt" in result.output
    result = run("predict", paths[0], "--model", folder, "--min-precision", 0.9)
    assert result.exit_code == 2
    assert "4 videos of val.txt showed no precision that was asked for; ask for less than 0.9" in result.output

    sure = Confidence(
        nets=1,
        temperature=2.0,
        thresholds=(
            Threshold(precision=0.9, score=1.0, coverage=0.1),
            Threshold(precision=0.5, score=0.0, coverage=1.0),
        ),
        videos=400,
        data="val.txt",
    )
    add(folder, bundles.weights_digest(folder), sure)
    text = run("predict", paths[0], "--model", folder, "--min-precision", 0.8).output
    assert text.splitlines()[1] == "  unknown: no label is sure enough"
    assert len(text.splitlines()) == 5
    assert "unknown" not in run("predict", paths[0], "--model", folder, "--min-precision", 0.5).output
    (row,) = json.loads(run("predict", paths[0], "--model", folder, "--min-precision", 0.8, "--format", "json").output)
    assert (row["unknown"], row["model"]["temperature"]) == (True, 2.0)

    rows = tmp_path / "rows.csv"
    assert run("predict", paths[0], "--model", folder, "--calibrated", "-o", rows).exit_code == 0
    result = run("predict", *paths[:2], "--model", folder, "-o", rows, "--resume")
    assert "holds results of another model" in result.output
    result = run("predict", *paths[:2], "--model", folder, "-o", rows, "--resume", "--calibrated")
    assert result.exit_code == 0, result.output
    assert len(rows.read_text().splitlines()) == 3


def test_a_timeline_knows_no_unknown(folder: Path, make_video: MakeVideo) -> None:
    result = run("predict", make_video("a.mp4"), "--model", folder, "--min-precision", 0.5, "--timeline")
    assert result.exit_code == 2
    assert "--min-precision is about whole videos" in result.output


def test_what_is_followed_live_is_calibrated_too(folder: Path, make_video: MakeVideo) -> None:
    fitted = Confidence(nets=1, temperature=5.0, thresholds=(), videos=4, data="val.txt")
    add(folder, bundles.weights_digest(folder), fitted)
    video = make_video("a.ts", 20, codec="mpeg2video")
    over_time = ("--model", folder, "--timeline", "--window", 1, "--topk", 9)
    (row,) = json.loads(run("predict", video, *over_time, "--calibrated", "--format", "json").output)
    arguments = ["predict", "-", *map(str, over_time), "--live", "--format", "jsonl"]
    plain, calibrated = (
        [json.loads(line) for line in CliRunner().invoke(cli.main, words, input=video.read_bytes()).stdout.splitlines()]
        for words in (arguments, [*arguments, "--calibrated"])
    )
    assert calibrated == [{"path": "-", **window} for window in row["windows"]]
    assert [line["predictions"] for line in calibrated] != [line["predictions"] for line in plain]
