"""Is the chosen strategy better, or only trained for longer? The others get its extra epochs too.

    stzoo train recipes/camera-motion.toml --set compute.precision=bfloat16 --set seed=0 --out runs/space/motion-0
    python benchmarks/space_control.py --runs runs/space --seeds 0 1 2

takes the finished runs runs/space/motion-SEED. Out of every template, besides the chosen strategy, ST and S+ST
everywhere and the most probable strategy are pruned, and each is finetuned as the recipe says. Differences are paired
over videos, their intervals are over pictures, and all seeds together count every video once a seed.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from side_by_side import machine
from space_nets import measured

from stzoo.files import write_json
from stzoo.metrics import mean_over_sources, share
from stzoo.space.one_shot import pruned
from stzoo.space.selection import baselines
from stzoo.training.blueprint import template_tables
from stzoo.training.run import Run
from stzoo.training.stages import prepare
from stzoo.training.voice import Voice

CHOSEN = "chosen"
Right = dict[tuple[str, str], Float64[np.ndarray, " videos"]]
"""By net and weights: which videos it gets right."""


def of_seed(folder: Path, data: Path, cache: Path) -> tuple[Right, list[str]]:
    """Every net of a run, pruned and finetuned, on the videos that chose nothing; and the videos' pictures."""
    run = Run.open(folder)
    stages = prepare(run, cache, Voice(print, progress=False))
    template = stages.variational()
    winner = stages.select(template, template_tables(run).selection.strategies).winner.strategy
    right: Right = {}
    pictures: list[str] = []
    for name, strategy in {CHOSEN: winner, **baselines(template)}.items():
        nets = {"pruned": pruned(template, strategy, stages.selection)}
        if name != "s" and (finetuned := stages.finetune(template, strategy)) is not None:
            nets["finetuned"] = finetuned
        for how, net in nets.items():
            answers, pictures = measured(net, run.bundle, data, "motion", cache)
            right[name, how] = answers.right.astype(np.float64)
            print(f"{folder.name} {name} {how}: {answers.right.mean():.4f}", flush=True)
    return right, pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/space"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data", type=Path, default=Path("data/camera"))
    parser.add_argument("--cache", type=Path, default=Path("data/cache"))
    parser.add_argument("--results", type=Path, default=Path("docs/results/space-control.json"))
    options = parser.parse_args()
    by_seed = [of_seed(options.runs / f"motion-{seed}", options.data, options.cache) for seed in options.seeds]
    pictures = [picture for _, of_videos in by_seed for picture in of_videos]
    rows: list[dict[str, Any]] = []
    for net in by_seed[0][0]:
        right = np.concatenate([of_net[net] for of_net, _ in by_seed])
        best = np.concatenate([of_net[CHOSEN, "finetuned"] for of_net, _ in by_seed])
        lead = mean_over_sources(best - right, pictures).estimate(len(pictures))
        rows.append(
            {
                "net": net[0],
                "weights": net[1],
                "accuracy": asdict(share(right.astype(bool), pictures)),
                "by_seed": [float(of_net[net].mean()) for of_net, _ in by_seed],
                "less_than_chosen_finetuned": asdict(lead),
            }
        )
    write_json(options.results, {"seeds": options.seeds, "machine": machine(), "videos": len(pictures), "nets": rows})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
