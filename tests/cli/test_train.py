from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo import cli
from stzoo.training.sweep import Trial


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.main, args, prog_name="stzoo")


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
