"""Values that nobody vouches for: bounded as they are read from TOML, and what is wrong with them, in phrases."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from pydantic import AfterValidator, ValidationError
from pydantic_core import ErrorDetails

MOST_CHARACTERS = 2**18
_DEEPEST = 32
_BITS = 64
_MANY_STEPS = re.compile(r"(?:[\w\"'-]+[ \t]*\.[ \t]*){64}")  # of a dotted key: reading it takes their square
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def _refuse_unseen(text: str) -> str:
    if unseen := _UNSEEN.search(text):
        raise ValueError(f"it holds the character U+{ord(unseen[0]):04X}, which is a control or cannot be seen")
    return text


OneLine = AfterValidator(_refuse_unseen)
"""For text of one line that shows all it holds: nothing that a terminal obeys, no unseen space, no turn of direction.

The joiners that Persian and the languages of India spell with (U+200C and U+200D) are allowed.
"""


def without_unseen(text: str) -> str:
    """A text that `OneLine` takes: each character that it refuses is a hyphen."""
    return _UNSEEN.sub("-", text.encode("utf-8", "replace").decode())


def problems(error: ValidationError, most: int = 5) -> str:
    """One phrase for every finding, joined by semicolons: `input.crop is 900: input should be less than 500`."""
    phrases = []
    for finding in error.errors(include_url=False):
        place = shortened(".".join(str(step) for step in finding["loc"]))
        shown = f"{place} is {shortened(repr(finding['input']))}" if place else ""
        phrases.append(phrase(finding, place, shown, most=200))
    more = f"; and {len(phrases) - most} more" if len(phrases) > most else ""
    return "; ".join(phrases[:most]) + more


def phrase(finding: ErrorDetails, place: str, shown: str, most: int | None = None) -> str:
    """What is wrong with the value at a `place`: it is missing, unknown, or wrong as it is `shown` there.

    The message about a wrong one has at most so many characters.
    """
    if finding["type"] == "missing":
        return f"{place} is missing"
    if finding["type"] == "extra_forbidden":
        return f"{place} is unknown"
    message = finding["msg"].removeprefix("Value error, ")
    message = message if most is None else shortened(message, most)
    message = message[:1].lower() + message[1:]
    return f"{shown}: {message}" if shown else message


def shortened(text: str, most: int = 60) -> str:
    """At most `most` characters of a text, on one line and without control characters."""
    printable = text if text.isprintable() else repr(text)[1:-1]
    return printable if len(printable) <= most else f"{printable[: most - 3]}..."


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
