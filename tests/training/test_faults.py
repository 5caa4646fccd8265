from __future__ import annotations

import pytest

from stzoo.strategies.posterior import Posterior
from stzoo.training.faults import faults_of


def posterior(*drops: float) -> Posterior:
    return Posterior("net", {f"B1.L{number}": {"S": drop, "ST": drop} for number, drop in enumerate(drops, start=1)})


@pytest.mark.parametrize(
    ("drops", "words"),
    [
        ((0.95, 1.0, 0.2), ["has collapsed: more than half"]),
        ((0.95, 0.2), []),
        ((0.1, 0.11, 0.09), ["was not learnt"]),
        ((0.1, 0.1, 0.3), []),
        ((0.0, 0.05), []),
    ],
)
def test_a_posterior_that_collapsed_or_never_left_its_start_is_said_to_have(
    drops: tuple[float, ...], words: list[str]
) -> None:
    sentences = faults_of(posterior(*drops), initial_drop=0.1)
    assert len(sentences) == len(words)
    assert all(word in sentence for word, sentence in zip(words, sentences, strict=True))


def test_a_template_that_starts_collapsed_and_stays_there_is_both() -> None:
    assert len(faults_of(posterior(0.95, 0.95), initial_drop=0.95)) == 2
