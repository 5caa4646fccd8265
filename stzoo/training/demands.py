"""What a recipe's net demands of the recipe's other values, looked at before anything is decoded or written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from stzoo import nets
from stzoo.errors import RecipeError, StrategyError, UsageError
from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.classifier import Classifier
from stzoo.recipe import Recipe
from stzoo.recipe.reading import report, written
from stzoo.space.costs import Costs, size_costs
from stzoo.strategies.budget import Budget
from stzoo.strategies.names import check_form
from stzoo.training.blueprint import architecture_of, closable_in, options_of, strategy_of

_PLACES = {
    "temporal_stride": "net.temporal_stride",
    "tail_sites": "variational.tail_gates",
    "branches": "net.branches",
    "stem_frames": "net.stem_frames",
    "pooling": "net.pooling",
    "shared_norm": "net.shared_norm",
}


def check_net(recipe: Recipe, source: str) -> None:
    """Whether backbone, its options, the strategy and the size of the clips go together.

    Raises `RecipeError` that calls the recipe `source` and lists every problem with its place and value.
    """
    problems = [f"{place} = {written(value)}: {sentence}" for place, value, sentence in _problems(recipe)]
    if problems:
        raise RecipeError(report(source, problems))


def check_budgets(recipe: Recipe, classes: int) -> None:
    """Raises `UsageError` for a budget of the recipe that pays for no strategy, or for more than the dearest."""
    if recipe.selection is None or not recipe.selection.budgets:
        return
    architecture = architecture_of(recipe, classes)
    costs = size_costs(architecture, recipe.input, closable_in(recipe, architecture)).multiply_adds
    refuse_beyond(map(Budget.parse, recipe.selection.budgets), costs, recipe.name)


def refuse_beyond(budgets: Iterable[Budget], costs: Costs, name: str) -> None:
    """Raises `UsageError` for a budget that pays for no strategy, or for more than the dearest."""
    least, most = costs.of(costs.cheapest), costs.of(costs.dearest)
    for budget in budgets:
        if not least <= budget.amount <= most:
            what = "below the cheapest" if budget.amount < least else "above the dearest"
            unit = "" if budget.of == "nanoseconds" else f" {budget.of}"
            low, high = Budget(least, budget.of), Budget(most, budget.of)
            if low.rounded(up=True) <= high.rounded(up=False):
                low, high = low.rounded(up=True), high.rounded(up=False)
            raise UsageError(
                f"the budget {budget} is {what} strategy of {name}; give between {low} and {high}{unit} a clip"
            )


def _problems(recipe: Recipe) -> Iterator[tuple[str, Any, str]]:
    """Place, value, and what is wrong with it."""
    strategy = None if recipe.fixed is None else recipe.fixed.strategy
    name = recipe.net.backbone
    try:
        nets.backbone(name)
    except UsageError as error:
        yield "net.backbone", name, str(error)
        if strategy is not None:
            try:
                check_form(strategy)
            except StrategyError as unknown:
                yield "fixed.strategy", strategy, str(unknown)
        return
    options = {}
    for option, value in options_of(recipe).items():
        try:
            Architecture(name, 1, {option: value})
            options[option] = value
        except UsageError as error:
            yield _PLACES[option], value, str(error)
    architecture = Architecture(name, 1, options)
    if not architecture.sites and recipe.fixed is None:
        yield "net.backbone", name, "has no sites, so there is nothing to learn for a template; see stzoo finetune"
        return
    if not architecture.sites and recipe.compute.checkpoint_activations:
        yield "compute.checkpoint_activations", True, f"{name} is torchvision's, which has no parts to compute again"
    if strategy is not None:
        try:
            strategy_of(recipe, architecture)
        except StrategyError as error:
            yield "fixed.strategy", strategy, str(error)
    with without_memory():
        net = nets.fixed_net(architecture, architecture.all_open)
    assert isinstance(net, Classifier)
    sizes = {"frames": (net.fewest_frames, "frames"), "crop": (net.smallest_size, "pixels")}
    for table in ("input", "augment"):
        for key, (least, unit) in sizes.items():
            value = getattr(getattr(recipe, table), key)
            if value is None:
                continue
            if value < least:
                yield f"{table}.{key}", value, f"{name} takes at least {least} {unit}"
            elif net.takes_no_other and value != least:
                yield f"{table}.{key}", value, f"{name} takes {least} {unit} and no other number"
