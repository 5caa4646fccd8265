"""How often the splits that are kept for the end have been looked at: `looks.json` of a run.

A split that is measured again and again, and the best of what was seen taken, is no longer one that nothing was chosen
on. So each time that nets are measured which were not before is a look; the same nets have the same numbers again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from stzoo.errors import TrainingError
from stzoo.files import write_json
from stzoo.strategies.strategy import Strategy
from stzoo.training.run import Run

Looks = dict[str, list[list[str]]]
"""By split, for every look the nets that were new in it."""


def look(run: Run, nets: Iterable[tuple[str, Strategy]], splits: Iterable[str]) -> dict[str, int]:
    """Notes that nets are measured on some splits, each by how it came about and its strategy.

    Returns how often each split of the run has been looked at, this time included. A run of an earlier version, which
    noted nothing, has looked once if it has measured.

    Raises `TrainingError` where the file holds something else.
    """
    looks = _read(run)
    names = sorted({_name(how, strategy) for how, strategy in nets})
    for split in splits:
        seen = {name for one in looks.get(split, []) for name in one}
        if new := [name for name in names if name not in seen]:
            looks.setdefault(split, []).append(new)
    write_json(run.path("looks.json"), looks)
    return {split: len(those) for split, those in looks.items()}


def _name(how: str, strategy: Strategy) -> str:
    return f"{how} {strategy.digest[:12]}"


def _read(run: Run) -> Looks:
    path, metrics = run.path("looks.json"), run.path("metrics.json")
    try:
        if path.exists():
            value = json.loads(path.read_text(encoding="utf-8"))
            return {str(split): [[str(net) for net in one] for one in those] for split, those in value.items()}
        looks: Looks = {}
        for row in json.loads(metrics.read_text(encoding="utf-8")) if metrics.exists() else []:
            name = _name(row["how"], Strategy.from_text(row["strategy"]))
            looks.setdefault(row["split"], [[]])[0].append(name)
        return looks
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        there = path if path.exists() else metrics
        raise TrainingError(
            f"{there} does not say how often a split was looked at ({type(error).__name__}); "
            "put back what stzoo wrote, or move it away"
        ) from error
