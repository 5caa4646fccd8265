"""What strategies cost, as a sum over sites, and the strategies of least price among those within a budget."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from stzoo.contract import InputContract
from stzoo.nets import Architecture, fixed_net
from stzoo.nets.blank import without_memory
from stzoo.nets.fusion import sites_in
from stzoo.nets.measure import Measurement, measure_parts
from stzoo.strategies.strategy import NONE, Site, Strategy

Prices = Mapping[str, Mapping[str, float]]
"""By site in network order, and by unit."""

_BINS = 256


@dataclass(frozen=True)
class Costs:
    """What every unit of every site costs besides the `rest` of a net: the space that is searched, and its price list.

    A site has the units that it is sampled with: one with a single branch may be closed, and others where that is asked
    for.
    """

    backbone: str
    rest: int
    units: Mapping[str, Mapping[str, int]] = field(repr=False)

    def of(self, strategy: Strategy) -> int:
        """What a strategy of this space costs. Raises `KeyError` for one that has other units."""
        return self.rest + sum(self.units[site][unit] for site, unit in strategy.units.items())

    def has(self, strategy: Strategy) -> bool:
        """Whether a strategy is in this space."""
        return all(unit in self.units[site] for site, unit in strategy.units.items())

    @cached_property
    def cheapest(self) -> Strategy:
        """Of equally cheap units the one that comes first."""
        return Strategy(self.backbone, {site: min(units, key=lambda u: units[u]) for site, units in self.units.items()})

    @cached_property
    def dearest(self) -> Strategy:
        """Of equally dear units the one that comes first."""
        return Strategy(self.backbone, {site: max(units, key=lambda u: units[u]) for site, units in self.units.items()})


def units_of(site: Site, closable: Collection[str] = ()) -> tuple[str, ...]:
    """The units that a site is sampled with where those named `closable` may be closed."""
    may_be_closed = site.closable and (not site.has_choice or site.name in closable)
    return (NONE, *site.units) if may_be_closed else site.units


class SizeCosts(NamedTuple):
    """Both sizes of a net as sums over sites: its parameters, and the multiply-adds of one clip."""

    parameters: Costs
    multiply_adds: Costs


def size_costs(architecture: Architecture, contract: InputContract, closable: Collection[str] = ()) -> SizeCosts:
    """Every unit measured in nets that differ from the one with everything open at one site of every part at most.

    Sites named `closable` may be closed.
    """
    clip = {"frames": contract.frames, "height": contract.crop, "width": contract.crop}
    everything = architecture.all_open
    sites = _sites_of_parts(architecture)
    whole = measure_parts(architecture, everything, **clip)
    sizes: dict[str, dict[str, Measurement]] = {site.name: {} for site in architecture.sites}
    for place in range(max(map(len, sites))):
        here = {part: found[place] for part, found in enumerate(sites) if len(found) > place}
        of = {part: units_of(site, closable) for part, site in here.items()}
        for number in range(max(map(len, of.values()))):
            units = {part: units[number] for part, units in of.items() if number < len(units)}
            changed = {here[part].name: unit for part, unit in units.items()}
            strategy = Strategy(architecture.backbone, {**everything.units, **changed})
            measured = measure_parts(architecture, strategy, **clip)
            for part, unit in units.items():
                sizes[here[part].name][unit] = measured[part]
    return SizeCosts(*(_costs(architecture, whole, sizes, name) for name in SizeCosts._fields))


def branch_shares(architecture: Architecture, contract: InputContract) -> dict[tuple[str, str], float]:
    """The part of a net's multiply-adds that closing one branch of one site saves, everything else open.

    By site and branch; 0 for the only branch of a site that cannot be closed.
    """
    sites = architecture.sites
    costs = size_costs(architecture, contract, [site.name for site in sites]).multiply_adds
    whole = costs.of(architecture.all_open)
    shares = {}
    for site in sites:
        units = costs.units[site.name]
        for branch in site.branches:
            without = "+".join(other for other in site.branches if other != branch) or NONE
            saved = units[site.units[-1]] - units.get(without, units[site.units[-1]])
            shares[site.name, branch] = saved / whole
    return shares


def _sites_of_parts(architecture: Architecture) -> list[list[Site]]:
    """The sites in every one of `Classifier.parts`."""
    by_name = {site.name: site for site in architecture.sites}
    with without_memory():
        parts = fixed_net(architecture, architecture.all_open).parts()
    return [[by_name[name] for name in sites_in(part)] for part in parts]


def _costs(
    architecture: Architecture, whole: Sequence[Measurement], sizes: Mapping[str, Mapping[str, Measurement]], name: str
) -> Costs:
    """The costs that a `Measurement` has under a name, from that of a site's part with each of its units."""
    rest = sum(getattr(part, name) for part in whole)
    units = {}
    for site, measured in sizes.items():
        counts = [getattr(size, name) for size in measured.values()]
        units[site] = {unit: count - min(counts) for unit, count in zip(measured, counts, strict=True)}
        rest -= counts[-1] - min(counts)  # the last unit is that with everything open
    return Costs(architecture.backbone, rest, units)


