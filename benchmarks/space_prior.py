"""Does a prior that knows cost put its strategies where they pay? Four prices, from one warm-up.

    stzoo train recipes/camera-motion.toml --set compute.precision=bfloat16 --out runs/space/motion-0
    python benchmarks/space_prior.py --data data/camera --runs runs/space

takes the warm-up of runs/space/motion-0, whose template was trained with the price of the paper, k ||w||^2 / N, and
trains four more with `objective.form = "cost"`. From every posterior strategies are drawn, and beside each stands a
random one of its cost out of the same template. All are scored one-shot on the selection split; none is chosen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import machine
from space_templates import begun

from stzoo import nets
from stzoo.files import write_json
from stzoo.metrics import mean_over_sources
from stzoo.nets.classifier import Classifier
from stzoo.space.costs import random_within, size_costs
from stzoo.space.judge import Judge
from stzoo.training.stages import Stages

PRICES = (0.3, 1.0, 3.0, 10.0)
DRAWS = 40


def drawn_against_random(template: Classifier, stages: Stages) -> dict[str, Any]:
    """Draws of a template's posterior, and as many random strategies that what each of them costs just pays for."""
    posterior = nets.posterior(template)
    costs = size_costs(stages.blueprint.architecture, stages.selection.contract).multiply_adds
    drawn = [posterior.sample(1, index) for index in range(DRAWS)]
    random = [random_within(costs, costs.of(one), 1, index) for index, one in enumerate(drawn)]
    judge = Judge(template, stages.selection, stages.run.path("prior-answers.npz"))
    judge.ask([*drawn, *random])
    better = np.mean([judge.answers(b).losses - judge.answers(a).losses for a, b in zip(drawn, random, strict=True)], 0)
    sources = [stages.selection.sources[row] for row in judge.order]
    gain = mean_over_sources(better, sources).estimate(len(sources))
    return {
        "different": len(set(drawn)),
        "multiply_adds": {"mean": np.mean([costs.of(one) for one in drawn]), "least": min(map(costs.of, drawn)),
                          "most": max(map(costs.of, drawn))},
        "random_multiply_adds": np.mean([costs.of(one) for one in random]),
        "cross_entropy": np.mean([judge.loss(one) for one in drawn]),
        "random_cross_entropy": np.mean([judge.loss(one) for one in random]),
        "less_than_random": {"value": gain.value, "low": gain.low, "high": gain.high},
        "accuracy": np.mean([judge.score(one).accuracy for one in drawn]),
        "random_accuracy": np.mean([judge.score(one).accuracy for one in random]),
        "drop": {site: dict(drops) for site, drops in posterior.drop.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/space"))
    parser.add_argument("--data", type=Path, default=Path("data/camera"))
    parser.add_argument("--cache", type=Path, default=Path("data/cache"))
    parser.add_argument("--results", type=Path, default=Path("docs/results/space-prior.json"))
    options = parser.parse_args()
    root = f"data.root='{options.data.resolve()}'"
    first = begun(options.runs / "motion-0", "camera-motion", [root], options.cache)
    found = {"k 5": drawn_against_random(first.variational(), first)}
    for price in PRICES:
        own = [root, "objective.form='cost'", f"objective.k={price}"]
        warm_up = first.run.weights("warmup")
        stages = begun(options.runs / f"cost-{price:g}", "camera-motion", own, options.cache, warm_up)
        found[f"cost {price:g}"] = drawn_against_random(stages.variational(), stages)
        print(
            json.dumps({name: {**row, "drop": ...} for name, row in found.items()}, indent=1, default=str), flush=True
        )
    write_json(options.results, {"machine": machine(), "draws": DRAWS, "priors": found})


if __name__ == "__main__":
    main()
