"""The probability space over strategies that a trained template defines. Plain values, no torch."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import stzoo
from stzoo.errors import StrategyError
from stzoo.strategies.strategy import NONE, Site, Strategy, open_branches

Convention = Literal["paper", "linear"]

INITIAL_DROP, TEMPERATURE = 0.1, 0.2
"""Where every gate's drop probability starts, and the temperature of its relaxed Bernoulli noise.

Reference: Zhou et al. 2020 for the drop probability, the authors' code for the temperature.
"""


@dataclass(frozen=True)
class Posterior:
    """The drop probability of every branch at every site, in network order.

    Branches drop independently. A strategy is sampled site by site given that at least one branch stays open, except
    at sites named `closable` and at sites with a single branch, where `none` is a unit like the others.

    Raises `StrategyError` when a probability is not in [0, 1].

    Reference: Eq. 7 and section 3.3, Zhou et al. 2020.
    """

    backbone: str
    drop: Mapping[str, Mapping[str, float]] = field(repr=False)

    def __post_init__(self) -> None:
        for site, branches in self.drop.items():
            for branch, probability in branches.items():
                if not 0.0 <= probability <= 1.0:
                    raise StrategyError(
                        f"the drop probability of {site} {branch} is {probability}; give a value in [0, 1]"
                    )
        frozen = {site: MappingProxyType(dict(branches)) for site, branches in self.drop.items()}
        object.__setattr__(self, "drop", MappingProxyType(frozen))

    def _repr_html_(self) -> str | None:
        return stzoo.notebook_html(self)

    def marginals(self, convention: Convention = "linear", *, none: bool = False) -> dict[str, dict[str, float]]:
        """P(unit) at every site, not renormalised: what is missing to 1 is P(none), which `none` adds as a unit.

        `linear` keeps a branch with probability 1 - drop, as sampling does; `paper` with 1 - sqrt(drop), as the bars
        of the paper's Fig. 4 do.
        """
        power = {"linear": 1.0, "paper": 0.5}[convention]
        marginals = {
            site: _unit_probabilities({branch: 1.0 - drop**power for branch, drop in branches.items()})
            for site, branches in self.drop.items()
        }
        return {site: _with_none(units) for site, units in marginals.items()} if none else marginals

    def distribution(self, closable: Collection[str] = ()) -> dict[str, dict[str, float]]:
        """What is sampled from: P(unit) at every site given not-none, but with `none` where it is a unit."""
        distributions = {}
        for site, probabilities in self.marginals("linear").items():
            total = sum(probabilities.values())
            if site in closable or len(self.drop[site]) == 1:
                distributions[site] = _with_none(probabilities)
            elif total > 0.0:
                distributions[site] = {unit: value / total for unit, value in probabilities.items()}
            else:
                raise StrategyError(f"every branch of site {site} has drop probability 1; nothing can be sampled there")
        return distributions

    def sample(self, seed: int, index: int, closable: Collection[str] = ()) -> Strategy:
        """Strategy number `index` of the stream `seed`: the same whatever else was drawn before."""
        import numpy as np

        generator = np.random.Generator(np.random.Philox(key=np.array([seed, index], dtype=np.uint64)))
        units = {}
        for site, probabilities in self.distribution(closable).items():
            cumulated = np.cumsum(list(probabilities.values()))
            number = int(np.searchsorted(cumulated, generator.random() * cumulated[-1], side="right"))
            units[site] = list(probabilities)[number]
        return Strategy(self.backbone, units)

    def most_probable(self) -> Strategy:
        """The likeliest unit at every site; of equally likely ones, the one with most branches."""
        units = {}
        for site, probabilities in self.distribution().items():
            units[site] = max(probabilities, key=lambda unit: (probabilities[unit], len(open_branches(unit))))
        return Strategy(self.backbone, units)

    def log_probability(self, strategy: Strategy, closable: Collection[str] = ()) -> float:
        """Natural logarithm of the probability that `sample` draws this strategy; -inf where it never does."""
        strategy.check(self.backbone, self._sites())
        distribution = self.distribution(closable)
        probabilities = (distribution[site].get(unit, 0.0) for site, unit in strategy.units.items())
        return sum(math.log(value) if value > 0.0 else -math.inf for value in probabilities)

    def entropy(self, closable: Collection[str] = ()) -> dict[str, float]:
        """Entropy in nats of the distribution that each site is sampled from."""
        return {
            site: -sum(value * math.log(value) for value in probabilities.values() if value > 0.0)
            for site, probabilities in self.distribution(closable).items()
        }

    def __reduce__(self) -> tuple[type[Posterior], tuple[str, dict[str, dict[str, float]]]]:
        """Lets posteriors be copied and sent to other processes, which a read-only mapping alone cannot."""
        return Posterior, (self.backbone, {site: dict(branches) for site, branches in self.drop.items()})

    def to_json(self) -> dict[str, Any]:
        """`{"backbone": ..., "drop": {site: {branch: probability}}}`."""
        return {"backbone": self.backbone, "drop": {site: dict(branches) for site, branches in self.drop.items()}}

    @classmethod
    def from_json(cls, value: Any) -> Posterior:
        """Reads `to_json()`'s form. Raises `StrategyError` when the value has another shape."""
        try:
            drop = {
                str(site): {str(branch): float(probability) for branch, probability in branches.items()}
                for site, branches in value["drop"].items()
            }
            return cls(str(value["backbone"]), drop)
        except (TypeError, KeyError, ValueError, OverflowError, AttributeError) as error:
            raise StrategyError(
                f'a posterior in JSON is an object with "backbone" and "drop"; this is not: {error}'
            ) from error

    def _sites(self) -> list[Site]:
        return [Site(site, tuple(branches)) for site, branches in self.drop.items()]


def _with_none(probabilities: Mapping[str, float]) -> dict[str, float]:
    return {**probabilities, NONE: max(0.0, 1.0 - sum(probabilities.values()))}


def _unit_probabilities(keep: Mapping[str, float]) -> dict[str, float]:
    """P(unit) for independent branches: the product of keep over open and 1 - keep over closed branches."""
    probabilities = {}
    for unit in Site("", tuple(keep)).units:
        opened = open_branches(unit)
        probabilities[unit] = math.prod(value if branch in opened else 1.0 - value for branch, value in keep.items())
    return probabilities
