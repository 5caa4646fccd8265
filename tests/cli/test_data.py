"""`stzoo data` as a user types it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from stzoo import cli
from stzoo.data.synth import mocap15, render
from tests.conftest import MakeVideo
from tests.data import layouts
from tests.data.test_boris import written


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["data", "make", "camera", *arguments])


def test_a_small_set_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "film", lambda shot, picture: np.zeros((5, 80, 80, 3), np.uint8))
    out = str(tmp_path / "set")
    made = run("--out", out, "--seed", "1", "--clips", "38", "--workers", "1")
    assert made.exit_code == 0, made.output
    assert "38 videos" in made.stdout
    again = run("--out", out, "--seed", "1", "--clips", "38")
    assert again.exit_code == 0
    assert "nothing to do" in again.stdout


def test_errors_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("else")
    for arguments, words in {
        ("--out", str(tmp_path)): "holds something else",
        ("--out", str(tmp_path / "new"), "--clips", "7"): "7 clips cannot make",
    }.items():
        result = run(*arguments)
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert run("--out", str(tmp_path / "new"), "--seed", "-1").exit_code == 2
    assert run().exit_code == 2


def test_mocap15_is_made_of_motions_that_are_given_or_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    def made(out: Path, seed: int, *_: object, motions: Path, **__: object) -> bool:
        (out / "videos").mkdir(parents=True)
        given.extend([seed, motions])
        return True

    command = ["data", "make", "mocap15", "--out", str(tmp_path / "set")]
    with monkeypatch.context() as patched:
        patched.setattr(mocap15, "make_mocap15", made)
        result = CliRunner().invoke(cli.main, [*command, "--seed", "4", "--motions", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert given == [4, tmp_path]
    assert "0 videos, 0 bytes, and their lists are in" in result.stdout
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    missing = CliRunner().invoke(cli.main, [*command[:-1], str(tmp_path / "other")])
    assert missing.exit_code == 1
    assert "pip install 'stzoo[mocap]'" in missing.stderr


def test_an_interrupted_film_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(mocap15, "make_mocap15", interrupted)
    result = CliRunner().invoke(cli.main, ["data", "make", "mocap15", "--out", str(tmp_path / "set")])
    assert (result.exit_code, result.stderr) == (130, "Stopped. The same command goes on from what is finished.\n")


def test_help_says_what_it_is() -> None:
    text = run("--help").output
    assert "one set of videos, three questions" in text


RECIPE = """
name = "tiny"
[data]
root = "elsewhere"
format = "ucf101"
[input]
frames = 6
fps = 10
resize = 16
crop = 16
[augment]
strip_frames = 6
strip_size = 16
[net]
backbone = "densenet_tiny"
[fixed]
strategy = "s"
epochs = 1
batch_size = 4
learning_rate = 0.1
weight_decay = 0.0
"""


@pytest.fixture
def ucf101(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dataset's folder; the recipe stands in the current one."""
    layouts.ucf101(tmp_path / "ucf")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ucf"


def check(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["data", "check", "tiny.toml", "--data-root", str(root), *arguments])


def test_a_dataset_in_order_can_be_trained_on(ucf101: Path) -> None:
    result = check(ucf101, "--workers", "2")
    assert result.exit_code == 0, result.output
    assert "Training can start." in result.stdout
    assert "checking" in result.stderr


def test_training_videos_are_held_against_the_training_clip(ucf101: Path) -> None:
    report = json.loads(
        check(ucf101, "--set", "augment.frames=40", "--set", "augment.strip_frames=40", "--format", "json").stdout
    )
    assert [split["short"] for split in report["splits"].values()] == [18, 0]


