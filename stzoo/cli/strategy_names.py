"""What `stzoo show` and `stzoo diff` mean by a strategy's name. torch is imported for the sites of a backbone alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

from stzoo.errors import ModelNotFoundError, StrategyError, UsageError, did_you_mean
from stzoo.strategies.names import UNIFORM, named
from stzoo.strategies.strategy import ALL_BRANCHES, BRANCHES, Strategy, open_branches

PUBLISHED = "published:"


def by_name(text: str, backbone: str, options: Mapping[str, Any] | None = None) -> Strategy:
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

    return named(text, backbone, Architecture(backbone, classes=1, options=dict(options or {})).sites)


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
    """The strategies of two references.

    A reference is a model as `stzoo.load` takes it, also one that nobody has trained, the file of a strategy,
    `published:sthv1` and the like; or, of one of the two, the name of a strategy for the other's backbone.

    Raises `ModelNotFoundError` for what is none of these, `UsageError` when neither says which backbone it is for.
    """
    found = [own(first), own(second)]
    known = next((reference for reference in found if reference is not None), None)
    if known is None:
        raise UsageError(
            f'neither "{first}" nor "{second}" is a model or a strategy of a known backbone; name a model, '
            "as `stzoo list` shows them, for one of the two"
        )
    one, other = (
        reference.strategy if reference is not None else _of_the_other(text, known)
        for text, reference in zip((first, second), found, strict=True)
    )
    return one, other


class Own(NamedTuple):
    """A strategy and the options of the backbone that it is for."""

    strategy: Strategy
    options: Mapping[str, Any] = MappingProxyType({})


def own(text: str) -> Own | None:
    """The strategy of a reference that says its backbone itself; None where it may be a strategy's name."""
    from stzoo import bundle as bundles
    from stzoo import card as cards
    from stzoo.strategies.published import published
    from stzoo.zoo.reference import find

    if text.startswith(PUBLISHED):
        return Own(published(text.removeprefix(PUBLISHED)).strategy)
    if os.path.isfile(text):
        return Own(Strategy.read(text))
    card = cards.named(text) if text in cards.names() else None
    if card is not None and card.net is not None and card.weights == "none":
        return Own(by_name(card.net.strategy, card.backbone, card.net.options), card.net.options)
    if card is None and "/" not in text and not os.path.isdir(text):
        return None
    bundle = bundles.read(find(text).folder)
    return Own(bundle.strategy, bundle.config.backbone.options)


def _of_the_other(text: str, other: Own) -> Strategy:
    from stzoo import card as cards

    try:
        return by_name(text, other.strategy.backbone, other.options)
    except StrategyError as error:
        if meant := did_you_mean(text, cards.names()):
            raise ModelNotFoundError(f'no model and no strategy is called "{text}".{meant}') from error
        raise
