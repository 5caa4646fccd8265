from __future__ import annotations

import json
from pathlib import Path

import pytest

from stzoo.bundle.confidence import CONFIDENCE, Confidence, Threshold, add, read
from stzoo.errors import BundleError, UsageError

DIGEST = "a" * 64


def fit(nets: int = 1, temperature: float = 1.5) -> Confidence:
    thresholds = (
        Threshold(precision=0.8, score=0.4, coverage=0.9),
        Threshold(precision=0.95, score=0.7, coverage=0.5),
    )
    return Confidence(nets=nets, temperature=temperature, thresholds=thresholds, videos=200, data="val.txt")


def test_what_was_added_is_read_for_each_number_of_nets(tmp_path: Path) -> None:
    assert read(tmp_path, DIGEST) == {}
    for one in (fit(8), fit(1, 3.0), fit(1)):
        assert add(tmp_path, DIGEST, one) == tmp_path / CONFIDENCE
    assert read(tmp_path, DIGEST) == {1: fit(), 8: fit(8)}


def test_there_is_one_average(tmp_path: Path) -> None:
    for one in (fit(), fit(8), fit(4)):
        add(tmp_path, DIGEST, one)
    assert read(tmp_path, DIGEST) == {1: fit(), 4: fit(4)}, "the nets of the smaller are among those of the larger"
    add(tmp_path, DIGEST, fit(1, 3.0))
    assert read(tmp_path, DIGEST) == {1: fit(1, 3.0), 4: fit(4)}


def test_the_lowest_precision_that_is_no_lower_says_the_score() -> None:
    assert fit().least_score(0.5) == 0.4
    assert fit().least_score(0.8) == 0.4
    assert fit().least_score(0.81) == 0.7
    with pytest.raises(UsageError, match=r"200 videos of val\.txt showed a precision of 0\.95 and no higher one"):
        fit().least_score(0.99)
    with pytest.raises(UsageError, match=r"showed no precision that was asked for; ask for less than 0\.5"):
        fit().model_copy(update={"thresholds": ()}).least_score(0.5)


def test_what_is_of_other_weights_is_not_believed(tmp_path: Path) -> None:
    add(tmp_path, DIGEST, fit())
    with pytest.raises(BundleError, match="is of other weights than those beside it"):
        read(tmp_path, "b" * 64)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "NaN"),
        ({"nets": 0}, "nets"),
        ({"thresholds": [{"precision": 2.0, "score": 0.5, "coverage": 0.5}]}, "precision"),
        ({"more": 1}, "more"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    add(tmp_path, DIGEST, fit())
    value = json.loads((tmp_path / CONFIDENCE).read_text())
    value["fits"][0] |= change
    (tmp_path / CONFIDENCE).write_text(json.dumps(value))
    with pytest.raises(BundleError, match=sentence):
        read(tmp_path, DIGEST)


def test_two_fits_for_as_many_nets_contradict_each_other(tmp_path: Path) -> None:
    add(tmp_path, DIGEST, fit())
    value = json.loads((tmp_path / CONFIDENCE).read_text())
    value["fits"] *= 2
    (tmp_path / CONFIDENCE).write_text(json.dumps(value))
    with pytest.raises(BundleError, match="two fits are for the same number of nets"):
        read(tmp_path, DIGEST)
