from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from stzoo.nets.classifier import Classifier
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.recipe import Init, Recipe
from stzoo.training import stages as module
from stzoo.training.checkpoint import save_weights
from stzoo.training.run import Run, checkpoint_of
from stzoo.training.stages import prepare
from stzoo.training.voice import SILENT, Voice


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


def test_a_precision_left_open_is_settled_said_and_kept(
    smoke: Recipe, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_open = smoke.model_copy(update={"compute": smoke.compute.model_copy(update={"precision": "auto"})})
    said: list[str] = []

    def begin(recipe: Recipe) -> tuple[str, str]:
        run = Run(tmp_path / "run", recipe)
        stages = prepare(run, clip_cache, Voice(said.append, progress=False))
        return stages.machine.precision, Run.open(run.folder).recipe.compute.precision

    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    assert begin(left_open) == ("bfloat16", "bfloat16")
    (sentence,) = said
    assert sentence.startswith(
        "Nets train in bfloat16, which this processor multiplies faster than float32; what is me"
    )
    Run(tmp_path / "run", left_open).record("warmup", 1, {"loss": 3.0})
    checkpoint_of(Run(tmp_path / "run", left_open).weights("warmup")).write_text("an epoch")
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    assert begin(left_open) == ("bfloat16", "bfloat16"), "also on another processor"
    assert len(said) == 1
    assert prepare(Run(tmp_path / "other", left_open), clip_cache, SILENT).machine.precision == "float32"


def test_a_stage_that_the_recipe_lacks_gives_no_net(smoke: Recipe, clip_cache: Path, tmp_path: Path) -> None:
    stages = prepare(Run(tmp_path / "run", smoke.model_copy(update={"finetune": None})), clip_cache, SILENT)
    first = stages.blueprint
    assert stages.finetune(first.first, first.strategy) is None


@pytest.mark.parametrize("begun", [False, True])
def test_the_first_stage_begins_with_statistics_of_its_own_clips(
    smoke: Recipe, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """Once: a stage that has a checkpoint goes on with what is in it."""
    init = Init.model_validate({"from": "none", "batch_norm": "re-estimated"})
    run = Run(tmp_path / "run", smoke.model_copy(update={"init": init}))
    stages = prepare(run, clip_cache, SILENT)
    expected = copy.deepcopy(stages.blueprint.first)
    reestimate_batch_norm(expected, stages.data.calibration(torch.device("cpu"), stages.training)())
    random = copy.deepcopy(stages.blueprint.first)
    if begun:
        save_weights(checkpoint_of(run.weights("warmup")), random)
    met: list[Classifier] = []
    monkeypatch.setattr(module, "fit", lambda net, *_, **__: met.append(copy.deepcopy(net)))
    stages.warm_up()
    wanted = random if begun else expected
    assert all(torch.equal(value, wanted.state_dict()[name]) for name, value in met[0].state_dict().items())
    assert not torch.equal(*(net.get_buffer("norm.running_mean") for net in (random, expected)))
