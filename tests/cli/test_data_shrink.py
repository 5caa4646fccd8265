"""`stzoo data shrink` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo import cli
from stzoo.data import shrink as module
from stzoo.video import track
from tests.cli.test_data import RECIPE
from tests.data import layouts


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dataset is in `ucf`; the recipe stands in the current folder."""
    layouts.ucf101(tmp_path / "ucf")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tiny.toml"


def shrink(*arguments: str) -> Result:
    command = ["data", "shrink", "tiny.toml", "--data-root", "ucf", "--workers", "1", *arguments]
    return CliRunner().invoke(cli.main, command)


def test_a_dataset_is_shrunk_and_checked(recipe: Path) -> None:
    (recipe.parent / "ucf" / "UCF-101" / "YoYo" / "v_YoYo_g02_c01.avi").write_bytes(b"")
    guess = shrink("--out", "small", "--short-side", "24", "--dry-run")
    assert guess.exit_code == 0, guess.output
    assert "24 videos, " in guess.stdout
    assert "judged by 12 of them" in guess.stdout
    assert not (recipe.parent / "small").exists()
    result = shrink("--out", "small", "--short-side", "24")
    assert result.exit_code == 0, result.output
    assert "shrinking" in result.stderr
    assert 'in "small".' in result.stdout
    assert "unreadable: ucf/UCF-101/YoYo/v_YoYo_g02_c01.avi is empty (0 bytes)" in result.stdout
    assert result.stdout.endswith("Train on them: stzoo train tiny.toml --set data.root=small\n")
    check = CliRunner().invoke(cli.main, ["data", "check", "tiny.toml", "--data-root", "small", "--workers", "1"])
    assert "1 of the 18 videos of train cannot be read whole" in check.stdout
    assert shrink("--out", "small", "--short-side", "24", "--quiet").stderr == ""


def test_a_recipe_that_wants_more_is_warned_of(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "estimate", lambda plan, workers: module.Estimate(24, 10**6, 10**15, 90.0, 12, 10**9))
    result = shrink("--out", "small", "--dry-run", "--set", "input.resize=300")
    assert "Warning: tiny.toml resizes to 300 pixels, and videos of 256 will be enlarged again" in result.stderr
    assert result.stdout.endswith("the disk of small has 1.0 GB free.\nThat is not enough.\n")


def test_errors_are_one_sentence(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shrink().exit_code == 2
    result = shrink("--out", "ucf/small")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    (recipe.parent / "own.csv").write_text("path,label\na.mp4,0\n")
    for own in ("own.csv", "missing.txt", "ucf"):
        result = CliRunner().invoke(cli.main, ["data", "shrink", own, "--out", "small"])
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert f"{own} is a list or folder of videos, and no recipe; give a recipe whose [data]" in result.stderr
    monkeypatch.setattr(track, "can_encode", lambda codec: False)
    assert "has no encoder of H.264" in shrink("--out", "small").stderr


def test_an_interrupted_command_says_that_it_goes_on(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "carry_out", interrupted)
    result = shrink("--out", "small", "--quiet")
    assert (result.exit_code, result.stderr) == (130, "Stopped. The same command goes on from what is finished.\n")
