"""Nets that nobody has trained, ready to predict all the same: with the weights of initialisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stzoo.errors import require

if TYPE_CHECKING:
    from stzoo.bundle import Config
    from stzoo.card import Card, NetDescription
    from stzoo.prediction.predictor import Predictor
    from stzoo.strategies.strategy import Strategy


def of_card(
    card: Card,
    description: NetDescription,
    strategy: Strategy | str | None,
    device: str | None,
    protocol: Mapping[str, Any],
) -> Predictor:
    """The net that a card describes, as it is before training; its classes have numbers, since nobody named them."""
    require("torch")
    from stzoo.bundle import rebuild
    from stzoo.nets import Architecture
    from stzoo.prediction.predictor import Predictor

    architecture = Architecture(card.backbone, description.classes, description.options)
    fitting = rebuild.fitting_strategy(description.strategy if strategy is None else strategy, architecture)
    labels = tuple(f"class {index}" for index in range(description.classes))
    net = rebuild.untrained(architecture, fitting)
    contract = description.input.changed(**protocol)
    return Predictor(net, contract, labels, name=card.name, device=device, strategy=fitting)


def of_config(config: Config, device: str | None, protocol: Mapping[str, Any]) -> Predictor:
    """The net of a bundle, without its weights."""
    require("torch")
    from stzoo.bundle import rebuild
    from stzoo.nets import Architecture
    from stzoo.prediction.predictor import Predictor

    labels = config.classes.labels
    architecture = Architecture(config.backbone.name, len(labels), config.backbone.options)
    net = rebuild.untrained(architecture, config.strategy)
    return Predictor(net, config.input.changed(**protocol), labels, name=config.name, device=device)
