"""What a recipe asks to be built: options, architecture, strategy, and the net that its first stage trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from stzoo import nets
from stzoo.errors import TrainingError
from stzoo.nets import Architecture
from stzoo.nets.classifier import Classifier
from stzoo.nets.pooling import MEAN
from stzoo.recipe import Recipe, TemplateTables
from stzoo.strategies.names import named
from stzoo.strategies.strategy import BRANCHES, Strategy
from stzoo.training.run import Run


@dataclass(frozen=True, eq=False)
class Blueprint:
    """The net of a recipe's first stage, initialised at random; a template's has every branch open."""

    architecture: Architecture
    strategy: Strategy
    first: Classifier

    @classmethod
    def of(cls, recipe: Recipe, classes: int) -> Blueprint:
        """Raises `UsageError` and `StrategyError` when there is no such architecture or strategy."""
        architecture = architecture_of(recipe, classes)
        strategy = strategy_of(recipe, architecture) or architecture.all_open
        return cls(architecture, strategy, first_net(recipe, architecture, strategy))


def options_of(recipe: Recipe) -> dict[str, object]:
    """The options of the backbone that a recipe asks for, whether it has them or not."""
    stride = recipe.net.temporal_stride
    options: dict[str, object] = {}
    if stride != "none" or "temporal_stride" in nets.backbone(recipe.net.backbone).options:
        options["temporal_stride"] = stride
    if recipe.variational is not None and recipe.variational.tail_gates:
        options["tail_sites"] = True
    if recipe.net.branches != BRANCHES:
        options["branches"] = recipe.net.branches
    if recipe.net.stem_frames is not None:
        options["stem_frames"] = recipe.net.stem_frames
    if recipe.net.pooling != MEAN:
        options["pooling"] = recipe.net.pooling
    if recipe.net.shared_norm:
        options["shared_norm"] = True
    return options


def architecture_of(recipe: Recipe, classes: int) -> Architecture:
    """The architecture that a recipe asks for. Raises `UsageError` when there is none such."""
    return Architecture(recipe.net.backbone, classes, options_of(recipe))


def strategy_of(recipe: Recipe, architecture: Architecture) -> Strategy | None:
    """The strategy of a [fixed] recipe, None for a template's. Raises `StrategyError` when it does not fit."""
    return None if recipe.fixed is None else named(recipe.fixed.strategy, architecture.backbone, architecture.sites)


def closable_in(recipe: Recipe, architecture: Architecture) -> list[str]:
    """The sites that may be drawn closed besides those with a single branch."""
    closed = recipe.selection is not None and recipe.selection.closed
    return [site.name for site in architecture.sites if closed and site.closable]


def first_net(recipe: Recipe, architecture: Architecture, strategy: Strategy) -> Classifier:
    """A net with that strategy, initialised at random from the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return nets.fixed_net(architecture, strategy)


def template_tables(run: Run) -> TemplateTables:
    """What a run's template is trained by. Raises `TrainingError` for a run that has no posterior to draw from."""
    if run.recipe.template is None:
        raise TrainingError(f"{run.folder} trains one fixed net and has no strategies to select from")
    return run.recipe.template
