from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo.bundle import golden as files
from stzoo.cli.verify import verify
from stzoo.files import packaged


def run(*arguments: object) -> Result:
    return CliRunner().invoke(verify, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(packaged("bundled") / "camera-motion-st", tmp_path / "camera-motion-st"))


def test_it_says_how_far_each_runtime_is_off(bundle: Path) -> None:
    result = run(bundle / "model.onnx")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [(line[0], line[1], line[-1]) for line in lines if "fp32" in line] == [
        ("onnxruntime", "fp32", "ok"),
        ("openvino", "fp32", "ok"),
    ]
    assert "sample.mp4 read anew: frames at the same times" in result.stdout


def test_json_says_all_and_the_exit_code_is_1_where_answers_differ(bundle: Path) -> None:
    golden = files.read(bundle / files.GOLDEN)
    backwards = [files.packed(clip[::-1]) for clip in golden.pixels()]
    clips = tuple(
        clip.model_copy(update={"pixels": pixels}) for clip, pixels in zip(golden.clips, backwards, strict=True)
    )
    golden.model_copy(update={"clips": clips}).write(bundle / files.GOLDEN)
    result = run(bundle, "--runtime", "torch", "--format", "json")
    assert result.exit_code == 1
    facts = json.loads(result.stdout)
    assert not facts["passed"]
    assert not facts["reading"]["passed"]
    (answer,) = facts["runtimes"]
    assert (answer["runtime"], answer["passed"], answer["mistake"]) == (
        "torch",
        False,
        "as if its frames ran backwards",
    )
    assert "torch answers as if its frames ran backwards." in run(bundle, "--runtime", "torch").stdout


def test_clips_are_made_before_they_are_run(bundle: Path) -> None:
    (bundle / files.GOLDEN).unlink()
    result = run(bundle, "--make", "--runtime", "torch")
    assert result.exit_code == 0
    assert (bundle / files.GOLDEN).exists()
