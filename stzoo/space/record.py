"""Effects on disk: `effects.json`, the same as tables, and the answers from which a stopped measurement goes on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stzoo.errors import DataError, StrategyError
from stzoo.files import write_json, write_text
from stzoo.metrics import Mean
from stzoo.space.effects import Effect, Effects, Trust
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy

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


class Recorded(NamedTuple):
    """What a file of effects holds. `trust` and the template's `posterior` are None where it says nothing of them."""

    about: Any
    effects: list[Effect]
    trust: Trust | None
    posterior: Posterior | None

    @property
    def template_digest(self) -> str | None:
        """Of the template that was measured."""
        digest = self.about.get("template") if isinstance(self.about, dict) else None
        return digest if isinstance(digest, str) else None


@dataclass(frozen=True)
class EffectsRecord:
    """The files of the effects of a template with this `posterior`, in a folder.

    `about` is what was measured and how; other effects do not belong here.
    """

    folder: Path
    about: dict[str, Any]
    labels: tuple[str, ...]
    posterior: Posterior

    @property
    def answers(self) -> Path:
        """Where a judge keeps the answers of this measurement, and of no other."""
        about = json.dumps(self._about(), sort_keys=True).encode()
        return self.folder / f"effects-{hashlib.sha256(about).hexdigest()[:12]}.npz"

    def read(self) -> tuple[list[Effect], Trust | None]:
        """The effects that were measured before, none where there is no file, and how far their sum can be trusted.

        Raises `DataError` where the file holds something else, or effects of another template, data or protocol.
        """
        path = self.folder / RECORD
        if not path.exists():
            return [], None
        there, effects, trust, _ = read_effects(path)
        other = [key for key, known in self._about().items() if not isinstance(there, dict) or there.get(key) != known]
        if other:
            raise DataError(f"{path} holds effects with another {other[0]}; move it away, or choose another folder")
        return effects, trust

    def keep(self, effects: list[Effect], trust: Trust | None = None) -> None:
        """Writes what there is so far."""
        self._write({"effects": [_entry(effect) for effect in effects], **_sum(trust)})

    def finish(self, effects: Effects, trust: Trust | None) -> None:
        """Writes all of it, as JSON and as tables."""
        self._write(self.to_json(effects, trust))
        write_text(self.folder / TABLE, _table(effects))
        write_text(self.folder / CLASSES, self._class_table(effects))

    def to_json(self, effects: Effects, trust: Trust | None) -> dict[str, Any]:
        """Every number: what is reached with all branches open, the effects, and how far their sum can be trusted."""
        return {
            "all_open": {
                "cross_entropy": effects.cross_entropy,
                "accuracy": effects.accuracy,
                "multiply_adds": effects.multiply_adds,
            },
            "effects": [_entry(effect) for effect in effects.effects],
            "labels": list(self.labels),
            **_sum(trust),
        }

    def _write(self, measured: dict[str, Any]) -> None:
        value = {"about": self._about(), "posterior": self.posterior.to_json(), **measured}
        write_json(self.folder / RECORD, value)

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


def read_effects(path: Path) -> Recorded:
    """Raises `DataError` where the file holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        posterior = Posterior.from_json(value["posterior"]) if "posterior" in value else None
        effects = [_effect(entry) for entry in value["effects"]]
        return Recorded(value["about"], effects, _trust(value["sum"]) if "sum" in value else None, posterior)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, StrategyError) as error:
        raise DataError(
            f"{path} does not hold effects ({type(error).__name__}); move it away, or choose another folder"
        ) from error


def _entry(effect: Effect) -> dict[str, Any]:
    means = {"cross_entropy": effect.cross_entropy, "accuracy": effect.accuracy}
    return {**asdict(effect), **{name: [mean.value, mean.known_error] for name, mean in means.items()}}


def _effect(entry: dict[str, Any]) -> Effect:
    means = {name: _mean(*entry[name]) for name in ("cross_entropy", "accuracy")}
    return Effect(**{**entry, **means, "classes": tuple(entry["classes"])})


def _mean(value: float, error: float | None) -> Mean:
    return Mean(float(value), math.nan if error is None else float(error))


def _sum(trust: Trust | None) -> dict[str, Any]:
    if trust is None:
        return {}
    strategies = [
        {"strategy": strategy.text(), "predicted": predicted, "measured": measured}
        for strategy, predicted, measured in zip(trust.strategies, trust.predicted, trust.measured, strict=True)
    ]
    return {"sum": {"rank_correlation": trust.rank_correlation, "strategies": strategies}}


def _trust(value: dict[str, Any]) -> Trust:
    entries = value["strategies"]
    predicted, measured = (tuple(float(entry[name]) for entry in entries) for name in ("predicted", "measured"))
    return Trust(tuple(Strategy.from_text(entry["strategy"]) for entry in entries), predicted, measured)


def _table(effects: Effects) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS)
    for effect in effects.effects:
        numbers = (number for mean in (effect.cross_entropy, effect.accuracy) for number in mean)
        changes = ("" if math.isnan(number) else f"{number:.6f}" for number in numbers)
        milliseconds = "" if effect.milliseconds is None else effect.milliseconds
        worth = "" if effect.worth is None else f"{effect.worth:.6f}"
        lines.writerow((effect.site, effect.branch, *changes, effect.multiply_adds, milliseconds, worth, effect.videos))
    return text.getvalue()
