"""`stzoo page`: a model as a static page, which a browser runs on videos and on the camera."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

import rich_click as click


@click.command()
@click.argument("model", metavar="NAME|PATH")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write: any server of files serves it, and as a static Space of the Hub it is complete.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16"]),
    default="fp32",
    show_default=True,
    help="fp16 is half as large, and no faster on most devices.",
)
@click.option(
    "--packages",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with what `npm pack` has written of onnxruntime-web and mediabunny.  [default: npm is asked]",
)
@click.option("--replace", is_flag=True, help="Let a page that stands there make way.")
def page(model: str, output: Path, precision: Literal["fp32", "fp16"], packages: Path | None, replace: bool) -> None:
    """Write a page that runs a model in the browser: on videos and on the camera, with nothing uploaded.

    The page checks itself with the model's golden clips before it answers. It runs on onnxruntime-web, which is copied
    into it: nothing comes from elsewhere.
    """
    from stzoo.zoo.page import write

    file = write(
        model, output, precision=precision, packages=packages, replace=replace, say=partial(click.echo, err=True)
    )
    click.echo(f"{output}: a page that runs {file.name}. Try it here:")
    click.echo(f"  python -m http.server --bind 127.0.0.1 --directory {output} 8000")
    click.echo("and open http://127.0.0.1:8000 in a browser.")
