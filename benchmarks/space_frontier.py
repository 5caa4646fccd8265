"""Is a net that a search found under a budget better than others of its cost once all of them are finetuned?

    stzoo train recipes/camera-motion-cost.toml --set compute.precision=bfloat16 --out runs/space/camera-motion-cost
    stzoo select runs/space/camera-motion-cost --frontier
    python benchmarks/space_frontier.py runs/space/camera-motion-cost --budget 44.3M

Takes the strategies of that budget out of the run's template again and finetunes each as the recipe says, as the found
one was. Accuracies are those of the videos that chose nothing, with intervals over pictures; differences are paired.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import machine
from space_nets import measured

from stzoo.files import write_json
from stzoo.metrics import mean_over_sources, share
from stzoo.strategies.strategy import Strategy
from stzoo.training.run import Run
from stzoo.training.stages import prepare
from stzoo.training.voice import Voice

FOUND = "found"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--budget", required=True, help="as frontier.csv names it")
    parser.add_argument("--data", type=Path, default=Path("data/camera"))
    parser.add_argument("--cache", type=Path, default=Path("data/cache"))
    parser.add_argument("--results", type=Path, default=Path("docs/results/space-frontier.json"))
    options = parser.parse_args()
    run = Run.open(options.run)
    with (run.folder / "budgets" / "frontier.csv").open(newline="") as lines:
        of_budget = [row for row in csv.DictReader(lines) if row["budget"] == options.budget]
    strategies = {row["net"]: Strategy.from_text(row["strategy"]) for row in of_budget if "finetuned" not in row["net"]}
    stages = prepare(run, options.cache, Voice(print, progress=False))
    template = stages.variational()
    right: dict[str, np.ndarray] = {}
    pictures: list[str] = []
    for name, strategy in strategies.items():
        net = stages.finetune(template, strategy)
        assert net is not None, "the recipe finetunes nothing"
        answers, pictures = measured(net, run.bundle, options.data, "motion", options.cache)
        right[name] = answers.right.astype(np.float64)
        print(f"{name}: {right[name].mean():.4f}", flush=True)
    rows: list[dict[str, Any]] = []
    for row in of_budget:
        if (name := row["net"]) in right:
            lead = mean_over_sources(right[FOUND] - right[name], pictures).estimate(len(pictures))
            rows.append(
                {
                    "net": name,
                    "multiply_adds": int(row["multiply_adds"]),
                    "strategy": row["strategy"],
                    "one_shot": float(row["accuracy"]),
                    "finetuned": asdict(share(right[name].astype(bool), pictures)),
                    "less_than_found": asdict(lead),
                }
            )
    write_json(options.results, {"run": run.recipe.name, "budget": options.budget, "machine": machine(), "nets": rows})


if __name__ == "__main__":
    main()
