"""What each branch of a template is worth: the change of the one-shot score when that branch alone is closed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float64, Int64

from stzoo import nets
from stzoo.inference import to_input
from stzoo.metrics import Mean, mean_over_sources, rank_correlation
from stzoo.nets import Architecture, merge
from stzoo.space.costs import Costs, size_costs
from stzoo.space.judge import Judge
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import NONE, Site, Strategy, open_branches

BLOCK = 64
"""Videos that are asked about between two looks at the standard error."""

TOGETHER = 16
"""Nets that are judged together. They share most of what more would share, and their effects are known sooner."""

_TIMED_RUNS = 20


@dataclass(frozen=True)
class Effect:
    """What closing one branch of one site does, everything else open; positive numbers speak for the branch.

    `cross_entropy` in nats and `accuracy` as a share are means over `videos`, with standard errors over sources.
    `classes` are the changes of cross-entropy of each class; None for a class without a video. `multiply_adds` and
    `milliseconds` are what the branch costs a clip; milliseconds are None where they were not measured.
    """

    site: str
    branch: str
    cross_entropy: Mean
    accuracy: Mean
    multiply_adds: int
    milliseconds: float | None
    videos: int
    classes: tuple[float | None, ...]

    @property
    def worth(self) -> float | None:
        """Nats for a million multiply-adds; None for a branch that costs none."""
        return 1e6 * self.cross_entropy.value / self.multiply_adds if self.multiply_adds else None


@dataclass(frozen=True)
class Effects:
    """The effects of a template's branches, and what it reaches with all of them open."""

    architecture: Architecture
    cross_entropy: float
    accuracy: float
    multiply_adds: int
    effects: tuple[Effect, ...]

    @property
    def has_errors(self) -> bool:
        """Whether there are standard errors; videos of a single source give none."""
        return all(
            mean.known_error is not None for effect in self.effects for mean in (effect.cross_entropy, effect.accuracy)
        )

    def predicted(self, strategy: Strategy) -> float:
        """The one-shot cross-entropy of a strategy if effects simply add up."""
        return self.cross_entropy + sum(
            effect.cross_entropy.value
            for effect in self.effects
            if effect.branch not in open_branches(strategy.units[effect.site])
        )


@dataclass(frozen=True)
class Trust:
    """How far the sum of effects can be trusted: predicted and measured one-shot cross-entropies of some strategies."""

    strategies: tuple[Strategy, ...]
    predicted: tuple[float, ...]
    measured: tuple[float, ...]

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's, of predicted and measured; None where all of either are equal."""
        correlation = rank_correlation(np.array(self.predicted), np.array(self.measured))
        return None if math.isnan(correlation) else correlation


def closings(architecture: Architecture) -> Iterator[tuple[Site, str, Strategy]]:
    """Every branch that can be closed alone, with its site, and the strategy that closes it and no other."""
    everything = architecture.all_open
    for site in architecture.sites:
        for branch in site.branches:
            others = [other for other in site.branches if other != branch]
            if others or site.closable:
                unit = "+".join(others) or NONE
                yield site, branch, Strategy(architecture.backbone, {**everything.units, site.name: unit})


def measure_effects(
    judge: Judge,
    sources: Sequence[str],
    *,
    enough: float = 0.0,
    latency: bool = False,
    known: Sequence[Effect] = (),
    advance: Callable[[Effect], None] = lambda effect: None,
) -> Effects:
    """Closes one branch after the other and has the nets judged, their batch norm re-estimated, on the same videos.

    Args:
        judge: whose template is left as it was.
        sources: the source of every video of the judge's; clips of one recording are right or wrong together.
        enough: a standard error of the change of cross-entropy in nats at which a branch needs no more videos; 0 takes
            all videos. The first of them come in the judge's order, 64 at a time, and at least 128.
        latency: also time the nets, merged, on one clip in turn, on the judge's device.
        known: effects that were measured before, which are not measured again.
        advance: is told every effect, the known ones first.
    """
    subject = _Subject(judge, sources, latency)
    architecture, everything = subject.architecture, subject.everything
    effects_by_branch = {(effect.site, effect.branch): effect for effect in known}
    for effect in known:
        advance(effect)
    missing = {
        strategy: (site.name, branch)
        for site, branch, strategy in closings(architecture)
        if (site.name, branch) not in effects_by_branch
    }
    strategies = list(missing)
    step = BLOCK if enough > 0 else judge.videos
    for place in range(0, len(strategies), TOGETHER):
        left = strategies[place : place + TOGETHER]
        for videos in range(step, judge.videos + step, step):
            judge.ask([everything, *left], videos)
            settled = [strategy for strategy in left if subject.is_settled(strategy, enough)]
            for strategy in settled:
                branch = missing[strategy]
                effects_by_branch[branch] = subject.effect(*branch, strategy)
                advance(effects_by_branch[branch])
            left = [strategy for strategy in left if strategy not in settled]
    judge.ask([everything])
    reached = judge.answers(everything)
    return Effects(
        architecture,
        float(reached.losses.mean()),
        float(reached.right.mean()),
        subject.costs.of(everything),
        tuple(effects_by_branch[site.name, branch] for site, branch, _ in closings(architecture)),
    )


