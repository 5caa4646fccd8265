from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo import bundle as bundles
from stzoo import cli
from stzoo.training.sweep import Trial
from tests.conftest import write_dark_and_bright


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, args)], prog_name="stzoo")


def test_an_interrupt_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stzoo.training.pipeline.train", interrupted)
    result = run("train", "smoke", "--out", str(tmp_path / "run"))
    assert result.exit_code == 130
    assert (result.stdout, result.stderr) == ("", "Stopped. The same command goes on from what is finished.\n")


def test_a_sweep_shows_every_override_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = ("objective.k=1,5", "variational.gate_learning_rate=0.25")
    monkeypatch.setattr(
        "stzoo.training.sweep.sweep",
        lambda points, *_: [Trial(point.overrides, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0) for point in points],
    )
    result = run("train", "smoke", "--out", str(tmp_path / "run"), *(f"--sweep={axis}" for axis in axes))
    assert result.exit_code == 0, result.output
    column = "".join(line.split("│")[1].strip() for line in result.stdout.splitlines() if "│" in line)
    assert column.count("variational.gate_learning_rate=0.25") == 2
    assert "objective.k=5" in column
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--sweep", "objective.k=1,5")])
def test_what_the_net_cannot_be_is_said_with_the_recipes_path_before_anything_is_written(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    overrides = ("--set", "net.backbone=densnet_tiny", "--set", "seed=2")
    result = run("train", "smoke", "--out", str(tmp_path / "run"), *overrides, *more)
    assert result.exit_code == 1
    assert 'smoke.toml: net.backbone = "densnet_tiny": no backbone' in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_datas_root_may_have_any_name(tmp_path: Path) -> None:
    result = run("train", "smoke", "--out", str(tmp_path / "run"), "--data-root", 'it\'s "here"')
    assert result.exit_code == 1
    assert "the dataset's folder it's \"here\" (data.root) does not exist" in result.stderr


def test_a_template_is_trained_straight_from_a_folder_of_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_dark_and_bright(tmp_path / "Own")
    tables = ("warmup.epochs=1", "variational.epochs=1", "finetune.epochs=1", "selection.strategies=2")
    changes = [word for change in tables for word in ("--set", change)]
    dry = run("train", "smoke", "--data", "Own", "--dry-run", *changes)
    assert dry.exit_code == 0, dry.output
    assert 'name = "own-smoke"' in dry.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["Own"]
    trained = run("train", "smoke", "--data", "Own", "--quiet", *changes)
    assert trained.exit_code == 0, trained.output
    folder = tmp_path / "runs" / "own-smoke"
    assert (folder / "given" / "classes.txt").read_text() == "bright\ndark\n"
    bundle = bundles.read(folder / "bundles" / "own-smoke-opt")
    assert bundle.labels == ("bright", "dark")
    assert [(result.split, result.n) for result in bundle.metrics] == [("val", 2)]
    assert "is finished" in run("train", "smoke", "--data", "Own", "--quiet", *changes).stdout
    measured = run("evaluate", folder, "--data", "Own")
    assert "Warning: 8 of the 10 videos trained this model" in measured.stderr
    by_itself = run("evaluate", folder, "--format", "json")
    assert by_itself.exit_code == 0, by_itself.output
    assert json.loads(by_itself.stdout)["videos"] == 2
    assert not by_itself.stderr
    assert (tmp_path / "evaluation-own-smoke-opt-val" / "scores.npz").exists()
    assert "has its own videos to measure on; give --data" in run("evaluate", "camera-motion-opt").stderr
    assert json.loads((tmp_path / "evaluation-own-smoke-opt-Own" / "results.json").read_text())["warnings"]


def test_what_own_data_does_not_go_with_is_refused(tmp_path: Path) -> None:
    for name in ("a/1.mp4", "a/2.mp4", "b/1.mp4", "b/2.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for options, words in (
        ((), "Missing argument 'RECIPE'"),
        (("smoke", "--val", tmp_path), "--val goes with --data"),
        (("--data", tmp_path, "--data-root", "x"), "--data does not go with --data-root"),
        (("smoke", "--data", tmp_path, "--sweep", "seed=0,1"), "--data does not go with --sweep"),
        (("smok", "--data", tmp_path), "Did you mean"),
        (("--data", tmp_path, "--out", ""), "an empty word was given to stzoo train"),
    ):
        result = run("train", *options)
        assert result.exit_code in (1, 2), result.output
        assert words in result.stderr
