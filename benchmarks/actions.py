"""The method on real videos of people, fold by fold: what do single frames tell, what does time add, and where?

    python benchmarks/actions.py train CLIPS --init FEATURES.safetensors --runs runs/actions
    python benchmarks/actions.py read --runs runs/actions

CLIPS is a folder with groups.csv (path, label, source and fold) and classes.txt. Every fold is held out once, and
nothing is chosen by it: a template is trained on the others as a recipe for J-HMDB says, its strategies are compared
on sources that are taken from those folds, and Opt, Opt within a budget, S, ST and S+ST are cut out of it; Opt is
trained further. The questions are the actions, the actions with the frames of every clip mixed, and the arrow of time:
the same clips forward or reversed, without actions that look the same both ways. `read` puts what has ended into
docs/results/RECIPE-folds.jsonl, a line for every question and fold; what stands there is not trained again.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from action_tables import Cell, effects_table, tables
from jaxtyping import Int64
from side_by_side import machine
from space_templates import begun, by_branch, effects_of

from stzoo import nets
from stzoo.files import write_json, write_text
from stzoo.inference import video_scores
from stzoo.nets.classifier import Classifier
from stzoo.recipe import Recipe, read
from stzoo.space.costs import size_costs
from stzoo.space.judge import Judge
from stzoo.space.one_shot import pruned
from stzoo.space.search import search
from stzoo.space.selection import baselines
from stzoo.strategies.strategy import Strategy
from stzoo.training.blueprint import template_tables
from stzoo.training.data import CALIBRATION_BATCH
from stzoo.training.stages import Stages

FOLDS = (0, 1, 2, 3)
BUDGET = 0.25
"""Of the way from the cheapest strategy to the dearest."""

CALIBRATED = 64
"""Clips whose batch-norm statistics strategies are searched with."""

QUESTIONS: dict[str, tuple[str, ...]] = {
    "actions": (),
    "shuffled": ("data.frame_order='shuffled'",),
    "arrow": ("data.frame_order='arrow'", "data.leave_out=['clap', 'wave', 'pullup', 'brush_hair']"),
}

WITH_EFFECTS = ("actions", "arrow")
"""The questions whose branches are measured one by one; of mixed frames the accuracy alone is asked."""


def overrides(recipe: str, clips: Path, init: str | None, question: str, fold: int) -> list[str]:
    """What the recipe becomes for a question and a fold of these clips."""
    data = ["format='list'", f"root='{clips.resolve()}'", "classes='classes.txt'", "train='groups.csv'", f"fold={fold}"]
    own = [f"data.{line}" for line in data] + ([] if init is None else [f"init.from='{init}'"])
    epochs = halved(read(recipe)) if question == "arrow" else ()
    return [*own, "bundle.template=false", *QUESTIONS[question], *epochs]


def halved(recipe: Recipe) -> Iterator[str]:
    """Half of a recipe's epochs: of two clips for every video, they are as many steps."""
    for stage, table in recipe.stages.items():
        yield f"{stage}.epochs={math.ceil(table.epochs / 2)}"
        yield f"{stage}.milestones={[math.ceil(milestone / 2) for milestone in table.milestones]}"
        yield f"{stage}.head_epochs={math.ceil(table.head_epochs / 2)}"


