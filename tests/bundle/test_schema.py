from __future__ import annotations

import json
from typing import get_args

import pytest
from pydantic import ValidationError

from stzoo.bundle import Bundle, Classes, Config, Result, labels_digest
from stzoo.bundle.schema import HOW
from stzoo.training.results import How


def test_the_digest_depends_on_labels_and_order() -> None:
    assert labels_digest(["a", "b"]) != labels_digest(["b", "a"])
    assert labels_digest(["a", "b"]) != labels_digest(["ab"])
    assert Classes.of(["a", "b"]).sha256 == labels_digest(["a", "b"])


@pytest.mark.parametrize("labels", [(), ("a", "a"), ("a\nb",), ("",)])
def test_impossible_labels_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        Classes.of(labels)


@pytest.mark.parametrize(
    ("label", "character"),
    [
        ("\x1b[31mred", "001B"),
        ("\x9b31mred", "009B"),
        ("a\x85b", "0085"),
        ("a\u2028b", "2028"),
        ("\u202eleft", "202E"),
        ("left\u200b", "200B"),
        ("\ufeffleft", "FEFF"),
    ],
)
def test_labels_that_a_terminal_obeys_or_nobody_sees_are_refused(label: str, character: str) -> None:
    with pytest.raises(ValidationError, match=f"U\\+{character}"):
        Classes.of([label, "other"])


def test_labels_in_any_language_are_kept() -> None:
    labels = ("größe", "می\u200cروم", "क्\u200dष", "🏃🏽\u200d♀️", "left [bold]", "日本語", "a\xa0b")
    assert Classes.of(labels).labels == labels


def test_labels_that_do_not_match_their_digest_are_refused() -> None:
    with pytest.raises(ValidationError, match="digest"):
        Classes(labels=("a", "b"), sha256=labels_digest(["b", "a"]))


def test_config_round_trips_through_json(bundle: Bundle) -> None:
    assert Config.model_validate_json(bundle.config.model_dump_json()) == bundle.config


def test_a_strategy_for_another_backbone_is_refused(bundle: Bundle) -> None:
    value = bundle.config.model_dump(mode="json")
    value["backbone"]["name"] = "densenet121"
    with pytest.raises(ValidationError, match="the strategy is for toy, the net is densenet121"):
        Config.model_validate_json(json.dumps(value))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"value": 97.3}, "not a fraction"),
        ({"low": 0.5}, "both low and high"),
        ({"low": 0.99, "high": 1.0}, "not within its interval"),
        ({"value": float("nan")}, "finite"),
        ({"n": 0}, "greater than or equal to 1"),
    ],
)
def test_contradictory_results_are_refused(changes: dict[str, object], sentence: str) -> None:
    good: dict[str, object] = {
        "dataset": "d",
        "split": "s",
        "protocol": "p",
        "metric": "top1",
        "value": 0.9,
        "n": 10,
    }
    Result.model_validate(good)
    with pytest.raises(ValidationError, match=sentence):
        Result.model_validate(good | changes)


def test_results_are_written_for_people(bundle: Bundle) -> None:
    accuracy, loss = bundle.metrics
    assert (accuracy.text, accuracy.interval_text) == ("97.3 %", "95.8 to 98.4 %")
    assert (loss.text, loss.interval_text) == ("0.25", "")


def test_how_weights_came_about_is_said_in_words(bundle: Bundle) -> None:
    config = bundle.config.model_copy(update={"provenance": {"weights": "alone", "seed": "0"}})
    assert config.making == {"weights": "trained with this strategy only", "seed": "0"}
    assert set(HOW) == set(get_args(How)), "every word that training writes has its sentence"
