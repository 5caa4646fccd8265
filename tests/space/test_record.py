from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from stzoo import nets
from stzoo.errors import DataError
from stzoo.metrics import Mean
from stzoo.space.effects import Effect, Effects, Trust, closings
from stzoo.space.record import CLASSES, RECORD, TABLE, EffectsRecord, read_effects
from stzoo.strategies.posterior import Posterior

ARCHITECTURE = nets.Architecture("densenet_tiny", 2, {})
EFFECTS = Effects(
    ARCHITECTURE,
    0.25,
    0.9,
    10**6,
    tuple(
        Effect(site.name, branch, Mean(0.1, 0.02), Mean(0.05, 0.01), 2 * 10**6 * place, 0.5, 40, (0.2, None))
        for place, (site, branch, _) in enumerate(closings(ARCHITECTURE))
    ),
)

POSTERIOR = Posterior("densenet_tiny", {site.name: dict.fromkeys(site.branches, 0.5) for site in ARCHITECTURE.sites})
TRUST = Trust((ARCHITECTURE.uniform("S"), ARCHITECTURE.uniform("ST")), (0.3, 0.5), (0.4, 0.6))


def record(folder: Path, **about: Any) -> EffectsRecord:
    return EffectsRecord(folder, {"template": "abc", **about}, ("left", "right"), POSTERIOR)


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    assert record(tmp_path).read() == ([], None)
    record(tmp_path).keep(list(EFFECTS.effects[:3]))
    assert record(tmp_path).read() == (list(EFFECTS.effects[:3]), None)
    record(tmp_path).keep(list(EFFECTS.effects[:3]), TRUST)
    assert record(tmp_path).read() == (list(EFFECTS.effects[:3]), TRUST)
    record(tmp_path).finish(EFFECTS, TRUST)
    assert record(tmp_path).read() == (list(EFFECTS.effects), TRUST)
    recorded = read_effects(tmp_path / RECORD)
    assert (recorded.template_digest, recorded.posterior) == ("abc", POSTERIOR)


def test_no_standard_error_is_null_and_an_empty_cell(tmp_path: Path) -> None:
    """Strict parsers take no NaN."""
    effect = dataclasses.replace(EFFECTS.effects[0], cross_entropy=Mean(0.1, math.nan), accuracy=Mean(0.0, math.nan))
    equal = dataclasses.replace(TRUST, predicted=(0.3, 0.3))
    record(tmp_path).finish(dataclasses.replace(EFFECTS, effects=(effect,)), equal)
    value = json.loads((tmp_path / RECORD).read_text(), parse_constant=pytest.fail)
    assert value["effects"][0]["cross_entropy"] == [0.1, None]
    assert value["sum"]["rank_correlation"] is None
    (again,), trust = record(tmp_path).read()
    assert (again.cross_entropy.value, again.accuracy.known_error, trust) == (0.1, None, equal)
    with (tmp_path / TABLE).open() as file:
        line = next(csv.DictReader(file))
    assert (line["cross_entropy"], line["cross_entropy_error"], line["accuracy_error"]) == ("0.100000", "", "")


def test_answers_are_kept_for_one_measurement_alone(tmp_path: Path) -> None:
    assert record(tmp_path).answers == record(tmp_path).answers
    assert record(tmp_path).answers != record(tmp_path, videos="others").answers


def test_tables_hold_every_number(tmp_path: Path) -> None:
    strategy = ARCHITECTURE.uniform("S")
    record(tmp_path).finish(EFFECTS, Trust((strategy,), (0.3,), (0.4,)))
    with (tmp_path / TABLE).open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["site"], line["branch"]) for line in lines] == [
        (effect.site, effect.branch) for effect in EFFECTS.effects
    ]
    assert lines[0]["cross_entropy_per_million"] == ""
    assert (lines[1]["cross_entropy"], lines[1]["cross_entropy_per_million"]) == ("0.100000", "0.050000")
    with (tmp_path / CLASSES).open() as file:
        assert next(csv.DictReader(file)) == {"site": "B1.L1", "branch": "S", "left": "0.200000", "right": ""}
    value = json.loads((tmp_path / RECORD).read_text())
    assert value["sum"]["strategies"] == [{"strategy": strategy.text(), "predicted": 0.3, "measured": 0.4}]


SUM = '{"about": {}, "effects": [], "sum": {"strategies": [{"strategy": "x", "predicted": 0, "measured": 0}]}}'
DROP = '{"about": {}, "effects": [], "posterior": {"drop": 3}}'


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"about": {}, "effects": [{}]}', '{"about": {}, "effects": 3}', SUM, DROP]
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(DataError, match="does not hold effects"):
        record(tmp_path).read()


def test_effects_of_something_else_are_refused(tmp_path: Path) -> None:
    record(tmp_path).keep(list(EFFECTS.effects))
    with pytest.raises(DataError, match="holds effects with another template; move it away, or choose another folder"):
        dataclasses.replace(record(tmp_path), about={"template": "xyz"}).read()
