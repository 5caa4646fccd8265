from __future__ import annotations

import pytest

from stzoo.space.evidence import FEWEST, Evidence, GateEvidence
from stzoo.strategies.posterior import Posterior
from stzoo.training.faults import faults_of, what_was_heard


def posterior(*drops: float) -> Posterior:
    return Posterior("net", {f"B1.L{number}": {"S": drop, "ST": drop} for number, drop in enumerate(drops, start=1)})


def evidence(*chances: float, sources: int = 100) -> Evidence:
    gates = [
        GateEvidence(f"L{number}", "ST", 0.1 * (-1) ** number, 0.05, chance) for number, chance in enumerate(chances)
    ]
    return Evidence(tuple(gates), 2 * sources, sources)


@pytest.mark.parametrize(
    ("drops", "chances", "sources", "words"),
    [
        ((0.95, 1.0, 0.2), (0.01,), 100, ["has collapsed: more than half"]),
        ((0.95, 0.2), (0.01, 0.5), 100, []),
        ((0.1, 0.11, 0.09), (0.01,), 100, []),
        ((0.9, 0.0), (0.051, 0.6), 100, ["was not learnt: at none of its 2 gates"]),
        ((0.9, 0.0), (0.051, 0.6), FEWEST - 1, []),
        ((0.95, 0.95), (0.5,), 100, ["has collapsed", "was not learnt"]),
    ],
)
def test_a_posterior_that_collapsed_or_that_the_data_say_nothing_of_is_said_to_have(
    drops: tuple[float, ...], chances: tuple[float, ...], sources: int, words: list[str]
) -> None:
    """However far its gates have moved."""
    sentences = faults_of(posterior(*drops), evidence(*chances, sources=sources))
    assert len(sentences) == len(words)
    assert all(word in sentence for word, sentence in zip(words, sentences, strict=True))


def test_what_the_data_say_is_told_in_a_line() -> None:
    assert what_was_heard(evidence(0.01, 0.02, 0.3)) == "the data speak of 2 of 3 gates: L0 ST, L1 ST"
    assert what_was_heard(evidence(*[0.0] * 10)).endswith("L6 ST, L7 ST and 2 more")
    assert what_was_heard(evidence(0.5)) == "the data speak of 0 of 1 gates"
    assert what_was_heard(evidence(0.5, sources=3)) == "not known from 3 sources"
