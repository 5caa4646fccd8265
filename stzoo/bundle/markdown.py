"""Text as Markdown that shows it as it stands: no heading, markup, link or picture comes of what others wrote."""

from __future__ import annotations

import re

_MARKS = re.compile(r"[\\`*\[\]<>|~]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)")
_ENDS = (
    (re.compile(r"^(?=(#{1,6}|[-+=]+)(\s|$))"), "\\\\"),
    (re.compile(r"^(\d{1,9})(?=[.)](\s|$))"), r"\1\\"),
    (re.compile(r"(?<=\s)(?=#+$)"), "\\\\"),
)
"""What opens a heading, a rule or an item of a list, or closes a heading, and what is put there so that it does not."""


class Markdown(str):
    """Text that is Markdown already, and is not escaped."""


def text(value: object) -> Markdown:
    """A value on one line, with a backslash before whatever Markdown or HTML would make more of; Markdown as it is."""
    if isinstance(value, Markdown):
        return value
    line = _MARKS.sub(r"\\\g<0>", " ".join(str(value).split()))
    for place, replacement in _ENDS:
        line = place.sub(replacement, line)
    return Markdown(line)


def code(value: str) -> Markdown:
    """A value on one line as a code span, between more backticks than stand in it."""
    line = " ".join(value.split()) or " "
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return Markdown(f"{fence} {line} {fence}" if longest else f"{fence}{line}{fence}")
