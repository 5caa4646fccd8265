from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from stzoo.errors import UsageError
from stzoo.recipe import Recipe
from stzoo.training.run import Run
from stzoo.training.trackers import tracker

NUMBERS = {"loss": 0.5, "collapsed": False, "drop": {"B1.L1": {"S": 0.1}}}
TOLD = {"warmup/loss": 0.5, "warmup/collapsed": 0.0, "warmup/drop/B1.L1/S": 0.1}


def installed(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    """Puts a module of that name in place of the real one, which the tests do not need."""
    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


def test_tensorboard_is_told_every_number_by_its_path(
    smoke: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, tuple[float, int]] = {}
    opened: list[Path] = []

    def writer(folder: Path) -> SimpleNamespace:
        opened.append(folder)
        return SimpleNamespace(add_scalar=lambda tag, value, step: told.update({tag: (value, step)}), flush=int)

    installed(monkeypatch, "tensorboard")
    installed(monkeypatch, "torch.utils.tensorboard", SummaryWriter=writer)
    run = Run(tmp_path / "run", smoke, [tracker("tensorboard", tmp_path / "run", smoke)])
    assert opened == [], "nothing is opened before the run has begun"
    for epoch in (1, 2):
        run.record("warmup", epoch, NUMBERS)
    assert opened == [tmp_path / "run" / "tensorboard"]
    assert told == {tag: (value, 2) for tag, value in TOLD.items()}
    assert len(run.recorded("warmup")) == 2


def test_weights_and_biases_goes_on_with_the_same_run(
    smoke: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, Any]] = []
    logged: list[dict[str, float]] = []

    def init(**settings: Any) -> SimpleNamespace:
        begun.append(settings)
        return SimpleNamespace(log=logged.append, define_metric=lambda *_, **__: None)

    installed(monkeypatch, "wandb", init=init)
    Run(tmp_path, smoke).begin()
    for _ in range(2):
        Run(tmp_path, smoke, [tracker("wandb", tmp_path, smoke)]).record("warmup", 1, NUMBERS)
    assert begun[0] == begun[1]
    assert (begun[0]["name"], begun[0]["resume"]) == ("smoke", "allow")
    assert begun[0]["config"]["warmup"]["epochs"] == 2
    assert logged == [{"warmup/epoch": 1, **TOLD}] * 2


def test_a_tracker_that_is_not_installed_is_refused(
    smoke: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="wandb is not installed; pip install"):
        tracker("wandb", tmp_path, smoke)
