"""Plain values out of TOML that nobody vouches for: bounded in length, depth and size of numbers."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from stzoo.validation import shortened

MOST_CHARACTERS = 2**18
_DEEPEST = 32
_BITS = 64
_MANY_STEPS = re.compile(r"(?:[\w\"'-]+[ \t]*\.[ \t]*){64}")  # of a dotted key: reading it takes their square


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises `ValueError` whose text says in a phrase what is wrong.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters, and at most {MOST_CHARACTERS} are read")
    if _MANY_STEPS.search(text):
        raise ValueError("it nests its values too deeply to be read")
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:
        raise ValueError("it holds a number, date or time that cannot be read") from error
    except RecursionError as error:
        raise ValueError("it nests its values too deeply to be read") from error
    refuse_absurd(value)
    return value


def refuse_absurd(tree: dict[str, Any]) -> None:
    """Raises `ValueError` for tables within tables without end, and for integers that no machine has."""
    level: list[tuple[str, Any]] = [("", tree)]
    for _ in range(_DEEPEST):
        deeper: list[tuple[str, Any]] = []
        for place, value in level:
            if isinstance(value, dict):
                deeper += [(f"{place}.{key}".strip("."), inner) for key, inner in value.items()]
            elif isinstance(value, list):
                deeper += [(place, inner) for inner in value]
            elif isinstance(value, int) and value.bit_length() > _BITS:
                raise ValueError(f"{shortened(place)} is an integer of {value.bit_length()} bits; 64 are enough")
        level = deeper
    if level:
        raise ValueError("it nests its values too deeply to be read")
