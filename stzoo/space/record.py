"""Effects on disk: `effects.json`, the same as tables, and the answers from which a stopped measurement goes on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stzoo.errors import DataError
from stzoo.files import write_json, write_text
from stzoo.metrics import Mean
from stzoo.space.effects import Effect, Effects, Trust

RECORD, TABLE, CLASSES = "effects.json", "effects.csv", "effects-classes.csv"
_FORMAT = 1
_COLUMNS = (
    "site",
    "branch",
    "cross_entropy",
    "cross_entropy_error",
    "accuracy",
    "accuracy_error",
    "multiply_adds",
    "milliseconds",
    "cross_entropy_per_million",
    "videos",
)


@dataclass(frozen=True)
class EffectsRecord:
    """The files of effects in a folder. `about` is what was measured and how; other effects do not belong here."""

    folder: Path
    about: dict[str, Any]
    labels: tuple[str, ...]

    @property
    def answers(self) -> Path:
        """Where a judge keeps the answers of this measurement, and of no other."""
        about = json.dumps(self._about(), sort_keys=True).encode()
        return self.folder / f"effects-{hashlib.sha256(about).hexdigest()[:12]}.npz"

    def read(self) -> list[Effect]:
        """The effects that were measured before, none where there is no file.

        Raises `DataError` where the file holds something else, or effects of another template, data or protocol.
        """
        path = self.folder / RECORD
        if not path.exists():
            return []
        there, effects = read_effects(path)
        other = [key for key, known in self._about().items() if not isinstance(there, dict) or there.get(key) != known]
        if other:
            raise DataError(f"{path} holds effects with another {other[0]}; move it away, or choose another folder")
        return effects

    def keep(self, effects: list[Effect]) -> None:
        """Writes what there is so far."""
        write_json(self.folder / RECORD, {"about": self._about(), "effects": [asdict(effect) for effect in effects]})

    def finish(self, effects: Effects, trust: Trust | None) -> None:
        """Writes all of it, as JSON and as tables."""
        value = {"about": self._about(), **self.to_json(effects, trust)}
        write_json(self.folder / RECORD, value)
        write_text(self.folder / TABLE, _table(effects))
        write_text(self.folder / CLASSES, self._class_table(effects))

    def to_json(self, effects: Effects, trust: Trust | None) -> dict[str, Any]:
        """Every number: what is reached with all branches open, the effects, and how far their sum can be trusted."""
        value: dict[str, Any] = {
            "all_open": {
                "cross_entropy": effects.cross_entropy,
                "accuracy": effects.accuracy,
                "multiply_adds": effects.multiply_adds,
            },
            "effects": [asdict(effect) for effect in effects.effects],
            "labels": list(self.labels),
        }
        if trust is not None:
            value["sum"] = {
                "rank_correlation": trust.rank_correlation,
                "strategies": [
                    {"strategy": strategy.text(), "predicted": predicted, "measured": measured}
                    for strategy, predicted, measured in zip(
                        trust.strategies, trust.predicted, trust.measured, strict=True
                    )
                ],
            }
        return value

    def _about(self) -> dict[str, Any]:
        return {"format": _FORMAT, **self.about}

    def _class_table(self, effects: Effects) -> str:
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(("site", "branch", *self.labels))
        for effect in effects.effects:
            changes = ("" if change is None else f"{change:.6f}" for change in effect.classes)
            lines.writerow((effect.site, effect.branch, *changes))
        return text.getvalue()


def read_effects(path: Path) -> tuple[Any, list[Effect]]:
    """What was measured and how, and the effects. Raises `DataError` where the file holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return value["about"], [_effect(entry) for entry in value["effects"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} does not hold effects ({type(error).__name__}); move it away, or choose another folder"
        ) from error


def _effect(entry: dict[str, Any]) -> Effect:
    means = {name: Mean(*map(float, entry[name])) for name in ("cross_entropy", "accuracy")}
    return Effect(**{**entry, **means, "classes": tuple(entry["classes"])})


def _table(effects: Effects) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS)
    for effect in effects.effects:
        changes = (f"{number:.6f}" for mean in (effect.cross_entropy, effect.accuracy) for number in mean)
        milliseconds = "" if effect.milliseconds is None else effect.milliseconds
        worth = "" if effect.worth is None else f"{effect.worth:.6f}"
        lines.writerow((effect.site, effect.branch, *changes, effect.multiply_adds, milliseconds, worth, effect.videos))
    return text.getvalue()
