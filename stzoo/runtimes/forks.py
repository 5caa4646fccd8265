"""How often this process was forked: threads that compute do not come along, and who waits for them waits for ever."""

from __future__ import annotations

import os

from stzoo.errors import UsageError

_forks = 0


def times_forked() -> int:
    """How many forks lie between this process and the first one of Python."""
    return _forks


def refuse_forked(first_used: int | None, name: str) -> None:
    """Raises `UsageError` where a model was first used after so many forks, and there were others since."""
    if first_used not in (None, times_forked()):
        raise UsageError(
            f"{name or 'this model'} was used before this process was forked, and its threads did not come along; load "
            "it in the process that uses it, or start processes with the method spawn"
        )


def _count() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count)
