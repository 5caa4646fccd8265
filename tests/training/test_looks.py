from __future__ import annotations

import json
from pathlib import Path

import pytest

from stzoo.errors import TrainingError
from stzoo.recipe import Recipe
from stzoo.strategies.strategy import Strategy
from stzoo.training.looks import look
from stzoo.training.run import Run

ONE, OTHER = (Strategy("net", {"L1": unit}) for unit in ("S", "ST"))


def test_only_nets_that_were_not_measured_before_make_a_look(smoke: Recipe, tmp_path: Path) -> None:
    run = Run(tmp_path, smoke)
    assert look(run, [("pruned", ONE)], ["val", "test"]) == {"val": 1, "test": 1}
    assert look(run, [("pruned", ONE)], ["val"]) == {"val": 1, "test": 1}
    assert look(run, [("pruned", ONE), ("finetuned", ONE)], ["val"]) == {"val": 2, "test": 1}
    assert look(run, [("pruned", OTHER)], ["val"]) == {"val": 3, "test": 1}


def test_a_run_that_noted_nothing_has_looked_once_if_it_has_measured(smoke: Recipe, tmp_path: Path) -> None:
    run = Run(tmp_path, smoke)
    row = {"net": "opt", "how": "pruned", "split": "val", "strategy": ONE.text()}
    run.path("metrics.json").write_text(json.dumps([row]))
    assert look(run, [("pruned", ONE)], ["val"]) == {"val": 1}
    run.path("looks.json").unlink()
    assert look(run, [("pruned", OTHER)], ["val"]) == {"val": 2}


@pytest.mark.parametrize("text", ["{", "[]", '{"val": 3}', '{"val": [3]}'])
def test_a_file_that_says_something_else_is_refused(smoke: Recipe, tmp_path: Path, text: str) -> None:
    run = Run(tmp_path, smoke)
    run.path("looks.json").write_text(text)
    with pytest.raises(TrainingError, match=r"looks\.json does not say how often a split was looked at"):
        look(run, [("pruned", ONE)], ["val"])
    assert run.path("looks.json").read_text() == text
