"""A run that is killed, not told to stop, at every stage of it: just before or after it puts a file in its place."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stzoo.recipe import Recipe
from stzoo.training.pipeline import train
from stzoo.training.run import Run
from stzoo.training.voice import Voice

# The command of stzoo in a process that is killed when it moves its n-th file, before that or after it.
KILLED = """
import os, signal, sys
left, before, move = int(sys.argv.pop(1)), sys.argv.pop(1) == "before", os.replace
def replace(source, target, **more):
    global left
    left -= 1
    if left == 0 and before:
        os.kill(os.getpid(), signal.SIGKILL)
    move(source, target, **more)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace
from stzoo.cli import main
main(prog_name="stzoo")
"""
TIMED = re.compile(rb'(training time": "|training time: )[^"\n]+')


def contents(run: Run) -> dict[str, bytes]:
    """Every file of a run by its path in it, without the time that training took."""
    return {
        str(path.relative_to(run.folder)): TIMED.sub(b"", path.read_bytes())
        for path in run.folder.rglob("*")
        if path.is_file() and path.name not in ("lock", "seconds.json")
    }


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_run_that_is_killed_at_every_stage_ends_the_same(
    smoke: Recipe, motions: Path, clip_cache: Path, tmp_path: Path
) -> None:
    straight = Run(tmp_path / "a" / "smoke", smoke)
    said: list[str] = []
    train(straight, clip_cache, Voice(said.append, progress=False))
    assert not [sentence for sentence in said if "posterior" in sentence or "collapsed" in sentence]
    folder = tmp_path / "b" / "smoke"
    command = ["train", "recipes/smoke.toml", "--quiet", "--data-root", str(motions)]
    command += ["--out", str(folder), "--cache", str(clip_cache)]
    kills, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        moves, when = 4 + kills, ("before", "after")[kills % 2]  # more each time, as a bundle is a dozen of them
        words = [sys.executable, "-c", KILLED, str(moves), when, *command]
        done = subprocess.run(
            words, env=os.environ | {"PYTHONPATH": os.getcwd()}, capture_output=True, text=True, check=False
        )
        code = done.returncode
        kills += code == -signal.SIGKILL
        assert kills < 20
    assert code == 0, done.stderr
    assert kills >= 3
    assert contents(Run(folder, smoke)) == contents(straight)
    assert not list(folder.rglob("*.tmp"))
