from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stzoo.errors import UsageError
from stzoo.metrics import Mean
from stzoo.space import comparison
from stzoo.space.comparison import LARGEST_LOGIT, Subject, compare, distances, logits_of, permutation_test
from stzoo.strategies.posterior import Posterior


def apart(places: list[float]) -> np.ndarray:
    """Distances of runs that lie on a line."""
    return np.abs(np.subtract.outer(places, places)).astype(np.float64)


def test_groups_that_lie_apart_have_the_least_p_that_there_is() -> None:
    groups = ["a"] * 4 + ["b"] * 4
    found = permutation_test(apart([0, 1, 2, 3, 10, 11, 12, 13]), groups)
    assert found is not None
    assert (found.assignments, found.p, found.least) == (70, 2 / 70, 2 / 70)
    assert found.excess == pytest.approx(10 - 20 / 12)
    mixed = permutation_test(apart([0, 10, 1, 11, 2, 12, 3, 13]), groups)
    assert mixed is not None
    assert mixed.p > 0.3
    uneven = permutation_test(apart([0, 1, 2, 10, 11]), ["a", "a", "a", "b", "b"])
    assert uneven is not None
    assert (uneven.assignments, uneven.least, uneven.p) == (10, 0.1, 0.1)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-9, 9), min_size=3, max_size=6), st.integers(1, 3), st.integers(0, 5))
def test_the_test_is_that_over_all_orders_of_the_labels(places: list[float], first: int, second: int) -> None:
    groups = [("a", "b", "c")[min(2, (place >= first) + (place >= first + 1 + second))] for place in range(len(places))]
    matrix = apart(places)
    found = permutation_test(matrix, groups)
    if found is None:
        assert len({*groups}) < 2 or len({*groups}) == len(groups)
        return

    def excess(labels: tuple[str, ...]) -> float:
        pairs = list(itertools.combinations(range(len(labels)), 2))
        other = [matrix[i, j] for i, j in pairs if labels[i] != labels[j]]
        same = [matrix[i, j] for i, j in pairs if labels[i] == labels[j]]
        return float(np.mean(other) - np.mean(same))

    true = excess(tuple(groups))
    orders = [excess(order) for order in itertools.permutations(groups)]
    assert found.excess == pytest.approx(true)
    assert found.p == pytest.approx(np.mean([one >= true - 1e-12 for one in orders]))
    assert found.least <= found.p <= 1


@pytest.mark.parametrize("groups", [["a"] * 3, ["a", "b", "c"]])
def test_one_group_and_runs_that_are_alone_cannot_be_tested(groups: list[str]) -> None:
    assert permutation_test(apart([0, 1, 2]), groups) is None


def test_too_many_assignments_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MOST_ASSIGNMENTS", 5)
    assert permutation_test(apart([0, 1, 2, 3]), ["a", "a", "b", "b"]) is None


def test_logits_are_bounded() -> None:
    posterior = Posterior("net", {"L1": {"S": 0.0, "ST": 1.0}, "L2": {"S": 0.5, "ST": 0.25}})
    assert logits_of(posterior) == {
        ("L1", "S"): pytest.approx(-LARGEST_LOGIT),
        ("L1", "ST"): pytest.approx(LARGEST_LOGIT),
        ("L2", "S"): 0.0,
        ("L2", "ST"): pytest.approx(-math.log(3)),
    }


def subject(name: str, logits: list[float], effects: list[float] | None = None, group: str = "g") -> Subject:
    branches = [(f"L{number}", "ST") for number in range(len(logits))]
    means = (
        None if effects is None else {b: Mean(float(value), 0.1) for b, value in zip(branches, effects, strict=False)}
    )
    return Subject(name, group, dict(zip(branches, map(float, logits), strict=True)), means)


def test_distances_are_roots_of_mean_squares() -> None:
    found = compare([subject("a", [0, 0], [1, 1]), subject("b", [3, 4], [1, 2])])
    assert found.by_logits[0, 1] == pytest.approx(math.sqrt(12.5))
    assert found.by_effects is not None
    assert found.by_effects[1, 0] == pytest.approx(math.sqrt(0.5))
    assert distances([{("L", "S"): 1.0}] * 2).tolist() == [[0, 0], [0, 0]]
    assert compare([subject("a", [0, 0], [1, 1]), subject("b", [3, 4])]).by_effects is None


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="one run alone cannot be compared"):
        compare([subject("a", [0])])
    with pytest.raises(UsageError, match="a and b have different sites or branches"):
        compare([subject("a", [0]), subject("b", [0, 1])])
    with pytest.raises(UsageError, match="the effects of a and b are of different branches"):
        compare([subject("a", [0, 1], [1, 1]), subject("b", [0, 1], [1])])
