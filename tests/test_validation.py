from __future__ import annotations

import time

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from stzoo.validation import MOST_CHARACTERS, parse_toml, problems, refuse_absurd, shortened


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


def test_ordinary_tables_are_read() -> None:
    text = 'a = 0xffff\n[b.c]\nd = [1, {e = 2.5}]\nf = 9223372036854775807\ng = "1.2.3.4.5"\n'
    assert parse_toml(text) == {"a": 65535, "b": {"c": {"d": [1, {"e": 2.5}], "f": 2**63 - 1, "g": "1.2.3.4.5"}}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "[" * 5000 + "]" * 5000, "too deeply"),
        ("x = " + "[" * 40 + "]" * 40, "too deeply"),
        ("x = " + "{a = " * 3000 + "1" + "}" * 3000, "too deeply"),
        (".".join("a" * 100_000) + " = 1", "too deeply"),
        ("[" + ".".join("a" * 100_000) + "]", "too deeply"),
        (" . ".join('"a"' for _ in range(5000)) + " = 1", "too deeply"),
        ("a.b = " + "9" * 5000, "a number, date or time that cannot be read"),
        ("a.b = 0x" + "f" * 5000, "a.b is an integer of 20000 bits"),
        ("a = [{b = 0b1" + "0" * 70 + "}]", "a.b is an integer of 71 bits"),
        ("x = 2024-13-45", "cannot be read|xpected"),
        ("x = 1\nx = 2", "verwrite"),
        ("# " + "x" * MOST_CHARACTERS, "characters, and at most"),
    ],
    ids=range(12),
)
def test_absurd_text_is_refused_soon(text: str, words: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match=words):
        parse_toml(text)
    assert time.process_time() - start < 3


def test_trees_that_were_put_together_are_looked_at_too() -> None:
    tree: dict[str, object] = {}
    for _ in range(100_000):
        tree = {"a": tree}
    with pytest.raises(ValueError, match="too deeply"):
        refuse_absurd(tree)
    while tree:  # or else it is taken apart by recursion
        tree = tree.pop("a")  # type: ignore[assignment]
