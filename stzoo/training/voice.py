"""How a run speaks to whoever has started it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[str], None]


@dataclass(frozen=True)
class Voice:
    """Sentences go to `say`; with `progress`, bars are drawn besides."""

    say: Say
    progress: bool = True


SILENT = Voice(lambda sentence: None, progress=False)
