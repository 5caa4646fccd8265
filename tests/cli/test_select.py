from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.recipe import read
from stzoo.training.run import Run
from tests.cli.test_train import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run without its data."""
    begun = Run(tmp_path / "smoke", read("recipes/smoke.toml", [f"data.root='{tmp_path / 'gone'}'"]))
    begun.begin()
    return begun.folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--budget", "50X"], "'50X' is no budget; write multiply-adds a clip, such as 50M"),
        (["--budget", "3.5ms"], "3.5ms depends on what runs the net; say it with --runtime, such as onnxruntime"),
        (["--budget", "50M", "--runtime", "torch"], "50M is counted in multiply-adds, on whatever runtime"),
        (["--runtime", "torch"], "--runtime says on what --budget or --frontier count milliseconds"),
        (["--budget", "3.5ms", "--runtime", "tensorrt"], "'tensorrt' is not one of"),
        (["--budget", "50M", "--strategies", "5"], "--strategies draws strategies, and --budget and --frontier search"),
        (["--frontier", "--exhaustive"], "--exhaustive draws strategies"),
        (["--budget", "50M"], "has no trained template yet; run stzoo train on its recipe first"),
    ],
)
def test_what_cannot_be_searched_is_refused(folder: Path, options: list[str], words: str) -> None:
    result = run("select", folder, *options)
    assert result.exit_code in (1, 2), result.output
    assert words in " ".join(result.stderr.split())


def test_a_template_without_its_data_is_refused(folder: Path) -> None:
    (folder / "template.safetensors").touch()
    result = run("select", folder, "--budget", "50M")
    assert result.exit_code == 1
    sentence = " ".join(result.stderr.split())
    assert (
        "gone (data.root) does not exist; give the right one with --data-root, or of a run in its recipe.toml"
        in sentence
    )
    assert not (folder / "answers.npz").exists()
