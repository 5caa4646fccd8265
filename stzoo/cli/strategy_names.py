"""What `stzoo show` and `stzoo diff` mean by a strategy's name. torch is imported for the sites of a backbone alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

from stzoo.errors import ModelNotFoundError, StrategyError, UsageError, did_you_mean
from stzoo.strategies.names import UNIFORM, named
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import ALL_BRANCHES, BRANCHES, Strategy, open_branches

PUBLISHED = "published:"


def by_name(
    text: str, backbone: str, options: Mapping[str, Any] | None = None, posterior: Posterior | None = None
) -> Strategy:
    """A strategy of a backbone, as `stzoo.strategies.names.named` takes it.

    Published strategies, and uniform ones of the backbone that they belong to, are read from the package's data, in
    which every site of that backbone stands: no network is described, so torch is not imported. `options` that change
    the sites need the network.
    """
    from stzoo.strategies.published import published

    unit = UNIFORM.get(text)
    is_there = text.startswith(PUBLISHED) or (unit is not None and set(open_branches(unit)) <= set(BRANCHES))
    if is_there and not {*(options or ())} & {"branches", "tail_sites"}:
        known = published(text.removeprefix(PUBLISHED) if unit is None else "sthv1").strategy
        if known.backbone == backbone:
            return known if unit is None else Strategy(backbone, dict.fromkeys(known.units, unit))
    from stzoo.nets import Architecture

    return named(text, backbone, Architecture(backbone, classes=1, options=dict(options or {})).sites, posterior)


def branch_options(branches: str) -> dict[str, Any]:
    """What `--branches S,T,ST` says to a backbone: nothing where these are the branches that it has anyway."""
    names = tuple(branches.split(","))
    return {} if names == BRANCHES else {"branches": names}


@contextmanager
def naming_branches(text: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Adds to the error about a strategy with T units that `--branches` gives a backbone such units."""
    try:
        yield
    except StrategyError as error:
        if "T" in open_branches(UNIFORM.get(text, "")) and "branches" not in options:
            raise StrategyError(f"{error}; T units need --branches {','.join(ALL_BRANCHES)}") from error
        raise


def pair(first: str, second: str) -> tuple[Strategy, Strategy]:
    """The strategies that two words of a command line mean.

    A word is a model as `stzoo.load` takes it, also one that nobody has trained, the file of a strategy,
    `published:sthv1` and the like; or, one of the two, the name of a strategy for the other's backbone.

    Raises `ModelNotFoundError` for what is none of these, `UsageError` when neither says which backbone it is for.
    """
    words = (first, second)
    bound = [bound_strategy(word) for word in words]
    known = next((strategy for strategy in bound if strategy is not None), None)
    if known is None:
        raise UsageError(
            f'neither "{first}" nor "{second}" is a model or a strategy of a known backbone; name a model, '
            "as `stzoo list` shows them, for one of the two"
        )
    one, other = (
        strategy.strategy if strategy is not None else _of_the_other(word, known)
        for word, strategy in zip(words, bound, strict=True)
    )
    return one, other


class BoundStrategy(NamedTuple):
    """A strategy and the options of the backbone that it is for, with the posterior that it comes from, if any."""

    strategy: Strategy
    options: Mapping[str, Any] = MappingProxyType({})
    posterior: Posterior | None = None


def bound_strategy(word: str) -> BoundStrategy | None:
    """The strategy of a model, a file or a publication, which says its backbone; None for what may be a mere name."""
    from stzoo import bundle as bundles
    from stzoo import card as cards
    from stzoo.strategies.published import published
    from stzoo.zoo import torchvision
    from stzoo.zoo.reference import find

    if (foreign := torchvision.named(word)) is not None:
        foreign.config.strategy.require_sites()
    if word.startswith(PUBLISHED):
        panel = published(word.removeprefix(PUBLISHED))
        return BoundStrategy(panel.strategy, posterior=panel.posterior)
    if os.path.isfile(word):
        return BoundStrategy(Strategy.read(word))
    card = cards.named(word) if word in cards.names() else None
    if card is not None and card.net is not None and card.weights == "none":
        return BoundStrategy(by_name(card.net.strategy, card.backbone, card.net.options), card.net.options)
    if card is None and "/" not in word and not os.path.isdir(word):
        return None
    bundle = bundles.read(find(word).folder)
    bundle.strategy.require_sites()
    return BoundStrategy(bundle.strategy, bundle.config.backbone.options, bundle.posterior)


def _of_the_other(word: str, other: BoundStrategy) -> Strategy:
    from stzoo import card as cards

    try:
        return by_name(word, other.strategy.backbone, other.options, other.posterior)
    except StrategyError as error:
        if meant := did_you_mean(word, cards.names()):
            raise ModelNotFoundError(f'no model and no strategy is called "{word}".{meant}') from error
        raise
