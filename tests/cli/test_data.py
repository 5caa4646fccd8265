"""`stzoo data make camera` as a user types it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from stzoo import cli
from stzoo.video.synth import render


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


def test_help_says_what_it_is() -> None:
    text = run("--help").output
    assert "one set of videos, three questions" in text
