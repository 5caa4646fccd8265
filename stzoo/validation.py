"""Turns pydantic's findings into phrases that name the place, what is wrong and the value."""

from __future__ import annotations

from pydantic import ValidationError


def problems(error: ValidationError, most: int = 5) -> str:
    """One phrase for every finding, joined by semicolons: `input.crop is 900: input should be less than 500`."""
    phrases = []
    for finding in error.errors(include_url=False):
        place = ".".join(str(step) for step in finding["loc"])
        message = finding["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        if finding["type"] == "missing":
            phrases.append(f"{place} is missing")
        elif finding["type"] == "extra_forbidden":
            phrases.append(f"{place} is unknown")
        elif place:
            phrases.append(f"{place} is {_shortened(finding['input'])}: {message}")
        else:
            phrases.append(message)
    more = f"; and {len(phrases) - most} more" if len(phrases) > most else ""
    return "; ".join(phrases[:most]) + more


def _shortened(value: object, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