def searching(template: Classifier, stages: Stages) -> Judge:
    """Who compares strategies in the search within a budget, and measures effects.

    It takes batch-norm statistics of a quarter of the clips, which are the same for all that it compares; they are most
    of its work.
    """
    calibration = stages.selection.calibration
    assert calibration is not None
    fewer = replace(stages.selection, calibration=lambda: islice(calibration(), CALIBRATED // CALIBRATION_BATCH))
    return Judge(template, fewer, stages.run.path("search.npz"))


def strategies_of(stages: Stages, template: Classifier, judge: Judge) -> dict[str, Strategy]:
    """The strategies that are measured, by name: the selected, the selected within the budget, and the uniform ones."""
    chosen = stages.select(template, template_tables(stages.run).selection.strategies).winner.strategy
    costs = size_costs(stages.blueprint.architecture, stages.selection.contract).multiply_adds
    least, most = costs.of(costs.cheapest), costs.of(costs.dearest)
    within = search(judge, costs, round(least + BUDGET * (most - least)))
    return {"opt": chosen, "opt within the budget": within.strategy, **baselines(template)}


def measure(stages: Stages, with_effects: bool) -> dict[str, Any]:
    """What every net of a run answers about the fold that is held out, maybe with the effects of its branches."""
    template = stages.variational()
    held_out, contract = stages.data.test("val")
    judge = searching(template, stages)
    strategies = strategies_of(stages, template, judge)
    costs = size_costs(stages.blueprint.architecture, contract)
    rows = {}
    for name, strategy in strategies.items():
        ways = {"pruned": pruned(template, strategy, stages.selection)}
        if name == "opt" and (finetuned := stages.finetune(template, strategy)) is not None:
            ways["finetuned"] = finetuned
        for way, net in ways.items():
            places = places_of(net, stages)
            rows[f"{name}, {way}"] = {
                "strategy": strategy.text(),
                "multiply_adds": costs.multiply_adds.of(strategy),
                "places": places.tolist(),
            }
            print(f"{stages.run.folder.name} {name}, {way}: {(places == 0).mean():.3f}", flush=True)
    effects = by_branch(effects_of(judge, stages)) if with_effects else {}
    return {
        "videos": [str(item.path.relative_to(stages.run.recipe.data.folder)) for item in held_out.items],
        "sources": [item.source for item in held_out.items],
        "nets": rows,
        "effects": {f"{site} {branch}": mean._asdict() for (site, branch), mean in effects.items()},
        "drop": {site: dict(drops) for site, drops in nets.posterior(template).drop.items()},
    }


def places_of(net: Classifier, stages: Stages) -> Int64[np.ndarray, " videos"]:
    """How many classes a net puts before the right one, for every video of the fold that is held out."""
    held_out, contract = stages.data.test("val")
    scores = video_scores(net.eval(), held_out.clips, contract, device=stages.machine.device, at_once=32)
    return (scores > scores[np.arange(len(scores)), held_out.labels][:, None]).sum(axis=1)


def ended(options: argparse.Namespace) -> dict[str, Cell]:
    """What has ended, by question and fold: of the results' file, and of this machine's runs."""
    lines = results.read_text(encoding="utf-8").splitlines() if (results := results_of(options)).exists() else []
    own = [path.read_text(encoding="utf-8") for path in sorted((options.runs / options.recipe).glob("*.json"))]
    return {f"{cell['question']}-{cell['fold']}": cell for cell in map(json.loads, [*lines, *own])}


def results_of(options: argparse.Namespace) -> Path:
    path: Path = options.results / f"{options.recipe}-folds.jsonl"
    return path


def train(options: argparse.Namespace) -> None:
    cells = {
        (question, fold): overrides(options.recipe, options.clips, options.init, question, fold)
        for fold in options.folds
        for question in options.questions
    }
    for own in cells.values():
        read(options.recipe, own)
    for (question, fold), own in cells.items():
        name = f"{question}-{fold}"
        if name not in ended(options):
            folder = options.runs / options.recipe / name
            stages = begun(folder, options.recipe, own, options.cache)
            about = {"question": question, "fold": fold, "machine": machine()}
            write_json(folder.with_name(f"{name}.json"), {**about, **measure(stages, question in WITH_EFFECTS)})


def tell(options: argparse.Namespace) -> None:
    cells = dict(sorted(ended(options).items()))
    if not cells:
        raise SystemExit(f"nothing of {options.recipe} has ended under {options.runs}")
    write_text(results_of(options), "".join(f"{json.dumps(cell)}\n" for cell in cells.values()))
    found = {
        question: {fold: cells[f"{question}-{fold}"] for fold in FOLDS if f"{question}-{fold}" in cells}
        for question in options.questions
    }
    found = {question: folds for question, folds in found.items() if folds}
    for question, folds in found.items():
        print("\n".join(tables(question, folds)))
    if asked := {question: folds for question, folds in found.items() if question in WITH_EFFECTS}:
        print("\n".join(effects_table(asked)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("train", train), ("read", tell)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--runs", type=Path, default=Path("runs/actions"))
        command.add_argument("--questions", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
        command.add_argument("--recipe", default="jhmdb21-mobilenet_v2", help="the name of one that ships")
        command.add_argument("--results", type=Path, default=Path("docs/results"), help="a folder")
        if name == "train":
            command.add_argument("clips", type=Path)
            command.add_argument("--init", help="weights to start from; the recipe's, if they are not given")
            command.add_argument("--folds", type=int, nargs="+", default=FOLDS)
            command.add_argument("--cache", type=Path, default=Path("data/cache"))
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
