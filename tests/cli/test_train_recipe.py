from __future__ import annotations

import io

from rich.console import Console

from stzoo.cli.train_recipe import _accuracy_table
from stzoo.metrics import Estimate
from stzoo.strategies.strategy import Strategy
from stzoo.training.results import SplitAccuracy


def test_two_test_sets_stand_in_eighty_columns_with_their_intervals_whole() -> None:
    strategy = Strategy("densenet_tiny", {"B1.L1": "S", "B1.L2": "ST", "T1": "S+ST"})
    accuracies = [
        SplitAccuracy("opt-finetuned", "finetuned", split, Estimate(0.856, 0.827, 0.874, 120), strategy, None, 1)
        for split in ("val", "test-unseen")
    ]
    output = io.StringIO()
    Console(file=output, width=80).print(_accuracy_table(accuracies))
    text = output.getvalue()
    assert text.count("85.6 (82.7–87.4)") == 2
    assert "1 / 1 / 1" in text
    assert "S / ST / S+ST: the number of sites that have this unit." in text
