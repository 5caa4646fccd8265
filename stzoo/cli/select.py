"""`stzoo select`: strategies drawn from a trained template, and the best of them."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from stzoo.cli.drawing import print_parts
from stzoo.cli.interrupts import saying_how_to_go_on


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--strategies", type=click.IntRange(1, 100_000), help="How many to draw in all.  [default: the recipe's]")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Where decoded clips are kept.  [default: beside the run]"
)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def select(run: Path, strategies: int | None, cache: Path | None, quiet: bool) -> None:
    """Draw strategies from the posterior of a RUN's template, score each on the selection split, and bundle the best.

    Scores that are in the run's scores.csv already are not computed again, and all of them count, also where fewer
    strategies are asked for.
    """
    from stzoo.training.blueprint import require_variational
    from stzoo.training.pipeline import select as run_selection
    from stzoo.training.processes import joined
    from stzoo.training.results import table
    from stzoo.training.run import Run

    opened = Run.open(run)
    require_variational(opened)
    table_of_recipe = opened.recipe.selection
    assert table_of_recipe is not None
    count = strategies or table_of_recipe.strategies
    cache = cache or run.parent / "cache"
    with joined(opened.recipe.compute.device) as ranks, saying_how_to_go_on(ranks.leads):
        rows = run_selection(opened, count, cache, say=click.echo, progress=not quiet, ranks=ranks)
    if not ranks.leads:
        return
    print_parts(table(rows))
    click.echo(f"Bundle: {opened.bundle}")
