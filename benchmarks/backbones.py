"""S, ST, S+ST and Opt on one question: the tables of docs/results/backbones.md and docs/results/mocap15.md.

    python benchmarks/backbones.py --runs runs --runs runs-of-other-backbones
    python benchmarks/backbones.py --runs runs --recipe mocap15 --out docs/results/mocap15.json

reads finished runs of a recipe and its fixed siblings, of any backbone, and writes the rows. The nets trained alone are
those with a [fixed] table; of a template, its winner is read as pruned and as finetuned. Rows that the file has of
other nets stay, so that a backbone is added without the runs of the rest.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from stzoo.files import write_json
from stzoo.nets import Architecture
from stzoo.nets.measure import measure
from stzoo.strategies.names import named
from stzoo.strategies.strategy import Strategy
from stzoo.training.blueprint import architecture_of
from stzoo.training.run import Run

WINNER = {"opt": "pruned", "opt-finetuned": "finetuned"}
ORDER = ("S", "ST", "S+ST", "Opt by rule", "Opt by selection")


@dataclass(frozen=True)
class Line:
    """One net: which strategy, where its weights come from, what it costs for one clip, and its accuracy on a split."""

    backbone: str
    kind: str
    weights: str
    strategy: str
    parameters: int
    multiply_adds: int
    split: str
    accuracy: float
    low: float
    high: float
    n: int


def kind_of(strategy: Strategy, architecture: Architecture) -> str:
    """Which column of the paper's Table 6 a strategy trained alone belongs to."""
    counts = strategy.counts()
    if len(counts) == 1:
        return next(iter(counts))
    ruled = named("rule:sthv1", architecture.backbone, architecture.sites)
    return "Opt by rule" if strategy == ruled else "Opt by selection"


def lines_of(run: Run) -> Iterator[Line]:
    """What a finished run measured, of the nets that the table compares."""
    recipe = run.recipe
    labels = json.loads((run.bundle / "config.json").read_text(encoding="utf-8"))["classes"]["labels"]
    architecture = architecture_of(recipe, len(labels))
    for row in json.loads(run.path("metrics.json").read_text(encoding="utf-8")):
        strategy = Strategy.from_text(row["strategy"])
        if recipe.fixed is not None:
            kind, weights = kind_of(strategy, architecture), "alone"
        elif row["net"] in WINNER:
            kind, weights = "Opt by selection", WINNER[row["net"]]
        else:
            continue
        shape = recipe.input
        cost = measure(architecture, strategy, frames=shape.frames, height=shape.crop, width=shape.crop)
        yield Line(
            recipe.net.backbone, kind, weights, row["strategy"], cost.parameters, cost.multiply_adds,
            row["split"], row["accuracy"], row["low"], row["high"], row["n"],
        )  # fmt: skip


def kept(path: Path, found: list[Line]) -> list[Line]:
    """The lines of a file that are of other nets than those found."""
    if not path.exists():
        return []
    lines = [Line(**row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    nets = {_net(line) for line in found}
    return [line for line in lines if _net(line) not in nets]


def _net(line: Line) -> tuple[str, str, str]:
    return line.backbone, line.kind, line.weights


def table(lines: list[Line]) -> str:
    """Markdown: a row a net, a column a split, accuracy in per cent with its interval."""
    splits = list(dict.fromkeys(line.split for line in lines))
    head = ["backbone", "strategy", "weights", "sites with S / ST / S+ST", "parameters", "multiply-adds", *splits]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    nets = dict.fromkeys(map(_net, lines))
    for net in sorted(nets, key=lambda net: (net[0], ORDER.index(net[1]), net[2])):
        of_net = {line.split: line for line in lines if _net(line) == net}
        first = next(iter(of_net.values()))
        counts = Strategy.from_text(first.strategy).counts()
        units = " / ".join(str(counts.get(unit, 0)) for unit in ("S", "ST", "S+ST"))
        cells = [
            f"{100 * x.accuracy:.1f} ({100 * x.low:.1f} to {100 * x.high:.1f})" for x in map(of_net.get, splits) if x
        ]
        size = [f"{first.parameters:,}", f"{first.multiply_adds / 1e6:.1f} M"]
        rows.append("| " + " | ".join([*net, units, *size, *cells]) + " |")
    return "\n".join(rows)


def main() -> None:
    """Reads the runs, prints the table and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, action="append", required=True, help="a folder of runs; may be repeated")
    parser.add_argument("--recipe", default="camera-motion", help="what the names of the runs begin with")
    parser.add_argument("--out", type=Path, default=Path("docs/results/backbones.json"))
    arguments = parser.parse_args()
    lines: list[Line] = []
    for folder in arguments.runs:
        for path in sorted(folder.glob(f"{arguments.recipe}*/recipe.toml")):
            run = Run.open(path.parent)
            if run.recipe.seed == 0 and run.bundle.exists():
                lines += lines_of(run)
    if not lines:
        runs = ", ".join(map(str, arguments.runs))
        sys.exit(f"no finished {arguments.recipe} run in {runs}; train the recipe first")
    lines = kept(arguments.out, lines) + lines
    print(table(lines))
    write_json(arguments.out, {"rows": [asdict(line) for line in lines]})


if __name__ == "__main__":
    main()
