from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo import cli
from stzoo.recipe import read
from tests.conftest import write_video

SMALL = """
name = "small"
[data]
root = "data"
classes = "classes.txt"
train = "train.txt"
val = "val.txt"
selection_fraction = 0.25
[input]
frames = 4
fps = 6.0
clips = 2
resize = 36
crop = 32
[augment]
strip_frames = 6
strip_size = 36
[net]
backbone = "densenet_tiny"
[fixed]
strategy = "st"
epochs = 3
batch_size = 4
learning_rate = 0.1
weight_decay = 0.0
"""


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.main, args, prog_name="stzoo")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with eight training videos, in the working directory; one file stands for all videos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    data = tmp_path / "data"
    data.mkdir()
    (data / "classes.txt").write_text("a\nb\n")
    for split, count in (("train", 8), ("val", 2)):
        (data / f"{split}.txt").write_text("".join(f"{split}.mp4 {index % 2}\n" for index in range(count)))
        write_video(data / f"{split}.mp4", 6)
    return tmp_path


def test_a_dry_run_shows_net_steps_and_data_and_writes_nothing(small: Path) -> None:
    before = sorted(small.rglob("*"))
    result = run("train", "small.toml", "--dry-run")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["sites", "15"] in lines
    (fixed,) = (line for line in lines if line[:1] == ["fixed"])
    assert fixed[1:6] == ["3", "4", "0.1", "2", "6"]
    assert "strategy st alone" in result.stdout
    assert ["train", "8", "186.6", "kB"] in lines  # 8 strips of 6 frames of 36 x 36 pixels
    head = run("train", "small.toml", "--dry-run", "--set", 'net.pooling=["mean","trend"]').stdout
    assert "branches S,ST, mean and trend over time; " in " ".join(head.split())
    larger = run("train", "small.toml", "--dry-run", "--set", "input.clips=100").stdout
    assert ["val", "2", "2.5", "MB"] in [line.split() for line in larger.splitlines()]  # 200 clips of 4 of 32 x 32
    (memory,) = (line for line in lines if line[:1] == ["memory"])
    assert memory[1:8] == ["about", "4.5", "MB", "for", "4", "clips", "at"]
    assert "(767.7 kB a clip)" in " ".join(memory)
    assert "Nothing was trained or written." in result.stdout
    assert "stzoo data check small.toml" in result.stdout
    assert sorted(small.rglob("*")) == before


def test_a_dry_run_ends_in_the_recipe_and_keeps_what_the_user_gave(small: Path) -> None:
    (small / "data").rename(small / "my data")
    given = ["--set", "fixed.epochs=7", "--set", "data.tests={again = 'val.txt'}", "--data-root", "my data"]
    result = run("train", "small.toml", "--dry-run", *given)
    assert result.exit_code == 0, result.output
    _, _, below = result.stdout.partition("every value written out:\n\n")
    (small / "written.toml").write_text(below.partition("\n\nThe lists can be read")[0])
    assert read(small / "written.toml") == read("small.toml", [*given[1:4:2], "data.root='my data'"])
    (hint,) = (line for line in result.stdout.splitlines() if "stzoo data check" in line)
    words = shlex.split(hint.partition(": ")[2])
    assert words == ["stzoo", "data", "check", "small.toml", *given]
    assert "listed under several labels" in run(*words[1:], "--quiet", "--workers", "1").stdout


def test_a_video_that_is_not_there_fails_a_dry_run_and_is_named(small: Path) -> None:
    (small / "data" / "val.mp4").unlink()
    result = run("train", "small.toml", "--dry-run")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: 2 of the 2 videos of val (100.0%) are not on disk, more than data.max_broken = 0.01")
    assert "val.mp4" in line
    assert "parameters" in result.stdout
    assert "To decode every video" not in result.stdout


def test_a_video_that_cannot_be_read_fails_a_dry_run_and_one_missing_of_many_does_not(small: Path) -> None:
    listed = (small / "data" / "train.txt").read_text()
    (small / "data" / "train.txt").write_text(f"gone.mp4 0\n{listed}")
    few = run("train", "small.toml", "--dry-run", "--set", "data.max_broken=0.2")
    assert few.exit_code == 0, few.output
    assert "1 of the 9 videos of train (11.1%) are not on disk, and will be left out" in few.stdout
    (small / "data" / "val.mp4").write_bytes(b"no video")
    result = run("train", "small.toml", "--dry-run", "--set", "data.max_broken=0.2")
    assert result.exit_code == 1
    assert "Error: 2 of the first 2 videos of val cannot be read: " in result.stderr