class _State(NamedTuple):
    """The units of the first sites; compared by price and cost, and then by when it was found."""

    price: float
    cost: int
    number: int
    unit: str
    before: _State | None


def least_within(prices: Prices, costs: Costs, budget: int, count: int = 1) -> list[Strategy]:
    """The strategies whose prices have the least sum among those that cost no more than a budget, the least first.

    Up to `count` of them, exact but for what falls into one of 256 bins of cost: in each, after every site, only that
    many with the least sum go on. None where the cheapest strategy is dearer.
    """
    numbers = itertools.count()
    least = [min(units.values()) for units in costs.units.values()]
    to_come = np.cumsum([0, *reversed(least)])[::-1][1:].tolist()
    states = [_State(0.0, costs.rest, next(numbers), "", None)]
    for (site, units), still in zip(costs.units.items(), to_come, strict=True):
        bins: dict[int, list[_State]] = {}
        for state in states:
            for unit, cost in units.items():
                total = state.cost + cost
                if total + still <= budget:
                    step = _State(state.price + prices[site][unit], total, next(numbers), unit, state)
                    bins.setdefault(total * _BINS // max(1, budget), []).append(step)
        states = [state for _, found in sorted(bins.items()) for state in heapq.nsmallest(count, found)]
    return [_strategy(state, costs) for state in heapq.nsmallest(count, states)]


def _strategy(state: _State | None, costs: Costs) -> Strategy:
    units = []
    while state is not None and state.before is not None:
        units.append(state.unit)
        state = state.before
    return Strategy(costs.backbone, dict(zip(costs.units, reversed(units), strict=True)))


def random_within(costs: Costs, budget: int, seed: int, index: int) -> Strategy:
    """Random strategy number `index` of the stream `seed` that a budget just pays for.

    Starts at the cheapest strategy and gives sites, in random order, one of the units that the budget still pays for,
    every one as likely; so it is filled, and the first sites are not favoured.

    Raises `ValueError` where the cheapest strategy is dearer.
    """
    if costs.of(costs.cheapest) > budget:
        raise ValueError(f"no strategy costs {budget} or less")
    random = np.random.Generator(np.random.Philox(key=np.array([seed, index], dtype=np.uint64)))
    units = dict(costs.cheapest.units)
    left = budget - costs.of(costs.cheapest)
    while dearer := {site: found for site in units if (found := _dearer(costs.units[site], units[site], left))}:
        site = list(dearer)[int(random.integers(len(dearer)))]
        unit = dearer[site][int(random.integers(len(dearer[site])))]
        left -= costs.units[site][unit] - costs.units[site][units[site]]
        units[site] = unit
    return Strategy(costs.backbone, units)


def _dearer(costs: Mapping[str, int], unit: str, left: int) -> list[str]:
    """The units of a site that cost more than one of them, but no more than that."""
    return [other for other, cost in costs.items() if 0 < cost - costs[unit] <= left]
