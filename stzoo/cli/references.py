"""What `stzoo show` and `stzoo diff` mean by a strategy's name. torch is imported for the sites of a backbone alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from stzoo.errors import ModelNotFoundError, StrategyError, UsageError, did_you_mean
from stzoo.strategies import UNIFORM, named
from stzoo.strategy import BRANCHES, Strategy, open_branches

PUBLISHED = "published:"


def by_name(text: str, backbone: str, options: Mapping[str, Any] | None = None) -> Strategy:
    """A strategy of a backbone, as `stzoo.strategies.named` takes it.

    Published strategies, and uniform ones of the backbone that they belong to, are read from the package's data, in
    which every site of that backbone stands: no network is described, so torch is not imported.
    """
    from stzoo.published import published

    unit = UNIFORM.get(text)
    if text.startswith(PUBLISHED) or (unit is not None and set(open_branches(unit)) <= set(BRANCHES)):
        known = published(text.removeprefix(PUBLISHED) if unit is None else "sthv1").strategy
        if known.backbone == backbone:
            return known if unit is None else Strategy(backbone, dict.fromkeys(known.units, unit))
    from stzoo.nets import Architecture

    return named(text, backbone, Architecture(backbone, classes=1, options=dict(options or {})).sites)


def pair(first: str, second: str) -> tuple[Strategy, Strategy]:
    """The strategies of two references.

    A reference is a model as `stzoo.load` takes it, also one that nobody has trained, the file of a strategy,
    `published:sthv1` and the like; or, of one of the two, the name of a strategy for the other's backbone.

    Raises `ModelNotFoundError` for what is none of these, `UsageError` when neither says which backbone it is for.
    """
    found = [_own(first), _own(second)]
    backbone = next((strategy.backbone for strategy in found if strategy is not None), None)
    if backbone is None:
        raise UsageError(
            f'neither "{first}" nor "{second}" is a model or a strategy of a known backbone; name a model, '
            "as `stzoo list` shows them, for one of the two"
        )
    return (
        found[0] or _of_the_other(first, backbone),
        found[1] or _of_the_other(second, backbone),
    )


def _own(text: str) -> Strategy | None:
    """The strategy of a reference that says its backbone itself; None where it may be a strategy's name."""
    from stzoo import bundle as bundles
    from stzoo import card as cards
    from stzoo.hub import find
    from stzoo.published import published

    if text.startswith(PUBLISHED):
        return published(text.removeprefix(PUBLISHED)).strategy
    if os.path.isfile(text):
        return Strategy.read(text)
    card = cards.named(text) if text in cards.names() else None
    if card is not None and card.net is not None and card.weights == "none":
        return by_name(card.net.strategy, card.backbone, card.net.options)
    if card is None and "/" not in text and not os.path.isdir(text):
        return None
    return bundles.read(find(text).folder).strategy


def _of_the_other(text: str, backbone: str) -> Strategy:
    from stzoo import card as cards

    try:
        return by_name(text, backbone)
    except StrategyError as error:
        if meant := did_you_mean(text, cards.names()):
            raise ModelNotFoundError(f'no model and no strategy is called "{text}".{meant}') from error
        raise
