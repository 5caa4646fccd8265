from __future__ import annotations

import io

from rich.console import Console

from stzoo.cli.train_recipe import _accuracy_table, _by_class
from stzoo.metrics import Estimate
from stzoo.strategies.strategy import Strategy
from stzoo.training.results import SplitAccuracy


def accuracy(split: str) -> SplitAccuracy:
    strategy = Strategy("densenet_tiny", {"B1.L1": "S", "B1.L2": "ST", "T1": "S+ST"})
    on_all, balanced, sit, walk = (Estimate(value, 0.827, 0.874, 120) for value in (0.856, 0.85, 0.83, 0.87))
    by_class = (("sit", sit), ("walk", walk))
    return SplitAccuracy("opt-finetuned", "finetuned", split, on_all, balanced, by_class, strategy, None, 1)


def test_two_test_sets_stand_in_eighty_columns_with_their_intervals_whole() -> None:
    accuracies = [accuracy(split) for split in ("val", "test-unseen")]
    output = io.StringIO()
    Console(file=output, width=80).print(_accuracy_table(accuracies))
    text = output.getvalue()
    assert text.count("85.6 (82.7–87.4)") == 2
    assert "1 / 1 / 1" in text
    assert "S / ST / S+ST: the number of sites that have this unit." in text


def test_where_classes_are_balanced_the_worst_is_named() -> None:
    sentence = 'opt-finetuned on val: balanced accuracy 85.0 (82.7–87.4), 83.0 (82.7–87.4) in "sit", the worst class;'
    assert _by_class(accuracy("val")).startswith(sentence)