def draw_evenly(architecture: Architecture, strategies: int, seed: int = 0) -> tuple[Strategy, ...]:
    """Strategies from all over the space: every unit of a site is as likely as any other."""
    drops = {site.name: dict.fromkeys(site.branches, 0.5) for site in architecture.sites}
    even = Posterior(architecture.backbone, drops)
    return tuple(even.sample(seed, index) for index in range(strategies))


def check_sum(judge: Judge, effects: Effects, strategies: int, seed: int = 0) -> Trust:
    """Compares the sum of effects with the one-shot cross-entropy of so many strategies that are drawn evenly."""
    drawn = draw_evenly(effects.architecture, strategies, seed)
    judge.ask(drawn)
    return Trust(drawn, tuple(map(effects.predicted, drawn)), tuple(map(judge.loss, drawn)))


@dataclass(frozen=True, eq=False)
class _Subject:
    """A template whose nets with one branch closed are judged beside the one with all open."""

    judge: Judge
    sources: Sequence[str]
    latency: bool

    @cached_property
    def architecture(self) -> Architecture:
        return nets.architecture(self.judge.template)

    @cached_property
    def everything(self) -> Strategy:
        return self.architecture.all_open

    @cached_property
    def costs(self) -> Costs:
        """Multiply-adds, also of nets with closed sites."""
        sites = [site.name for site in self.architecture.sites]
        return size_costs(self.architecture, self.judge.data.contract, sites).multiply_adds

    def is_settled(self, strategy: Strategy, enough: float) -> bool:
        """Whether a net needs no more videos."""
        seen = self.judge.seen(strategy)
        if seen == self.judge.videos or seen < 2 * BLOCK:
            return seen == self.judge.videos
        return mean_over_sources(self._losses(strategy), self._sources(seen)).error <= enough

    def effect(self, site: str, branch: str, strategy: Strategy) -> Effect:
        """That of a branch, on the videos that the net without it was asked about."""
        losses, seen = self._losses(strategy), self.judge.seen(strategy)
        before, after = self.judge.answers(self.everything, seen).right, self.judge.answers(strategy).right
        labels = self.judge.data.labels[self.judge.order[:seen]]
        return Effect(
            site,
            branch,
            mean_over_sources(losses, self._sources(seen)),
            mean_over_sources(before.astype(np.float64) - after, self._sources(seen)),
            self.costs.of(self.everything) - self.costs.of(strategy),
            _milliseconds(self.judge, self.everything, strategy) if self.latency else None,
            seen,
            _by_class(losses, labels, self.architecture.classes),
        )

    def _losses(self, strategy: Strategy) -> Float64[np.ndarray, " videos"]:
        """How much higher a net's are than with all branches open, on each video that it was asked about."""
        everything = self.judge.answers(self.everything, self.judge.seen(strategy))
        return self.judge.answers(strategy).losses - everything.losses

    def _sources(self, seen: int) -> list[str]:
        return [self.sources[row] for row in self.judge.order[:seen]]


def _by_class(
    losses: Float64[np.ndarray, " videos"], labels: Int64[np.ndarray, " videos"], classes: int
) -> tuple[float | None, ...]:
    counts, sums = (np.bincount(labels, weights, minlength=classes) for weights in (None, losses))
    return tuple(float(total / count) if count else None for total, count in zip(sums, counts, strict=True))


def _milliseconds(judge: Judge, everything: Strategy, closed: Strategy) -> float:
    """How much longer one clip takes in a net than in another, each at its fastest of several runs that take turns."""
    data = judge.data
    clip = to_input(torch.from_numpy(np.array(data.clips[:1, 0])).to(data.device), data.contract)
    fastest = [math.inf, math.inf]
    with torch.inference_mode():
        runs = [merge(nets.prune(judge.template, strategy).eval()) for strategy in (everything, closed)]
        for _ in range(_TIMED_RUNS):
            for place, net in enumerate(runs):
                began = time.perf_counter()
                net(clip).cpu()
                fastest[place] = min(fastest[place], time.perf_counter() - began)
    return round(1000 * (fastest[0] - fastest[1]), 4)
