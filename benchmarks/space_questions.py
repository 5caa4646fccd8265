"""Does the question change where time matters? Two questions about the same videos, and labels that mean nothing.

    stzoo data make camera --out data/camera
    python benchmarks/space_questions.py --data data/camera --runs runs/space --seeds 0 1 2 3

trains a template a seed for `motion` and for `scene`, with as much warm-up and the same price, measures their effects
on their own selection splits, and tests with all assignments of the runs to the questions whether posteriors, or
effects, differ more between questions than between seeds. One more template is trained on labels of `motion` that
were shuffled: of its gates, the evidence should say that nothing was learnt.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import machine
from space_templates import begun, by_branch, effects_of

from stzoo import nets
from stzoo.files import write_json, write_text
from stzoo.space.comparison import Subject, compare, logits_of
from stzoo.space.judge import Judge

EPOCHS = ["warmup.epochs=18", "variational.epochs=6", "objective.k=5.0", "variational.gate_learning_rate=0.3"]
NULL = "motion-shuffled"


def shuffled_list(data: Path) -> str:
    """A training list of `motion` whose labels stand in random order; its path below the set."""
    lines = (data / "motion/train.txt").read_text(encoding="utf-8").splitlines()
    paths, labels = zip(*(line.rsplit(" ", 1) for line in lines), strict=True)
    order = np.random.default_rng(0).permutation(len(labels))
    write_text(
        data / "motion/train-shuffled.txt",
        "".join(f"{path} {labels[place]}\n" for path, place in zip(paths, order, strict=True)),
    )
    return "motion/train-shuffled.txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/space"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--data", type=Path, default=Path("data/camera"))
    parser.add_argument("--cache", type=Path, default=Path("data/cache"))
    parser.add_argument("--results", type=Path, default=Path("docs/results/space-questions.json"))
    options = parser.parse_args()
    root = [f"data.root='{options.data.resolve()}'", *EPOCHS]
    wanted = [
        (f"{question}-{seed}", question, [f"seed={seed}"]) for seed in options.seeds for question in ("motion", "scene")
    ]
    wanted.append((NULL, "motion", ["seed=0", f"data.train='{shuffled_list(options.data)}'"]))
    subjects, rows = [], dict[str, Any]()
    for name, question, own in wanted:
        stages = begun(options.runs / name, f"camera-{question}", [*root, *own], options.cache)
        template = stages.variational()
        evidence, effects = stages.evidence(template), effects_of(Judge(template, stages.selection), stages)
        posterior = nets.posterior(template)
        rows[name] = {
            "evidence": evidence.to_json(),
            "drop": {site: dict(drops) for site, drops in posterior.drop.items()},
            "cross_entropy": effects.cross_entropy,
            "effects": {f"{site} {branch}": mean._asdict() for (site, branch), mean in by_branch(effects).items()},
        }
        if name != NULL:
            subjects.append(Subject(name, question, logits_of(posterior), by_branch(effects)))
    compared = compare(subjects)
    tests = {"logits": compared.logits_test, "effects": compared.effects_test}
    found = {
        "machine": machine(),
        "tests": {by: test and asdict(test) for by, test in tests.items()},
        "distances": {
            "runs": [subject.name for subject in subjects],
            "logits": compared.by_logits.tolist(),
            "effects": None if compared.by_effects is None else compared.by_effects.tolist(),
        },
    }
    write_json(options.results, {**found, "runs": rows})
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
