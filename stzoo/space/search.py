"""The best strategy within a budget: proposed by the effects of single units, judged in races, changed step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stzoo.space.costs import Costs, Prices, least_within
from stzoo.space.judge import Judge
from stzoo.space.race import race, stops
from stzoo.strategies.strategy import Strategy

PROPOSED = 24
"""Strategies that effects propose for a race."""

RACES = 4
"""Races for a budget at most."""


@dataclass(frozen=True)
class Found:
    """The strategy of least cross-entropy on the selection split, of all within a budget that have seen all of it."""

    strategy: Strategy
    cross_entropy: float
    races: int


def changes(costs: Costs, around: Strategy) -> dict[tuple[str, str], Strategy]:
    """The strategies that differ from one in the unit of a single site, by site and unit."""
    return {
        (site, unit): Strategy(costs.backbone, {**around.units, site: unit})
        for site, units in costs.units.items()
        for unit in units
        if unit != around.units[site]
    }


def effects_around(judge: Judge, costs: Costs, around: Strategy, videos: int) -> Prices:
    """What each unit of each site adds to a strategy's cross-entropy in nats, everything else as it is.

    Measured on the judge's first `videos`; nothing for the units that the strategy has.
    """
    near = changes(costs, around)
    judge.ask([around, *near.values()], videos)
    loss = judge.loss(around, videos)
    effects = {site: dict.fromkeys(units, 0.0) for site, units in costs.units.items()}
    for (site, unit), strategy in near.items():
        effects[site][unit] = judge.loss(strategy, videos) - loss
    return effects


def search(
    judge: Judge,
    costs: Costs,
    budget: int,
    *,
    rivals: Iterable[Strategy] = (),
    after: Callable[[], None] = lambda: None,
) -> Found:
    """The best strategy within a budget that proposals and local changes lead to; the same for the same answers.

    First the effects of single units in the dearest strategy, which sum up well over the whole space, propose those
    with the least sum within the budget, and these race with the `rivals`. Then the effects around the best so far
    propose others, until a race changes nothing. Where a budget pays for the cheapest alone, nothing is searched.
    `after` is called at every rung. The judge keeps what was asked, so a search that is stopped goes on, and several
    budgets share what they have in common.

    Raises `ValueError` where the cheapest strategy is dearer than the budget.
    """
    if costs.of(costs.cheapest) > budget:
        raise ValueError(f"no strategy costs {budget} or less")
    if all(costs.of(other) > budget for other in changes(costs, costs.cheapest).values()):
        judge.ask([costs.cheapest])
        return Found(costs.cheapest, judge.loss(costs.cheapest), 0)
    few, more, _ = stops(judge.videos)
    effects = effects_around(judge, costs, costs.dearest, more)
    pool = [*least_within(effects, costs, budget, PROPOSED), *(one for one in rivals if costs.of(one) <= budget)]
    best = race(judge, list(dict.fromkeys(pool)), after)[0]
    races = 1
    while races < RACES:
        effects = effects_around(judge, costs, best, few)
        pool = [one for one in least_within(effects, costs, budget, PROPOSED) if one != best]
        if not pool:
            break
        races += 1
        first = race(judge, pool, after)[0]
        if judge.loss(first) >= judge.loss(best):
            break
        best = first
    return Found(best, judge.loss(best), races)
