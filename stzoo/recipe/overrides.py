"""Overrides of a recipe's values, one by one (`--set`) or as a grid (`--sweep`)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import tomli_w

from stzoo.errors import RecipeError
from stzoo.validation import parse_toml


def put(tree: dict[str, Any], override: str) -> None:
    """Puts `warmup.epochs=3` into a tree of tables; the value is TOML, or else plain text.

    Raises `ValueError` when the text is not of this form.
    """
    key, equals, text = override.partition("=")
    *tables, last = [step.strip() for step in key.split(".")]
    if not equals or not all([*tables, last]):
        raise ValueError(f"{override!r} is no override; write table.key=value")
    for table in tables:
        if not isinstance(tree.get(table), dict):
            tree[table] = {}
        tree = tree[table]
    tree[last] = _value(text.strip())


def expand(sweeps: Sequence[str]) -> list[tuple[str, ...]]:
    """Every point of a grid, as overrides: `objective.k=1,5` and `seed=0,1` give four points of two overrides.

    Values are separated by commas; TOML arrays and strings may contain commas of their own. Raises `RecipeError`.
    """
    axes: dict[str, list[str]] = {}
    for sweep in sweeps:
        key, equals, text = sweep.partition("=")
        key = key.strip()
        values = _values(text)
        if not equals or not key or not values:
            raise RecipeError(f"{sweep!r} is no sweep; write table.key=value,value")
        if key in axes:
            raise RecipeError(f"{key} is swept twice; give all its values in one sweep")
        if doubled := [value for value in values if values.count(value) > 1]:
            raise RecipeError(f"{key} is swept over {doubled[0]} twice; give every value once")
        axes[key] = [f"{key}={value}" for value in values]
    return list(itertools.product(*axes.values()))


def _value(text: str) -> Any:
    try:
        parsed = parse_toml(f"value = {text}")
    except ValueError:
        return text
    value = parsed["value"]
    return value if len(parsed) == 1 and isinstance(value, bool | int | float | str | list | dict) else text


def _values(text: str) -> list[str]:
    try:
        values = parse_toml(f"values = [{text}]")["values"]
    except ValueError:
        return [value.strip() for value in text.split(",") if value.strip()]
    return [tomli_w.dumps({"v": value}).removeprefix("v = ").strip() for value in values]
