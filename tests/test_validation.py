from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from stzoo.validation import problems, shortened


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    size: int


class Outer(BaseModel):
    inner: Inner
    name: str


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"inner": {"size": "x"}, "name": "n"}, "inner.size is 'x': input should be a valid integer"),
        ({"inner": {"size": 1}}, "name is missing"),
        ({"inner": {"size": 1, "sise": 1}, "name": "n"}, "inner.sise is unknown"),
        ({"inner": {}, "name": "n"}, "inner.size is missing"),
    ],
)
def test_every_finding_names_its_place(value: object, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(value)
    assert problems(caught.value) == sentence


def test_long_values_and_many_findings_are_cut() -> None:
    many = {f"k{index}": 1 for index in range(9)}
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"inner": many | {"size": "x" * 500}, "name": "n"})
    text = problems(caught.value)
    assert text.endswith("and 5 more")
    assert len(text) < 300


def test_control_characters_are_escaped() -> None:
    assert shortened("a\x1b[1mb\nc") == r"a\x1b[1mb\nc"
    assert shortened("größe") == "größe"
