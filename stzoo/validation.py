"""Turns pydantic's findings into phrases that name the place, what is wrong and the value."""

from __future__ import annotations

from pydantic import ValidationError


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
