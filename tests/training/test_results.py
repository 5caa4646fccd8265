from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stzoo.nets import Architecture, fixed_net
from stzoo.recipe import Recipe
from stzoo.strategies.strategy import Strategy
from stzoo.training import results
from stzoo.training.data import RunData
from stzoo.training.machine import Machine, shared_scores
from stzoo.training.results import Candidate, How, measure_candidates, write_metrics


def test_candidates_of_one_strategy_and_origin_share_a_measurement(
    smoke: Recipe, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = []

    def watched(net: object, *arguments: object) -> object:
        scored.append(net)
        return shared_scores(net, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(results, "shared_scores", watched)
    architecture = Architecture("densenet_tiny", 3, {})
    s, st = (architecture.uniform(unit) for unit in ("S", "ST"))
    compared: list[tuple[str, How, Strategy]] = [("opt", "pruned", s), ("s", "pruned", s), ("st", "pruned", st)]
    compared.append(("tuned", "finetuned", s))
    candidates = [Candidate(*facts, fixed_net(architecture, facts[-1]).eval()) for facts in compared]
    machine = Machine(torch.device("cpu"))
    accuracies = measure_candidates(candidates, RunData(smoke, clip_cache), machine, {"val": 2}, progress=False)
    assert scored == [candidate.net for candidate in candidates if candidate.name != "s"]
    assert [measured.name for measured in accuracies] == ["opt", "s", "st", "tuned"]
    assert accuracies[0].accuracy == accuracies[1].accuracy

    assert accuracies[0].lead is None
    assert accuracies[1].lead is None
    for measured in accuracies[2:]:
        lead = measured.lead
        assert lead.value == pytest.approx(accuracies[0].accuracy.value - measured.accuracy.value)
        assert lead.low <= lead.value <= lead.high

    write_metrics(tmp_path / "metrics.json", accuracies, smoke.input)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert [(line["net"], line["how"], line["split"], line["n"]) for line in written] == [
        ("opt", "pruned", "val", 9),
        ("s", "pruned", "val", 9),
        ("st", "pruned", "val", 9),
        ("tuned", "finetuned", "val", 9),
    ]
    assert {line["looks"] for line in written} == {2}
    assert [("less_than_opt" in line, "less_low" in line) for line in written] == [(False, False)] * 2 + [
        (True, True)
    ] * 2
    for line in written:
        assert [one["label"] for one in line["classes"]] == ["still", "turn-left", "turn-right"]
        by_class = [one["top1"]["value"] for one in line["classes"]]
        assert line["balanced_accuracy"]["value"] == pytest.approx(sum(by_class) / 3, abs=1e-6)
        assert sum(one["top1"]["n"] for one in line["classes"]) == line["n"]
    assert {line["protocol"] for line in written} == {smoke.input.protocol}
