"""A run on a user's own videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.cli.train_recipe import train_recipe

if TYPE_CHECKING:
    from stzoo.training.plan import Plan


def train_own(
    context: click.Context, plan: Plan, *, cache: Path | None, logs: tuple[str, ...] = (), dry: bool, quiet: bool
) -> None:
    """Trains what is planned, or shows its dry run and exits."""
    from stzoo.cli.dry_run import dry_run
    from stzoo.training.processes import joined

    for sentence in plan.notes:
        click.echo(sentence, err=True)
    with plan.tried() as (tried, recipe):
        if dry:
            context.exit(0 if dry_run(tried, recipe) else 1)
    run = plan.run(recipe)
    with joined(recipe.compute.device) as ranks, saying_how_to_go_on(ranks.leads):
        plan.begin(run, ranks)
        train_recipe(recipe, plan.folder, cache or plan.folder.parent / "cache", logs, quiet, ranks)
    if ranks.leads:
        click.echo(f"Try it: stzoo predict --model {run.bundle} VIDEO")
