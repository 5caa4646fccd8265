"""What works, and what ends with a sentence, where torch, torchvision, matplotlib and onnxscript are not installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from stzoo import cli
from tests.light import CASES, HIDDEN

CHECKOUT = Path(__file__).resolve().parents[1]
LEFT_OUT = {"torch", "torchvision", "matplotlib", "onnxscript", "onnxruntime-gpu"}


def test_every_command_and_call_answers_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.modules.update(dict.fromkeys({HIDDEN}))")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(CHECKOUT)])}
    done = subprocess.run(
        [sys.executable, CHECKOUT / "tests" / "light.py"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_no_command_is_forgotten() -> None:
    assert {case.words.split()[0] for case in CASES} == set(cli.COMMANDS)


def test_the_light_requirements_are_the_others_without_what_is_left_out() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    all_of_them = {text.partition(";")[0] for text in project["dependencies"]}
    light = {
        line for line in (CHECKOUT / "requirements" / "light.txt").read_text().splitlines() if not line.startswith("#")
    }
    names = {text: re.split("[><=]", text)[0] for text in all_of_them}
    assert light == {text for text, name in names.items() if name not in LEFT_OUT}


def test_the_image_copies_what_the_wheel_is_made_of() -> None:
    lines = (CHECKOUT / "requirements" / "Dockerfile").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]}
    assert all((CHECKOUT / word).exists() for word in copied)
    assert copied >= {"pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "stzoo", "recipes", "cards"}
