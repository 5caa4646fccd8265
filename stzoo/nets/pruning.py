"""Template and fixed net: each built anew, and from one to the other by `grow` and `prune`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from stzoo.errors import StrategyError
from stzoo.nets.backbones import Architecture, architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import fixed_fuse, named_gates, template_fuse
from stzoo.strategies.posterior import INITIAL_DROP, TEMPERATURE, Posterior
from stzoo.strategies.strategy import Strategy


def fixed(name: str, strategy: Strategy, classes: int, **options: Any) -> Classifier:
    """A net with only the branches that `strategy` opens, freshly initialised.

    It takes float clips [clips, 3, frames, height, width] to logits [clips, classes].

    Raises `StrategyError` when the strategy does not fit the backbone.
    """
    return fixed_net(Architecture(name, classes, options), strategy)


def fixed_net(architecture: Architecture, strategy: Strategy) -> Classifier:
    """`fixed` for an architecture that exists already."""
    strategy.check(architecture.backbone, architecture.sites)
    return architecture.build(fixed_fuse(strategy))


def template(
    name: str, classes: int, *, initial_drop: float = INITIAL_DROP, temperature: float = TEMPERATURE, **options: Any
) -> Classifier:
    """A net with every branch of every site behind a gate, freshly initialised."""
    return Architecture(name, classes, options).build(template_fuse(initial_drop, temperature))


def is_template(net: nn.Module) -> bool:
    """Whether the net still has gates, so that its outputs are random."""
    return any(True for _ in named_gates(net))


def grow(net: Classifier, *, initial_drop: float = INITIAL_DROP, temperature: float = TEMPERATURE) -> Classifier:
    """A template with a copy of the weights of a fixed net that has every branch open; only the gates are new.

    Raises `StrategyError` when the net has closed branches.
    """
    template = architecture(net).build(template_fuse(initial_drop, temperature))
    missing, unexpected = template.load_state_dict(net.state_dict(), strict=False)
    lacking = [key for key in missing if ".gates." not in key]
    if lacking or unexpected:
        raise StrategyError(
            f"only a net with every branch open grows into a template; this one lacks {', '.join(lacking[:3])}"
        )
    return template


def prune(source: Classifier, strategy: Strategy) -> Classifier:
    """The fixed net of a strategy, taken out of a template: it shares parameters and has buffers of its own.

    Raises `StrategyError` when the strategy does not fit the backbone, or opens a branch that `source` does not have.
    """
    shape = architecture(source)
    strategy.check(shape.backbone, shape.sites)
    with without_memory():
        net = shape.build(fixed_fuse(strategy))
    tensors: dict[str, Any] = {name: buffer.clone() for name, buffer in source.named_buffers()}
    tensors.update(source.named_parameters())
    if lacking := [key for key in net.state_dict() if key not in tensors]:
        raise StrategyError(
            f"the strategy opens branches that the net to prune does not have: it lacks {', '.join(lacking[:3])}"
        )
    net.load_state_dict({key: tensors[key] for key in net.state_dict()}, assign=True)
    return net.train(source.training)


def posterior(template: Classifier) -> Posterior:
    """The drop probabilities that a template has learnt."""
    drop: dict[str, dict[str, float]] = {}
    for site, branch, gate, _ in named_gates(template):
        drop.setdefault(site, {})[branch] = float(torch.sigmoid(gate.logit.detach().double()))
    return Posterior(architecture(template).backbone, drop)
