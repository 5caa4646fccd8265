"""`stzoo select`: strategies drawn from a trained template or searched within budgets, and the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.cli.train_recipe import percentages, print_results
from stzoo.errors import UsageError

if TYPE_CHECKING:
    from stzoo.runtimes import Runtime
    from stzoo.space.frontier import Point
    from stzoo.training.results import SplitAccuracy
    from stzoo.training.run import Run


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--strategies", type=click.IntRange(1, 100_000), help="How many to draw in all.  [default: the recipe's]")
@click.option("--exhaustive", is_flag=True, help="Score every strategy on all videos, also those that fall behind.")
@click.option(
    "--budget",
    "budgets",
    metavar="COST",
    multiple=True,
    help="Search the best strategy of at most so many multiply-adds a clip, such as 50M, or milliseconds, such as "
    "3.5ms; may be given several times.",
)
@click.option(
    "--runtime",
    type=click.Choice(["torch", "onnxruntime", "openvino"]),
    help="What milliseconds are counted on: a table of what every unit takes is measured once, on the CPU, with as "
    "many threads as OMP_NUM_THREADS says.",
)
@click.option("--frontier", is_flag=True, help="Search at several budgets, and compare with strategies beside them.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Where decoded clips are kept.  [default: beside the run]"
)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def select(
    run: Path,
    strategies: int | None,
    exhaustive: bool,
    budgets: tuple[str, ...],
    frontier: bool,
    runtime: Runtime | None,
    cache: Path | None,
    quiet: bool,
) -> None:
    """Draw strategies from the posterior of a RUN's template, race them on the selection split, and bundle the best.

    All are scored on some videos, the better ones on more, and the last on all. The best has least cross-entropy.

    Scores that are in the run already are not computed again, and all of them count, also where fewer strategies are
    asked for.

    With --budget or --frontier strategies are not drawn but searched: for each budget the effects of single branches
    propose some, which race, and are changed until nothing is gained. Each is measured on validation beside strategies
    of the same cost, and gets a bundle. Tables and figure are in the run's folder budgets. With --runtime costs are
    milliseconds on it; how well the table predicts whole nets is said.
    """
    from stzoo.strategies.budget import Budget
    from stzoo.training.blueprint import template_tables
    from stzoo.training.pipeline import select as run_selection
    from stzoo.training.pipeline import select_within
    from stzoo.training.processes import joined
    from stzoo.training.run import Run
    from stzoo.training.voice import Voice

    searched = bool(budgets) or frontier
    if searched and (strategies is not None or exhaustive):
        option = "--exhaustive" if exhaustive else "--strategies"
        raise UsageError(f"{option} draws strategies, and --budget and --frontier search them; give one or the other")
    if runtime is not None and not searched:
        raise UsageError("--runtime says on what --budget or --frontier count milliseconds; give one of them, too")
    limits = [Budget.parse(text) for text in budgets]
    opened = Run.open(run)
    tables = template_tables(opened)
    cache = cache or run.parent / "cache"
    voice = Voice(click.echo, progress=not quiet)
    points: list[Point] = []
    accuracies: list[SplitAccuracy] = []
    with joined(opened.recipe.compute.device) as ranks, saying_how_to_go_on(ranks.leads):
        if searched:
            points = select_within(opened, limits, cache, voice, ranks, frontier=frontier, runtime=runtime)
        else:
            count = strategies or tables.selection.strategies
            accuracies = run_selection(opened, count, cache, voice, ranks, exhaustive=exhaustive)
    if ranks.leads and searched:
        _print_points(opened, points)
    elif ranks.leads:
        print_results(opened, accuracies)


def _print_points(run: Run, points: Sequence[Point]) -> None:
    from stzoo.cli.drawing import plain_table, print_parts

    timed = any(point.nanoseconds is not None for point in points)
    columns = ["budget", "net", *(["ms:right"] if timed else []), "mult-adds:right"]
    table = plain_table(*columns, "accuracy:right", "found is better by:right")
    for point in points:
        table.add_row(
            "" if point.budget is None else str(point.budget),
            point.net,
            *([] if point.nanoseconds is None else [f"{point.nanoseconds / 1e6:.2f}"]),
            f"{point.cost / 1e6:.1f} M",
            percentages(point.accuracy),
            "" if point.lead is None else percentages(point.lead),
        )
    named = dict.fromkeys(point.budget for point in points if point.budget is not None)
    bundles = " ".join(str(run.bundle_called(run.budget_name(budget))) for budget in named)
    videos = points[0].accuracy.n
    measured = f"Accuracy in % on the {videos} validation videos, differences on the same videos, 95 % intervals."
    print_parts(
        table, measured, f"{run.path('budgets')}: scores.csv, frontier.csv, frontier.png", f"Bundles: {bundles}"
    )
