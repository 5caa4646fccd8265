from __future__ import annotations

import re
from typing import Any

import pytest

from stzoo.errors import RecipeError
from stzoo.recipe.overrides import expand, put


@pytest.mark.parametrize(
    ("override", "tree"),
    [
        ("seed=3", {"seed": 3}),
        ("a.b=1.5", {"a": {"b": 1.5}}),
        (" a . b = true ", {"a": {"b": True}}),
        ("a.b=cpu", {"a": {"b": "cpu"}}),
        ('a.b="1"', {"a": {"b": "1"}}),
        ("a.b=[1, 2]", {"a": {"b": [1, 2]}}),
        ("a={b = 1}", {"a": {"b": 1}}),
        ("a.b=data/x=y.txt", {"a": {"b": "data/x=y.txt"}}),
        ("a.b=2020-01-01", {"a": {"b": "2020-01-01"}}),
        ("a.b=1\nc = 2", {"a": {"b": "1\nc = 2"}}),
        ("a.b=", {"a": {"b": ""}}),
    ],
)
def test_an_override_is_a_toml_value_or_text(override: str, tree: dict[str, Any]) -> None:
    laid: dict[str, Any] = {}
    put(laid, override)
    assert laid == tree


def test_later_overrides_win_and_tables_grow() -> None:
    laid: dict[str, Any] = {"a": 1}
    for override in ("a.b=1", "a.c=2", "a.b=3"):
        put(laid, override)
    assert laid == {"a": {"b": 3, "c": 2}}


@pytest.mark.parametrize("override", ["seed", "=3", "a..b=1", ".a=1", ""])
def test_an_override_without_key_or_value_is_refused(override: str) -> None:
    with pytest.raises(ValueError, match=r"write table\.key=value"):
        put({}, override)


@pytest.mark.parametrize(
    ("sweeps", "points"),
    [
        ([], [()]),
        (["objective.k=1,5,25"], [("objective.k=1",), ("objective.k=5",), ("objective.k=25",)]),
        (["a=1,2", "b=x,y"], [("a=1", "b=x"), ("a=1", "b=y"), ("a=2", "b=x"), ("a=2", "b=y")]),
        (["a=re-estimated, template"], [("a=re-estimated",), ("a=template",)]),
        (['a="x,y","z"'], [('a="x,y"',), ('a="z"',)]),
    ],
)
def test_a_sweep_is_a_grid_of_overrides(sweeps: list[str], points: list[tuple[str, ...]]) -> None:
    assert expand(sweeps) == points


def test_the_values_of_a_sweep_read_back_as_they_were_written() -> None:
    laid: dict[str, Any] = {}
    ((first,), (second,)) = expand(["a.milestones=[1, 2],[3]"])
    put(laid, first)
    assert laid == {"a": {"milestones": [1, 2]}}
    put(laid, second)
    assert laid == {"a": {"milestones": [3]}}


@pytest.mark.parametrize(
    ("sweeps", "sentence"),
    [
        (["objective.k"], "'objective.k' is no sweep; write table.key=value,value"),
        (["objective.k="], "'objective.k=' is no sweep"),
        (["=1"], "'=1' is no sweep"),
        (["k=1,5,1"], "k is swept over 1 twice"),
        (["k=1", "k=2"], "k is swept twice"),
    ],
)
def test_a_malformed_sweep_is_refused(sweeps: list[str], sentence: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        expand(sweeps)
