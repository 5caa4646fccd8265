"""The five posteriors and best strategies that the paper publishes, read off its vector figures to about 2e-4.

They belong to DenseNet121-3D with 61 sites. Reference: Fig. 4 and supplementary Figs. 2-6, Zhou et al. 2020.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from stzoo.errors import StrategyError, did_you_mean
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy

PUBLISHED = ("sthv1", "sthv2", "ucf101", "k400", "sthv1-lowtemporal")


@dataclass(frozen=True)
class Published:
    """One panel of the figures: `bars` are the printed heights, site -> unit -> value, in the paper's convention."""

    name: str
    source: str
    posterior: Posterior
    strategy: Strategy
    bars: dict[str, dict[str, float]]


def published(name: str) -> Published:
    """Reads one of `PUBLISHED`. Raises `StrategyError` for any other name."""
    if name not in PUBLISHED:
        raise StrategyError(
            f'no published strategy is called "{name}".{did_you_mean(name, PUBLISHED)} '
            f"Known are {', '.join(PUBLISHED)}."
        )
    value: dict[str, Any] = json.loads((resources.files(__name__) / f"{name}.json").read_text(encoding="utf-8"))
    return Published(
        name=name,
        source=value["source"],
        posterior=Posterior.from_json(value["posterior"]),
        strategy=Strategy.from_text(value["strategy"]),
        bars=value["bars"],
    )
