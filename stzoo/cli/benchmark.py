"""`stzoo benchmark`: how fast a model is on this machine, on every runtime that is there."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import rich_click as click

from stzoo.cli.drawing import UNKNOWN, plain_table, print_parts
from stzoo.cli.options import format_option_of, resolved, weights_option

if TYPE_CHECKING:
    from stzoo.runtimes import Runtime
    from stzoo.zoo.benchmarking import Failed, Speed


@click.command()
@click.argument("model", metavar="NAME|PATH|FILE.onnx|FILE.pte")
@click.option(
    "--runtime",
    type=click.Choice(["all", "torch", "onnxruntime", "openvino"]),
    default="all",
    show_default=True,
    help="What is measured; all are those that are installed and can run the model.",
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, 1024),
    multiple=True,
    help="With so many threads; may be given several times.  [default: 1, and all]",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The video that is predicted.  [default: the sample that ships with stzoo]",
)
@weights_option
@format_option_of("text", "json", "csv", default="text", help="text for people, json or csv for programs.")
def benchmark(
    model: str,
    runtime: Runtime | Literal["all"],
    threads: tuple[int, ...],
    video: Path | None,
    weights: Path | None,
    format_: str,
) -> None:
    """Measure how fast a model is here, in every runtime, precision and number of threads.

    Each is a process of its own, one after the other, of some ten seconds: what else the machine does is measured too.
    int8 is there where the model has a file in it. Differences are those of a probability of the video from torch.
    """
    from stzoo.prediction.golden import sample
    from stzoo.terminal.progress import counting
    from stzoo.zoo import benchmarking

    path = video or sample()
    ref, say = resolved(model, weights), partial(click.echo, err=True)
    with counting("Measuring", 1, unit="processes", show=sys.stderr.isatty()) as bar:
        rows = benchmarking.benchmark(ref, path, threads, runtime, say=say, advance=bar.reach)
    machine = benchmarking.machine()
    if format_ == "json":
        facts = {"model": model, "video": path.name, "machine": machine, "ways": [asdict(row) for row in rows]}
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    elif format_ == "csv":
        click.echo(_csv(rows), nl=False)
    else:
        _print(rows)
        click.echo(
            f"{path.name} on {machine['processor']}, threads by default: {machine['threads']}. Clips: median, with "
            "quartiles. *: what --runtime auto takes."
        )


def _csv(rows: Sequence[Speed | Failed]) -> str:
    from stzoo.zoo.benchmarking import Speed

    stream = io.StringIO()
    table = csv.DictWriter(stream, [*(field.name for field in fields(Speed)), "error"], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    return stream.getvalue()


def _print(rows: Sequence[Speed | Failed]) -> None:
    from stzoo.zoo.benchmarking import Failed

    table = plain_table(
        "runtime",
        "precision",
        "threads:right",
        "ms a clip:right",
        "videos a second:right",
        "cold start:right",
        "memory:right",
        "difference:right",
    )
    for row in rows:
        if isinstance(row, Failed):
            table.add_row(row.runtime, row.precision, str(row.threads), *[UNKNOWN] * 5)
            continue
        table.add_row(
            f"{row.runtime}{'*' if row.is_auto else ''}",
            row.precision,
            str(row.threads),
            f"{row.milliseconds_a_clip:.1f} ({row.milliseconds_low:.1f}–{row.milliseconds_high:.1f})",
            f"{row.videos_a_second:.1f}",
            f"{row.cold_start_seconds:.2f} s",
            UNKNOWN if row.megabytes is None else f"{row.megabytes:.0f} MB",
            UNKNOWN if row.largest_difference is None else f"{row.largest_difference:.1e}",
        )
    print_parts(table)
    for reason in dict.fromkeys(row.error for row in rows if isinstance(row, Failed)):
        click.echo(f"Not measured: {reason}")
