"""A strategy: which branches are open at each site of a backbone. Plain values, no torch."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import stzoo
from stzoo.errors import StrategyError, did_you_mean, listed

NONE = "none"

BRANCHES = ("S", "ST")
"""The branches of the paper's experiments, whose units are S, ST and S+ST."""

ALL_BRANCHES = ("S", "T", "ST")
"""Those of the paper's whole set of units: S, T, ST, S+T, S+ST, T+ST and S+T+ST. Reference: section 3.1."""

TIMM_PREFIX = "timm:"
"""What the name of a backbone begins with that is a net of timm."""

_BACKBONE = re.compile(rf"({TIMM_PREFIX})?[\w-]+")
_NUMBERED = re.compile(r"(|.*\D)(\d{1,5})", re.ASCII)
_LARGEST_NUMBER = 99_999
_UNIT = re.compile(r"^[A-Za-z]+(\+[A-Za-z]+)*$")


@dataclass(frozen=True)
class Site:
    """One place of a backbone where a unit is chosen.

    `branches` are the parallel paths in a fixed order; `closable` says whether all of them may be dropped at once
    (never at a transition, which carries the whole feature map). `stage` counts, from 1, the parts of a backbone that
    work at one spatial resolution; a transition belongs to the stage that it ends.
    """

    name: str
    branches: tuple[str, ...] = BRANCHES
    closable: bool = True
    stage: int = 1

    @property
    def has_choice(self) -> bool:
        """Whether the site offers more than one unit. Patterns over a backbone count only such sites."""
        return len(self.branches) > 1

    def nearest(self, unit: str) -> str:
        """The branches of `unit` that this site has, ST for a T that it lacks, or all of its branches."""
        wanted = set(open_branches(unit))
        if "T" in wanted and "T" not in self.branches:
            wanted.add("ST")
        return "+".join([branch for branch in self.branches if branch in wanted] or self.branches)

    @property
    def units(self) -> tuple[str, ...]:
        """Every non-empty set of open branches, fewest first: S, ST, S+ST."""
        sizes = range(1, len(self.branches) + 1)
        return tuple("+".join(branches) for size in sizes for branches in itertools.combinations(self.branches, size))


def open_branches(unit: str) -> tuple[str, ...]:
    """The branches of a unit: `S+ST` gives S and ST, `none` gives nothing."""
    return () if unit == NONE else tuple(unit.split("+"))


