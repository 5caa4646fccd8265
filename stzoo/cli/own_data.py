"""A run on a user's own videos: its folder, its name, and the lists that it is given."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.cli.train_recipe import train_recipe
from stzoo.errors import UsageError
from stzoo.files import slug

if TYPE_CHECKING:
    from stzoo.recipe import Recipe


def own_folder(out: Path | None, data: Path, model: str) -> tuple[Path, str]:
    """The folder of a run, by default `runs/DATA-MODEL`, and the name of its bundle.

    Raises `UsageError` for the name of a model of the zoo.
    """
    from stzoo import card as cards

    folder = out or Path("runs") / f"{_slug(data.resolve().stem)}-{_slug(model)}"
    name = _slug(folder.resolve().name)
    if name in cards.names():
        raise UsageError(f'"{name}" is the name of a model of the zoo; choose a folder with another name with --out')
    return folder, name


def train_own(
    context: click.Context,
    recipe_in: Callable[[Path], Recipe],
    texts: dict[str, str],
    folder: Path,
    *,
    source: str,
    cache: Path | None,
    logs: tuple[str, ...] = (),
    dry: bool,
    quiet: bool,
) -> None:
    """Trains the recipe that reads `texts` in a folder, and puts them into the run; or shows its dry run and exits.

    Errors call the recipe `source`.
    """
    from stzoo.cli.dry_run import dry_run
    from stzoo.training.adapting import GIVEN, begin, refuse_changed
    from stzoo.training.demands import check_net
    from stzoo.training.processes import joined
    from stzoo.training.run import Run

    with tempfile.TemporaryDirectory() as temporary:
        for file, text in texts.items():
            (Path(temporary) / file).write_text(text, encoding="utf-8")
        tried = recipe_in(Path(temporary))
        check_net(tried, source)
        recipe = recipe_in(folder / GIVEN)
        if dry:
            context.exit(0 if dry_run(tried, recipe) else 1)
    refuse_changed(folder, texts)
    run = Run(folder, recipe)
    with joined(recipe.compute.device) as ranks, saying_how_to_go_on(ranks.leads):
        if ranks.leads:
            begin(run, texts)
        ranks.of_leader("begun")  # the others wait for the folder
        train_recipe(recipe, folder, cache or folder.parent / "cache", logs, quiet, ranks)
    if ranks.leads:
        click.echo(f"Try it: stzoo predict --model {run.bundle} VIDEO")


def _slug(text: str) -> str:
    return slug(text.lower(), "a-z0-9", "own")[:60].strip("-")
