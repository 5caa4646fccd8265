"""The nets of torchvision as `stzoo list --source torchvision` and `stzoo show` tell of them. torch is not imported."""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import textwrap
from typing import Any

import rich_click as click

from stzoo.cli.drawing import billions, millions, pairs, plain_table, print_parts
from stzoo.errors import ModelNotFoundError
from stzoo.zoo.torchvision import DATASET, EDITION, LICENCE, NETS, Published

_WIDTH = 100


def list_nets(pattern: str, max_params: float | None, format_: str) -> None:
    """Prints the nets whose reference or name matches a pattern. Raises `ModelNotFoundError` where there is none."""
    nets = [
        net
        for net in NETS.values()
        if (fnmatch.fnmatch(net.name, pattern) or fnmatch.fnmatch(net.reference, pattern))
        and (max_params is None or net.parameters <= max_params * 1e6)
    ]
    if not nets:
        raise ModelNotFoundError("no net of torchvision is left after these filters; `stzoo list --source torchvision`")
    if format_ == "json":
        click.echo(json.dumps([facts_of(net) for net in nets], indent=2, ensure_ascii=False))
    elif format_ == "csv":
        click.echo(_csv(nets), nl=False)
    else:
        _print(nets)


def show_net(net: Published, format_: str) -> None:
    """Prints what is known of one of them before its weights are here."""
    if format_ == "json":
        click.echo(json.dumps(facts_of(net), indent=2, ensure_ascii=False))
        return
    from rich.text import Text

    facts = {
        "dataset": DATASET,
        "parameters": f"{net.parameters:,}",
        "multiply-adds": f"{net.multiply_adds:,} a clip",
        "theirs": net.theirs,
        "weights": f"torchvision's {EDITION}, {net.file}, or --weights FILE",
        "licence": textwrap.fill(f"a pre-trained model {LICENCE}", _WIDTH),
        "input": net.contract.text,
    }
    print_parts(Text(net.reference, style="bold"), pairs(facts))


def facts_of(net: Published) -> dict[str, Any]:
    """A net as JSON takes it: torchvision's numbers stand under `theirs`, and only there."""
    theirs = {"dataset": DATASET, "level": net.level, "top1": net.top1, "top5": net.top5, "edition": EDITION}
    return {
        "name": net.reference,
        "source": "torchvision",
        "parameters": net.parameters,
        "multiply_adds": net.multiply_adds,
        "input": net.contract.model_dump(mode="json"),
        "classes": len(net.config.classes.labels),
        "weights": net.file,
        "license": f"a pre-trained model {LICENCE}",
        "theirs": theirs,
    }


def _csv(nets: list[Published]) -> str:
    """A line a net; what torchvision says has `their` in its name."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(("name", "parameters", "multiply_adds", "their_top1", "their_top5", "their_level", "input"))
    for net in nets:
        numbers = (net.parameters, net.multiply_adds, net.top1, net.top5, net.level)
        table.writerow((net.reference, *numbers, net.contract.text))
    return stream.getvalue()


def _print(nets: list[Published]) -> None:
    from rich.text import Text

    table = plain_table("name", "params:right", "mult-adds:right", "theirs: top-1, %:right", "top-5, %:right", "theirs")
    for net in nets:
        clips = f"{net.contract.clips} x {net.contract.frames} frames, {net.contract.fps:g} a second, {net.level} level"
        numbers = (millions(net.parameters), billions(net.multiply_adds), f"{net.top1:.1f}", f"{net.top5:.1f}")
        table.add_row(Text(net.reference, style="bold"), *numbers, clips)
    remarks = (
        f"Nets and weights of torchvision; accuracies are torchvision's on {DATASET}, with its protocol, and not "
        "measured here. Parameters and multiply-adds of a clip are counted by stzoo.",
        f"Weights are fetched when they are first used. A pre-trained model {LICENCE}.",
    )
    print_parts(table, *(Text(remark, style="dim") for remark in remarks))
