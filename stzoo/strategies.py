"""Strategies by name: what `--strategy` and a recipe's `[fixed]` table accept, for any backbone's sites."""

from __future__ import annotations

import os
from collections.abc import Sequence

from stzoo.errors import StrategyError, did_you_mean
from stzoo.published import PUBLISHED, published
from stzoo.strategy import Site, Strategy

UNIFORM = {
    "s": "S",
    "st": "ST",
    "sst": "S+ST",
    "t": "T",
    "s+t": "S+T",
    "t+st": "T+ST",
    "s+t+st": "S+T+ST",
}
"""The names of the uniform strategies; those with a T exist where a backbone has T branches."""


def uniform_names(sites: Sequence[Site]) -> dict[str, str]:
    """Those of the uniform strategies' names whose unit one of the sites has, with the unit."""
    offered = {unit for site in sites for unit in site.units}
    return {name: unit for name, unit in UNIFORM.items() if unit in offered}


def named(text: str, backbone: str, sites: Sequence[Site]) -> Strategy:
    """The strategy that `text` names: one of `UNIFORM`, `published:<data>`, or the path of a strategy file.

    Its sites are in network order, whatever order a file has.

    Raises `StrategyError` when there is no such strategy, or when it does not fit the backbone.
    """
    kind, colon, rest = text.partition(":")
    if text in UNIFORM:
        strategy = Strategy.uniform(backbone, sites, UNIFORM[text])
    elif colon and kind == "published":
        strategy = published(rest).strategy
    elif os.path.isfile(text):
        strategy = Strategy.read(text)
    else:
        known = [*uniform_names(sites), *(f"published:{name}" for name in PUBLISHED)]
        raise StrategyError(
            f'no strategy is called "{text}" and no file has that path.{did_you_mean(text, known)} '
            f"Give a strategy file or one of {', '.join(known)}."
        )
    strategy.check(backbone, sites)
    return Strategy(backbone, {site.name: strategy.units[site.name] for site in sites})