@dataclass(frozen=True, eq=False)
class Strategy:
    """A unit for every site of one backbone, in network order.

    Raises `StrategyError` when a name or unit is malformed. Whether the strategy fits a backbone is `check`'s business.
    """

    backbone: str
    units: Mapping[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        if not _BACKBONE.fullmatch(self.backbone):
            raise StrategyError(f"a strategy's backbone is {self.backbone!r}; use letters, digits, '_' and '-'")
        for site, unit in self.units.items():
            if not re.fullmatch(r"[\w.-]+", site) or ".." in site:
                raise StrategyError(
                    f"a strategy names the site {site!r}; use letters, digits, '_', '-' and single dots"
                )
            if not _UNIT.fullmatch(unit):
                raise StrategyError(
                    f"site {site} has the unit {unit!r}; a unit is S, T, ST, several of them such as S+ST, or {NONE}"
                )
        object.__setattr__(self, "units", MappingProxyType(dict(self.units)))

    @classmethod
    def uniform(cls, backbone: str, sites: Iterable[Site], unit: str) -> Strategy:
        """The same unit everywhere. A site that has none of the unit's branches stays fully open.

        Where a site has ST and no T, its ST stands for the unit's T: without a 1x3x3 behind them they are the same.

        Raises `StrategyError` for a unit that no site offers.
        """
        sites = tuple(sites)
        _check_offered(backbone, sites, [unit])
        return cls(backbone, {site.name: site.nearest(unit) for site in sites})

    @classmethod
    def in_order(cls, backbone: str, sites: Sequence[Site], units: Sequence[str]) -> Strategy:
        """The given units, in network order, at the sites that have a choice; every other site stays fully open.

        Raises `StrategyError` unless there are as many units as such sites, and for a unit that no site offers.
        """
        choices = [site for site in sites if site.has_choice]
        if len(units) != len(choices):
            raise StrategyError(f"{backbone} has {len(choices)} sites with a choice and {len(units)} units are given")
        _check_offered(backbone, sites, units)
        units_of = {site.name: site.nearest(unit) for site, unit in zip(choices, units, strict=True)}
        return cls(backbone, {site.name: units_of.get(site.name, "+".join(site.branches)) for site in sites})

    def _repr_html_(self) -> str | None:
        return stzoo.notebook_html(self)

    def text(self) -> str:
        """One line such as `densenet121: B1.L1..5=S+ST B1.L6=ST T1=S`; runs of numbered sites are joined by `..`."""
        words = []
        for unit, names in _runs(self.units):
            numbers = f"..{_NUMBERED.fullmatch(names[-1])[2]}" if len(names) > 1 else ""  # type: ignore[index]
            words.append(f"{names[0]}{numbers}={unit}")
        return f"{self.backbone}: {' '.join(words)}"

    @classmethod
    def from_text(cls, text: str) -> Strategy:
        """Reads `text()`'s form. Raises `StrategyError` naming the word that cannot be read."""
        text = text.strip()
        source = TIMM_PREFIX if text.startswith(TIMM_PREFIX) else ""
        backbone, colon, rest = text.removeprefix(source).partition(":")
        if not colon:
            raise StrategyError(f"the strategy {text[:60]!r} does not begin with a backbone's name and a colon")
        units: dict[str, str] = {}
        for word in rest.split():
            names, equals, unit = word.partition("=")
            if not equals:
                raise StrategyError(f"the strategy has the word {word!r}; write SITE=UNIT or FIRST..LAST=UNIT")
            for name in _expand(names, word):
                if name in units:
                    raise StrategyError(f"the strategy names the site {name} twice; give every site one unit")
                units[name] = unit
        return cls(source + backbone.strip(), units)

    def to_json(self) -> dict[str, Any]:
        """`{"backbone": ..., "units": {site: unit}}`, sites in network order."""
        return {"backbone": self.backbone, "units": dict(self.units)}

    @classmethod
    def from_json(cls, value: Any) -> Strategy:
        """Reads `to_json()`'s form. Raises `StrategyError` when the value has another shape."""
        if not isinstance(value, dict) or set(value) != {"backbone", "units"} or not isinstance(value["units"], dict):
            raise StrategyError('a strategy in JSON is an object with "backbone" and "units"; this value is not')
        words = [value["backbone"], *value["units"], *value["units"].values()]
        if not all(isinstance(word, str) for word in words):
            raise StrategyError("a strategy in JSON has a name or unit that is not a string; write S, ST or S+ST")
        return cls(value["backbone"], value["units"])

    @classmethod
    def read(cls, path: Path | str) -> Strategy:
        """Reads a strategy file: JSON if it begins with a brace, else the text form."""
        try:
            text = Path(path).read_text(encoding="utf-8")
            return cls.from_json(json.loads(text)) if text.lstrip().startswith("{") else cls.from_text(text)
        except (OSError, ValueError, RecursionError) as error:
            raise StrategyError(f"the strategy file {path} cannot be read: {error}") from error
        except StrategyError as error:
            raise StrategyError(f"{path}: {error}") from error

    @property
    def digest(self) -> str:
        """SHA-256 of the text form, in hexadecimal."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def __reduce__(self) -> tuple[type[Strategy], tuple[str, dict[str, str]]]:
        """Lets strategies be copied and sent to other processes, which a read-only mapping alone cannot."""
        return Strategy, (self.backbone, dict(self.units))

    def counts(self) -> dict[str, int]:
        """How many sites have each unit, most frequent first."""
        units = list(self.units.values())
        return {unit: units.count(unit) for unit in sorted(set(units), key=lambda unit: (-units.count(unit), unit))}

    def check(self, backbone: str, sites: Sequence[Site]) -> None:
        """Raises `StrategyError` unless this strategy gives every site of the backbone a unit that the site offers."""
        if self.backbone != backbone:
            raise StrategyError(
                f"the strategy is for {self.backbone}, not for {backbone}; choose one made for {backbone}"
            )
        known = {site.name: site for site in sites}
        problems = []
        missing = [name for name in known if name not in self.units]
        if missing:
            problems.append(f"it lacks the {_sites(missing)}")
        for name in (name for name in self.units if name in known):
            allowed = (*known[name].units, *([NONE] if known[name].closable else []))
            if self.units[name] not in allowed:
                problems.append(f"site {name} cannot have the unit {self.units[name]}, only {', '.join(allowed)}")
        if unknown := [name for name in self.units if name not in known]:
            hint = did_you_mean(unknown[0], missing or known)
            problems.append(f"it names the unknown {_sites(unknown)}{hint and f'.{hint}'}")
        if problems:
            raise StrategyError(f"the strategy does not fit {backbone}: {'; '.join(problems)}")

    def require_sites(self) -> None:
        """Raises `StrategyError` for a backbone without sites, where nothing can be chosen."""
        if not self.units:
            raise StrategyError(
                f"{self.backbone} has no sites, the places where S, ST or both are chosen, and so no strategy and no "
                "marginals"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Strategy) and self.text() == other.text()

    def __hash__(self) -> int:
        return hash(self.text())

    def __str__(self) -> str:
        return self.text()


def _check_offered(backbone: str, sites: Sequence[Site], units: Iterable[str]) -> None:
    offered = dict.fromkeys(known for site in sites for known in site.units)
    for unit in units:
        if unit not in offered:
            raise StrategyError(f"no site of {backbone} offers the unit {unit!r}; choose one of {', '.join(offered)}")


def _runs(units: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Groups neighbouring sites that share unit and prefix and whose numbers count up by one."""
    run: list[str] = []
    for name in units:
        if run and units[name] == units[run[-1]] and name == _successor(run[-1]):
            run.append(name)
            continue
        if run:
            yield units[run[0]], run
        run = [name]
    if run:
        yield units[run[0]], run


def _successor(name: str) -> str | None:
    match = _NUMBERED.fullmatch(name)
    return f"{match[1]}{int(match[2]) + 1}" if match and int(match[2]) < _LARGEST_NUMBER else None


def _expand(names: str, word: str) -> list[str]:
    first, dots, last = names.partition("..")
    if not dots:
        return [first]
    match = _NUMBERED.fullmatch(first)
    if match is None or not re.fullmatch(r"[0-9]{1,5}", last) or not int(match[2]) < int(last):
        raise StrategyError(
            f"the strategy has the range {word[:60]!r}; "
            f"write FIRST..LAST with rising numbers of at most {_LARGEST_NUMBER}"
        )
    return [first, *(f"{match[1]}{number}" for number in range(int(match[2]) + 1, int(last) + 1))]


def _sites(names: Sequence[str]) -> str:
    return f"site{'s' if len(names) > 1 else ''} {listed(names, most=6)}"
