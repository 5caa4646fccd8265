"""How often this process was forked: threads that compute do not come along, and who waits for them waits for ever."""

from __future__ import annotations

import os

_forks = 0


def times_forked() -> int:
    """How many forks lie between this process and the first one of Python."""
    return _forks


def _count() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count)
