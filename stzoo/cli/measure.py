"""`stzoo measure`: parameters, multiply-adds and activations of a backbone with a strategy, and its latency here."""

from __future__ import annotations

import json

import rich_click as click

from stzoo.cli.options import format_option
from stzoo.cli.strategy_names import branch_options, naming_branches
from stzoo.strategies.names import FORMS


@click.command()
@click.argument("backbone")
@click.option("--strategy", help=f"{FORMS}, or a file.  [default: sst, where there are sites]")
@click.option("--branches", default="S,ST", show_default=True, help="S,ST or S,T,ST: what a site can open.")
@click.option("--classes", type=click.IntRange(1, 100_000), default=400, show_default=True, help="Outputs of the net.")
@click.option("--frames", type=click.IntRange(1, 1024), default=16, show_default=True, help="Frames of a clip.")
@click.option("--size", type=click.IntRange(1, 4096), default=224, show_default=True, help="Side in pixels.")
@click.option("--temporal-stride", default="none", show_default=True, help="none, x2, x8 or low.")
@click.option("--stem-frames", type=int, help="1: a stem that sees single frames; else its own.")
@click.option("--latency", is_flag=True, help="Also run the net, with random weights, on this machine's CPU.")
@format_option
def measure(
    backbone: str,
    strategy: str | None,
    branches: str,
    classes: int,
    frames: int,
    size: int,
    temporal_stride: str,
    stem_frames: int | None,
    latency: bool,
    format_: str,
) -> None:
    """Count the parameters of a network, and the multiply-adds and activations of one clip.

    Convolutions and linear layers count: what they multiply, and the elements of their outputs. Nothing is computed, so
    large networks answer at once; --latency takes longer. BACKBONE may be a net of torchvision, such as r3d_18.
    """
    from stzoo.nets import TORCHVISION
    from stzoo.nets.named import USUAL
    from stzoo.nets.named import measure as measure_named

    if strategy is None and backbone not in TORCHVISION:
        strategy = USUAL
    options = branch_options(branches)
    stride = {} if temporal_stride == "none" else {"temporal_stride": temporal_stride}
    stem = {} if stem_frames is None else {"stem_frames": stem_frames}
    with naming_branches(strategy or "", options):
        counts = measure_named(
            backbone, strategy, classes, frames=frames, size=size, latency=latency, **stride, **stem, **options
        )
    if format_ == "json":
        click.echo(json.dumps(counts))
        return
    shown = "" if strategy is None else f", strategy {strategy}"
    click.echo(f"{backbone}{shown}, {classes} classes, clip {frames}x{size}x{size}")
    for name in ("parameters", "multiply_adds", "activations"):
        click.echo(f"{name.replace('_', '-'):<13}  {counts[name]:>15,}")
    if latency:
        speed = counts["latency"]
        threads = f"{speed['threads']} thread{'s' if speed['threads'] > 1 else ''}"
        click.echo(
            f"latency        {speed['milliseconds']:>15,.1f} ms, median of {speed['runs']} runs with random weights on "
            f"this CPU, {threads}, torch {speed['torch']}"
        )
