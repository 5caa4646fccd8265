"""`stzoo select`: strategies drawn from a trained template, and the best of them."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.cli.train_recipe import print_results


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--strategies", type=click.IntRange(1, 100_000), help="How many to draw in all.  [default: the recipe's]")
@click.option("--exhaustive", is_flag=True, help="Score every strategy on all videos, also those that fall behind.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Where decoded clips are kept.  [default: beside the run]"
)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def select(run: Path, strategies: int | None, exhaustive: bool, cache: Path | None, quiet: bool) -> None:
    """Draw strategies from the posterior of a RUN's template, race them on the selection split, and bundle the best.

    All are scored on some videos, the better ones on more, and the last on all. The best has least cross-entropy.

    Scores that are in the run's scores.csv already are not computed again, and all of them count, also where fewer
    strategies are asked for.
    """
    from stzoo.training.blueprint import template_tables
    from stzoo.training.pipeline import select as run_selection
    from stzoo.training.processes import joined
    from stzoo.training.run import Run
    from stzoo.training.voice import Voice

    opened = Run.open(run)
    count = strategies or template_tables(opened).selection.strategies
    cache = cache or run.parent / "cache"
    with joined(opened.recipe.compute.device) as ranks, saying_how_to_go_on(ranks.leads):
        voice = Voice(click.echo, progress=not quiet)
        accuracies = run_selection(opened, count, cache, voice, ranks, exhaustive=exhaustive)
    if ranks.leads:
        print_results(opened, accuracies)