def test_a_broken_dataset_is_reported(ucf101: Path, tmp_path: Path) -> None:
    broken = ucf101 / "UCF-101" / "YoYo" / "v_YoYo_g02_c01.avi"
    broken.write_bytes(b"")
    result = check(ucf101, "--workers", "1", "--quiet", "--good", "good.txt")
    assert result.exit_code == 1
    assert result.stderr == ""
    assert f"train, empty: {broken} is empty (0 bytes)." in result.stdout
    assert "1 of the 18 videos of train cannot be read whole, more than 1.0%." in result.stdout
    good = (tmp_path / "good.txt").read_text().splitlines()
    assert len(good) == 23
    assert good[0] == "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"
    again = check(ucf101, "--workers", "1", "--set", f"data.good={tmp_path / 'good.txt'}", "--format", "json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["splits"]["train"]["videos"] == 17
    assert len((tmp_path / "runs" / "check-tiny.jsonl").read_text().splitlines()) == 24, "nothing was decoded again"


def test_classes_that_a_list_lacks_are_named(ucf101: Path) -> None:
    (ucf101 / "ucfTrainTestlist" / "testlist01.txt").write_text("YoYo/v_YoYo_g01_c01.avi\n")
    result = check(ucf101, "--workers", "1", "--quiet")
    assert result.exit_code == 0, result.output
    assert 'val, without videos: "ApplyEyeMakeup", "HandstandPushups"\n' in result.stdout


def test_a_good_video_that_no_line_can_name_is_said(ucf101: Path, tmp_path: Path) -> None:
    for name in ("train/a/two\nlines.mp4", "train/a/1.mp4", "val/a/2.mp4"):
        layouts.write_clip(tmp_path / "own" / name)
    (tmp_path / "own/train/notes.txt").touch()
    result = check(tmp_path / "own", "--set", "data.format=folders", "--good", "good.txt", "--workers", "1", "--quiet")
    assert result.exit_code == 0, result.output
    assert "2 good videos are named in good.txt" in result.stdout
    passed_over, _, stderr = result.stderr.partition("\n")
    assert passed_over == f"1 file in {tmp_path}/own/train passed over, because its name ends like no video's (.txt)."
    assert stderr.startswith("1 good videos are not in good.txt, because no line can hold their paths;")
    assert stderr.endswith("two\\nlines.mp4'.\n")


def check_own(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["data", "check", *map(str, arguments), "--workers", "1", "--quiet"])


def test_a_list_of_parts_is_checked_as_it_is(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        make_video(f"{name}.mp4", 20, pixels=np.full((20, 32, 48, 3), 90 * (name == "a"), np.uint8))  # 2 s
    rows = ["a.mp4,0,1,walk", "a.mp4,1,2,sit", "a.mp4,1.9,2,jump", "a.mp4,1,3,walk", "gone.mp4,0,1,sit"]
    written(tmp_path / "train.csv", "path,start,end,label", *rows)
    written(tmp_path / "val.csv", "path,start,end,label", "a.mp4,0.5,1,sit", "b.mp4,0,1,walk")
    result = check_own("train.csv", "--val", "val.csv", "--model", "camera-motion-opt", "--good", "good.txt")
    assert result.exit_code == 1
    whole = f"{tmp_path}/a.mp4"
    assert f"damaged: {tmp_path}/train.csv line 5: the part from 1 to 3 s is not all in {whole}" in result.stdout
    assert f"train, short: {whole}#t=1.9,2 lasts 0.00 s, and a clip" in result.stdout
    assert f"{whole}#t=0,1 is cut from the recording of {whole}#t=0.5,1, which is in val." in result.stdout
    assert "train, missing: " in result.stdout
    assert (tmp_path / "runs" / "check-train.jsonl").exists()
    assert (tmp_path / "good.txt").read_text().splitlines()[0] == "a.mp4#t=0.5,1"
    assert check_own("train.csv", "--format", "json").stdout.count('"short": 0') == 1, "no clip, no length"


def test_a_folder_with_a_folder_a_class_is_checked(make_video: MakeVideo, tmp_path: Path) -> None:
    for name, brightness in {"sit": 0, "walk": 90}.items():
        (tmp_path / "own" / name).mkdir(parents=True)
        make_video(f"own/{name}/1.mp4", 2, pixels=np.full((2, 32, 48, 3), brightness, np.uint8))
    result = check_own(tmp_path / "own", "--record", tmp_path / "record.jsonl")
    assert result.exit_code == 0, result.output
    assert "Training can start." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("list.csv", "--set", "data.train='x'"), "--set changes a recipe, and list.csv is none"),
        (("smoke", "--val", "list.csv"), "--val and --model go with a list or a folder, and smoke is a recipe"),
        (("list.tsv",), "there is no recipe list.tsv, neither here nor"),
    ],
)
def test_what_does_not_go_with_a_check_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "list.csv", "path,label", "a.mp4,0")
    (tmp_path / "smoke").mkdir()
    result = check_own(*arguments)
    assert result.exit_code in (1, 2)
    assert sentence in result.stderr