def test_an_error_that_nobody_foresaw_is_said_of_its_list(small: Path, odd: None) -> None:
    (small / "data" / "val.mp4").rename(small / "data" / "odd.mp4")
    (small / "data" / "val.txt").write_text("odd.mp4 0\nodd.mp4 1\n")
    result = run("train", "small.toml", "--dry-run")
    assert result.exit_code == 1
    assert "Error: 2 of the first 2 videos of val cannot be read: " in result.stderr
    assert "an unexpected ZeroDivisionError" in result.stderr


def test_weights_to_start_from_that_cannot_be_found_fail_a_dry_run(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(small))
    for source, sentence in (
        ("./runs/nothing", "runs/nothing"),
        ("flat.pth", "the 2D weights flat.pth cannot be read: No such file or directory"),
        ("imagenet", "torchvision has no ImageNet weights for densenet_tiny"),
        ("camera-motion-s", 'init.from = "camera-motion-s" lacks B1.L1.unit.branches.ST'),
    ):
        result = run("train", "small.toml", "--dry-run", "--set", f"init.from={source}")
        assert result.exit_code == 1
        assert sentence in result.stderr.splitlines()[-1]
    imagenet = ["net.backbone=mobilenet_v2", "init.from=imagenet"]
    known = run("train", "small.toml", "--dry-run", *(f"--set={override}" for override in imagenet))
    assert known.exit_code == 0, known.output
    assert "The ImageNet weights of mobilenet_v2 will be fetched from https://" in known.stdout


def test_classes_without_videos_are_named(small: Path) -> None:
    (small / "data" / "classes.txt").write_text("a\nb\n" + "".join(f"c{index}\n" for index in range(6)))
    result = run("train", "small.toml", "--dry-run")
    assert result.exit_code == 0, result.output
    assert '6 of 8 classes have no training video: "c0", "c1", "c2", "c3", "c4" and 1 more.' in result.stdout


def test_the_folder_of_the_data_is_given_once(small: Path) -> None:
    for command in (["train", "small.toml", "--dry-run"], ["data", "check", "small.toml"]):
        result = run(*command, "--data-root", "data", "--set", "data.root=elsewhere")
        assert result.exit_code == 2
        assert result.stderr == (
            "Error: --data-root and --set data.root both name the dataset's folder; give one of them\n"
        )


def test_a_list_too_short_to_be_split_fails_a_dry_run(small: Path) -> None:
    result = run("train", "small.toml", "--dry-run", "--set", "data.selection_fraction=0.01")
    assert result.exit_code == 1
    assert "data.selection_fraction = 0.01 of 8 training videos" in result.stderr


def test_a_budget_that_pays_for_no_strategy_fails_a_dry_run(small: Path) -> None:
    lists = "data={root='data', classes='classes.txt', train='train.txt', val='val.txt', selection_fraction=0.25}"
    result = run("train", "smoke", "--dry-run", "--set", lists, "--set", "selection.budgets=['1M']")
    assert result.exit_code == 1
    assert "Error: the budget 1M is below the cheapest strategy of smoke; give between" in result.stderr


def test_without_data_an_official_dataset_is_forecast_all_the_same(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = run("train", "small.toml", "--dry-run", "--data-root", "nowhere")
    assert unknown.exit_code == 1
    assert "is known once the lists can be read" in unknown.stdout
    known = run("train", "small.toml", "--dry-run", "--data-root", "nowhere", "--set", "data.format=ucf101")
    assert known.exit_code == 1
    assert "101, 9537 training videos (the official dataset)" in known.stdout
    assert "(data.root) does not exist" in known.stderr


def test_a_dry_run_is_of_one_run(small: Path) -> None:
    result = run("train", "small.toml", "--dry-run", "--sweep", "seed=1,2")
    assert result.exit_code == 2
    assert "--dry-run shows one run" in result.stderr
