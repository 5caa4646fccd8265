"""A recipe trained on the command line, and the table of what it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.cli.drawing import plain_table, print_parts

if TYPE_CHECKING:
    from rich.table import Table

    from stzoo.metrics import Estimate
    from stzoo.ranks import Ranks
    from stzoo.recipe import Recipe
    from stzoo.training.results import SplitAccuracy
    from stzoo.training.run import Run


def train_recipe(recipe: Recipe, folder: Path, cache: Path, logs: tuple[str, ...], quiet: bool, ranks: Ranks) -> None:
    """Trains what a recipe's run in `folder` lacks, and prints its measurements and where its bundle is."""
    from stzoo.training.pipeline import train as run_all
    from stzoo.training.run import Run
    from stzoo.training.trackers import tracker
    from stzoo.training.voice import Voice

    run = Run(folder, recipe, [tracker(name, folder, recipe) for name in logs])
    accuracies = run_all(run, cache, Voice(click.echo, progress=not quiet), ranks)
    if not ranks.leads:
        return
    if accuracies:
        print_results(run, accuracies)
    else:
        click.echo(f"{folder} is finished; its bundle is {run.bundle}")


def print_results(run: Run, accuracies: Sequence[SplitAccuracy]) -> None:
    """Prints the final measurements of a run, and where its bundle is."""
    print_parts(_accuracy_table(accuracies))
    if run.recipe.data.balance:
        for measured in accuracies:
            click.echo(_by_class(measured))
    click.echo(f"Bundle: {run.bundle}")


def _by_class(measured: SplitAccuracy) -> str:
    """How evenly a net does over classes, as a sentence."""
    worst, accuracy = min(measured.classes, key=lambda entry: entry[1].value)
    return (
        f"{measured.name} on {measured.split}: balanced accuracy {percentages(measured.balanced)}, "
        f'{percentages(accuracy)} in "{worst}", the worst class; metrics.json has every class.'
    )


def _accuracy_table(accuracies: Sequence[SplitAccuracy]) -> Table:
    """One line a net, one column a split."""
    from stzoo.bundle.schema import HOW
    from stzoo.strategies.names import UNIFORM
    from stzoo.strategies.strategy import open_branches

    splits = list(dict.fromkeys(measured.split for measured in accuracies))
    present = {unit for measured in accuracies for unit in measured.strategy.units.values()}
    units = [unit for unit in UNIFORM.values() if "T" not in open_branches(unit) or unit in present]
    shown = plain_table("net", "weights", *splits, " / ".join(units))
    shown.title = "accuracy in per cent, with its 95 % interval"
    shown.caption = f"{' / '.join(units)}: the number of sites that have this unit."
    for name in dict.fromkeys(measured.name for measured in accuracies):
        on_splits = {measured.split: measured for measured in accuracies if measured.name == name}
        first = next(iter(on_splits.values()))
        counts = first.strategy.counts()
        cells = [percentages(measured.accuracy) for measured in on_splits.values()]
        shown.add_row(name, HOW[first.how], *cells, " / ".join(str(counts.get(unit, 0)) for unit in units))
    return shown


def percentages(accuracy: Estimate) -> str:
    """A share in per cent with its interval."""
    return f"{100 * accuracy.value:.1f} ({100 * accuracy.low:.1f}–{100 * accuracy.high:.1f})"
