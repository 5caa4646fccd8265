"""`stzoo measure`: parameters and multiply-adds of a backbone with a strategy."""

from __future__ import annotations

import json
from dataclasses import asdict

import rich_click as click


@click.command()
@click.argument("backbone")
@click.option("--strategy", default="sst", show_default=True, help="s, st, sst, published:<data>, or a file.")
@click.option("--branches", default="S,ST", show_default=True, help="S,ST or S,T,ST: what a site can open.")
@click.option("--classes", type=click.IntRange(1, 100_000), default=400, show_default=True, help="Outputs of the net.")
@click.option("--frames", type=click.IntRange(1, 1024), default=16, show_default=True, help="Frames of a clip.")
@click.option("--size", type=click.IntRange(1, 4096), default=224, show_default=True, help="Side in pixels.")
@click.option("--temporal-stride", default="none", show_default=True, help="none, x2, x8 or low.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text for people, json for programs.",
)
def measure(
    backbone: str, strategy: str, classes: int, frames: int, size: int, temporal_stride: str, output: str
) -> None:
    """Count the parameters of a network and the multiply-adds of one clip.

    Convolutions and linear layers count; nothing is computed, so large networks answer at once.
    """
    from stzoo.measure import measure as count
    from stzoo.nets import Architecture
    from stzoo.strategies import named

    architecture = Architecture(backbone, classes, {"temporal_stride": temporal_stride})
    chosen = named(strategy, backbone, architecture.sites)
    found = count(architecture, chosen, frames=frames, height=size, width=size)
    if output == "json":
        click.echo(json.dumps(asdict(found)))
        return
    click.echo(f"{backbone}, strategy {strategy}, {classes} classes, clip {frames}x{size}x{size}")
    click.echo(f"parameters     {found.parameters:>15,}")
    click.echo(f"multiply-adds  {found.multiply_adds:>15,}")
