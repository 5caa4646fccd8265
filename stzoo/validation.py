"""Turns pydantic's findings into phrases that name the place, what is wrong and the value."""

from __future__ import annotations

import re

from pydantic import AfterValidator, ValidationError

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def _refuse_unseen(text: str) -> str:
    if unseen := _UNSEEN.search(text):
        raise ValueError(f"it holds the character U+{ord(unseen[0]):04X}, which is a control or cannot be seen")
    return text


OneLine = AfterValidator(_refuse_unseen)
"""For text of one line that shows all it holds: nothing that a terminal obeys, no unseen space, no turn of direction.

The joiners that Persian and the languages of India spell with (U+200C and U+200D) are allowed.
"""


def problems(error: ValidationError, most: int = 5) -> str:
    """One phrase for every finding, joined by semicolons: `input.crop is 900: input should be less than 500`."""
    phrases = []
    for finding in error.errors(include_url=False):
        place = shortened(".".join(str(step) for step in finding["loc"]))
        message = shortened(finding["msg"].removeprefix("Value error, "), 200)
        message = message[:1].lower() + message[1:]
        if finding["type"] == "missing":
            phrases.append(f"{place} is missing")
        elif finding["type"] == "extra_forbidden":
            phrases.append(f"{place} is unknown")
        elif place:
            phrases.append(f"{place} is {shortened(repr(finding['input']))}: {message}")
        else:
            phrases.append(message)
    more = f"; and {len(phrases) - most} more" if len(phrases) > most else ""
    return "; ".join(phrases[:most]) + more


def shortened(text: str, most: int = 60) -> str:
    """At most `most` characters of a text, on one line and without control characters."""
    printable = text if text.isprintable() else repr(text)[1:-1]
    return printable if len(printable) <= most else f"{printable[: most - 3]}..."
