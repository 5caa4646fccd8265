"""Videos that cannot be read and are left out, and how many of them may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stzoo.errors import DataError


class Broken(NamedTuple):
    """A video that was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Cap:
    """How many videos may be left out."""

    fraction: float
    """Part of the whole list."""
    listed: int
    """Videos of the whole list."""

    def hold(self, broken: Sequence[Broken], videos: int) -> None:
        """Raises `DataError` where too many videos are broken, or all of those that were asked for."""
        if broken and (len(broken) > self.fraction * self.listed or len(broken) == videos):
            named = "".join(f"\n  {reason}" for _, reason in broken[:5]) + ("\n  ..." if len(broken) > 5 else "")
            none_left = len(broken) == videos
            limit = "which leaves none" if none_left else f"more than {self.fraction:.1%} of the list (data.max_broken)"
            raise DataError(
                f"{len(broken)} of {self.listed} videos cannot be read, {limit}; repair the files, correct the list, "
                f'or see "stzoo data check":{named}'
            )
