"""What each branch of a template is worth: the change of the one-shot score when that branch alone is closed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64

from stzoo import nets
from stzoo.inference import to_input
from stzoo.metrics import Mean, mean_over_sources, rank_correlation
from stzoo.nets import Architecture, merge
from stzoo.nets.classifier import Classifier
from stzoo.nets.measure import measure
from stzoo.space.one_shot import Answers, SelectionClips, pruned
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import NONE, Site, Strategy, open_branches

BLOCK = 64
"""Videos that are scored between two looks at the standard error."""

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
    def rank_correlation(self) -> float:
        """Spearman's, of predicted and measured."""
        return rank_correlation(np.array(self.predicted), np.array(self.measured))


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
    template: Classifier,
    data: SelectionClips,
    sources: Sequence[str],
    *,
    enough: float = 0.0,
    seed: int = 0,
    latency: bool = False,
    known: Sequence[Effect] = (),
    advance: Callable[[Effect], None] = lambda effect: None,
) -> Effects:
    """Closes one branch after the other and scores the nets, their batch norm re-estimated, on the same videos.

    Args:
        template: is left as it was.
        data: the clips that nets are compared on.
        sources: the source of every video of `data`; clips of one recording are right or wrong together.
        enough: a standard error of the change of cross-entropy in nats at which a branch needs no more videos; 0 takes
            all videos. The first of them are drawn by `seed`, 64 at a time, and at least 128.
        seed: of the order of videos.
        latency: also time the nets, merged, on one clip in turn, on the selection's device.
        known: effects that were measured before, which are not measured again.
        advance: is told every effect, also the known ones.
    """
    architecture = nets.architecture(template)
    order = np.random.default_rng(seed).permutation(len(data.clips))
    clip = {"frames": data.contract.frames, "height": data.contract.crop, "width": data.contract.crop}
    everything = pruned(template, architecture.all_open, data)
    reached = data.answers(everything)
    multiply_adds = measure(architecture, architecture.all_open, **clip).multiply_adds
    effects_by_branch = {(effect.site, effect.branch): effect for effect in known}
    for site, branch, strategy in closings(architecture):
        if (site.name, branch) not in effects_by_branch:
            net = pruned(template, strategy, data)
            rows, answers = _enough_answers(net, data, order, reached, sources, enough)
            losses = answers.losses - reached.losses[rows]
            right = reached.right[rows].astype(np.float64) - answers.right
            effects_by_branch[site.name, branch] = Effect(
                site.name,
                branch,
                mean_over_sources(losses, [sources[row] for row in rows]),
                mean_over_sources(right, [sources[row] for row in rows]),
                multiply_adds - measure(architecture, strategy, **clip).multiply_adds,
                _milliseconds(everything, net, data) if latency else None,
                len(rows),
                _by_class(losses, data.labels[rows], architecture.classes),
            )
        advance(effects_by_branch[site.name, branch])
    return Effects(
        architecture,
        float(reached.losses.mean()),
        float(reached.right.mean()),
        multiply_adds,
        tuple(effects_by_branch[site.name, branch] for site, branch, _ in closings(architecture)),
    )


def check_sum(
    template: Classifier,
    data: SelectionClips,
    effects: Effects,
    strategies: int,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Trust:
    """Compares the sum of effects with the one-shot cross-entropy of fresh strategies, drawn over the whole space.

    Every unit of a site is as likely as any other.
    """
    sites = effects.architecture.sites
    even = Posterior(effects.architecture.backbone, {site.name: dict.fromkeys(site.branches, 0.5) for site in sites})
    drawn = tuple(even.sample(seed, index) for index in range(strategies))
    measured = []
    for strategy in drawn:
        measured.append(float(data.answers(pruned(template, strategy, data)).losses.mean()))
        advance()
    return Trust(drawn, tuple(map(effects.predicted, drawn)), tuple(measured))


def _enough_answers(
    net: Classifier,
    data: SelectionClips,
    order: Int64[np.ndarray, " all"],
    reached: Answers,
    sources: Sequence[str],
    enough: float,
) -> tuple[Int64[np.ndarray, " videos"], Answers]:
    """The rows of the videos that a net needs, and what it says of them."""
    answers = Answers(np.zeros(0, np.float32), np.zeros(0, np.bool_))
    for end in range(BLOCK, len(order) + BLOCK, BLOCK):
        block = data.answers(net, order[end - BLOCK : end])
        answers = Answers(*(np.concatenate(parts) for parts in zip(answers, block, strict=True)))
        rows = order[: len(answers.losses)]
        change = mean_over_sources(answers.losses - reached.losses[rows], [sources[row] for row in rows])
        if len(rows) >= 2 * BLOCK and change.error <= enough:
            break
    return order[: len(answers.losses)], answers


def _by_class(
    losses: Float64[np.ndarray, " videos"], labels: Int64[np.ndarray, " videos"], classes: int
) -> tuple[float | None, ...]:
    counts, sums = (np.bincount(labels, weights, minlength=classes) for weights in (None, losses))
    return tuple(float(total / count) if count else None for total, count in zip(sums, counts, strict=True))


def _milliseconds(everything: Classifier, closed: Classifier, data: SelectionClips) -> float:
    """How much longer one clip takes in a net than in another, each at its fastest of several runs that take turns."""
    clip = to_input(torch.from_numpy(np.array(data.clips[:1, 0])).to(data.device), data.contract)
    fastest = [math.inf, math.inf]
    with torch.inference_mode():
        runs = [merge(net) for net in (everything, closed)]
        for _ in range(_TIMED_RUNS):
            for place, net in enumerate(runs):
                began = time.perf_counter()
                net(clip).cpu()
                fastest[place] = min(fastest[place], time.perf_counter() - began)
    return round(1000 * (fastest[0] - fastest[1]), 4)
