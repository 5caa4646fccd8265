from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stzoo.recipe import Recipe
from stzoo.training import stages as module
from stzoo.training.checkpoint import save_weights
from stzoo.training.run import Run, checkpoint_of
from stzoo.training.stages import prepare
from stzoo.training.voice import SILENT


def test_a_stage_whose_file_is_there_is_not_trained_again(
    smoke: Recipe, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run", smoke)
    stages = prepare(run, clip_cache, SILENT)
    with torch.no_grad():
        stages.blueprint.first.head.bias.fill_(3.0)
    save_weights(run.weights("warmup"), stages.blueprint.first)
    checkpoint = checkpoint_of(run.weights("warmup"))
    checkpoint.write_text("of the last epoch")
    monkeypatch.setattr(module, "fit", None)
    net = prepare(run, clip_cache, SILENT).warm_up()
    assert not net.training
    assert net.head.bias.tolist() == [3.0] * 3
    assert not checkpoint.exists()


def test_a_stage_that_the_recipe_lacks_gives_no_net(smoke: Recipe, clip_cache: Path, tmp_path: Path) -> None:
    stages = prepare(Run(tmp_path / "run", smoke.model_copy(update={"finetune": None})), clip_cache, SILENT)
    first = stages.blueprint
    assert stages.finetune(first.first, first.strategy) is None
