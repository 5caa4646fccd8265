"""The method on real videos of people, fold by fold: what do single frames tell, what does time add, and where?

    python benchmarks/actions.py train CLIPS --init FEATURES.safetensors --runs runs/actions
    python benchmarks/actions.py read --runs runs/actions

CLIPS is a folder with groups.csv (path, label, source and fold) and classes.txt. Every fold is held out once, and
nothing is chosen by it: a template is trained on the others as a recipe for J-HMDB says, its strategies are compared
on sources that are taken from those folds, and Opt, Opt within a budget, S, ST and S+ST are cut out of it; Opt is
trained further. The questions are the actions, the actions with the frames of every clip mixed, and the arrow of time:
the same clips forward or reversed, without actions that look the same both ways. What ends is not trained again.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool
from side_by_side import machine
from space_templates import begun, by_branch, effects_of

from stzoo import nets
from stzoo.files import write_json
from stzoo.inference import video_scores
from stzoo.metrics import Estimate, mean_over_sources, share
from stzoo.nets.classifier import Classifier
from stzoo.recipe import Recipe, read
from stzoo.space.costs import size_costs
from stzoo.space.judge import Judge
from stzoo.space.one_shot import Answers, pruned
from stzoo.space.search import search
from stzoo.space.selection import baselines
from stzoo.strategies.strategy import Strategy
from stzoo.training.blueprint import template_tables
from stzoo.training.stages import Stages

FOLDS = (0, 1, 2, 3)
BUDGET = 0.25
"""Of the way from the cheapest strategy to the dearest."""

QUESTIONS: dict[str, tuple[str, ...]] = {
    "actions": (),
    "shuffled": ("data.frame_order='shuffled'",),
    "arrow": ("data.frame_order='arrow'", "data.leave_out=['clap', 'wave', 'pullup', 'brush_hair']"),
}
MOTION = ("sit", "stand", "catch", "throw", "run", "walk", "climb_stairs", "jump", "pick", "push")
PARTS = {"all": (), "motion": MOTION, "sit or stand": ("sit", "stand")}
"""Classes whose videos are also counted by themselves; none are all."""


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


def strategies_of(stages: Stages, template: Classifier) -> dict[str, Strategy]:
    """The strategies that are measured, by name: the selected, the selected within the budget, and the uniform ones."""
    chosen = stages.select(template, template_tables(stages.run).selection.strategies).winner.strategy
    costs = size_costs(stages.blueprint.architecture, stages.selection.contract).multiply_adds
    least, most = costs.of(costs.cheapest), costs.of(costs.dearest)
    judge = Judge(template, stages.selection, stages.run.path("answers.npz"))
    within = search(judge, costs, round(least + BUDGET * (most - least)))
    return {"opt": chosen, "opt within the budget": within.strategy, **baselines(template)}


def measure(stages: Stages) -> dict[str, Any]:
    """What every net of a run answers about the fold that is held out, with the effects of its template's branches."""
    template = stages.variational()
    held_out, contract = stages.data.test("val")
    strategies = strategies_of(stages, template)
    costs = size_costs(stages.blueprint.architecture, contract)
    rows = {}
    for name, strategy in strategies.items():
        ways = {"pruned": pruned(template, strategy, stages.selection)}
        if name == "opt" and (finetuned := stages.finetune(template, strategy)) is not None:
            ways["finetuned"] = finetuned
        for way, net in ways.items():
            answers = answers_of(net, stages)
            rows[f"{name}, {way}"] = {
                "strategy": strategy.text(),
                "multiply_adds": costs.multiply_adds.of(strategy),
                "right": answers.right.astype(int).tolist(),
                "cross_entropy": answers.score().cross_entropy,
            }
            print(f"{stages.run.folder.name} {name}, {way}: {answers.right.mean():.3f}", flush=True)
    effects = by_branch(effects_of(template, stages))
    return {
        "labels": [stages.data.labels[label] for label in held_out.labels],
        "videos": [str(item.path.relative_to(stages.run.recipe.data.folder)) for item in held_out.items],
        "sources": [item.source for item in held_out.items],
        "nets": rows,
        "effects": {f"{site} {branch}": mean._asdict() for (site, branch), mean in effects.items()},
        "drop": {site: dict(drops) for site, drops in nets.posterior(template).drop.items()},
    }


def answers_of(net: Classifier, stages: Stages) -> Answers:
    """What a net answers about the fold that is held out, under the recipe's protocol."""
    held_out, contract = stages.data.test("val")
    scores = video_scores(net.eval(), held_out.clips, contract, device=stages.machine.device, at_once=32)
    return Answers.of(scores, held_out.labels)


class Pooled(NamedTuple):
    """The answers of a question's nets about all folds that are there, one after the other."""

    classes: list[str]
    """Of every video: its action, also where the arrow of time is asked."""
    sources: list[str]
    right: dict[str, Bool[np.ndarray, " videos"]]

    @classmethod
    def of(cls, folds: list[Mapping[str, Any]]) -> Pooled:
        classes = [video.partition("/")[0] for fold in folds for video in fold["videos"]]
        names = [name for name in folds[0]["nets"] if all(name in fold["nets"] for fold in folds)]
        right = {
            name: np.concatenate([np.array(fold["nets"][name]["right"], bool) for fold in folds]) for name in names
        }
        return cls(classes, [source for fold in folds for source in fold["sources"]], right)

    def part(self, names: tuple[str, ...]) -> Pooled:
        """The videos of these classes; of all, where there are none."""
        kept = np.array([not names or name in names for name in self.classes])
        chosen = [[value for value, keep in zip(values, kept, strict=True) if keep] for values in self[:2]]
        return Pooled(chosen[0], chosen[1], {name: right[kept] for name, right in self.right.items()})

    def accuracies(self) -> Iterator[tuple[str, Estimate, Estimate]]:
        """Of every net its accuracy, and how much better it is than S, with intervals over sources."""
        base = self.right["s, pruned"].astype(np.float64)
        for name, right in self.right.items():
            gain = mean_over_sources(right - base, self.sources).estimate(len(base))
            yield name, share(right, self.sources), gain


def tables(question: str, folds: dict[int, Mapping[str, Any]]) -> Iterator[str]:
    """Accuracies of every part, of every fold and of every class, in Markdown."""
    pooled = Pooled.of(list(folds.values()))
    yield f"### {question}: folds {', '.join(map(str, folds))}\n"
    parts = {name: part for name, classes in PARTS.items() if (part := pooled.part(classes)).classes}
    yield f"| net | {' | '.join(f'{name}, n = {len(part.classes)} | less S' for name, part in parts.items())} |"
    yield f"|---{'|---' * 2 * len(parts)}|"
    columns = [list(part.accuracies()) for part in parts.values()]
    for row in zip(*columns, strict=True):
        cells = [cell for _, accuracy, gain in row for cell in (percent(accuracy), percent(gain, "+"))]
        yield f"| {row[0][0]} | {' | '.join(cells)} |"
    yield f"\n| net | {' | '.join(f'fold {fold}' for fold in folds)} |\n|---{'|---' * len(folds)}|"
    for name in pooled.right:
        shares = [f"{100 * np.mean(fold['nets'][name]['right']):.1f}" for fold in folds.values()]
        yield f"| {name} | {' | '.join(shares)} |"
    names = list(pooled.right)
    yield f"\n| class | n | {' | '.join(names)} |\n|---|---{'|---' * len(names)}|"
    for label in sorted(set(pooled.classes)):
        part = pooled.part((label,))
        cells = [f"{100 * right.mean():.0f}" for right in part.right.values()]
        yield f"| {label} | {len(part.classes)} | {' | '.join(cells)} |"


def percent(estimate: Estimate, sign: str = "") -> str:
    value, low, high = (100 * number for number in (estimate.value, estimate.low, estimate.high))
    return f"{value:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"


def train(options: argparse.Namespace) -> None:
    runs = options.runs / options.recipe
    cells = {
        f"{question}-{fold}": overrides(options.recipe, options.clips, options.init, question, fold)
        for fold in options.folds
        for question in options.questions
    }
    for own in cells.values():
        read(options.recipe, own)
    for name, own in cells.items():
        answers = runs / f"{name}.json"
        if not answers.exists():
            stages = begun(runs / name, options.recipe, own, options.cache)
            write_json(answers, {"machine": machine(), **measure(stages)})


def tell(options: argparse.Namespace) -> None:
    found = {}
    for question in options.questions:
        paths = {fold: options.runs / options.recipe / f"{question}-{fold}.json" for fold in FOLDS}
        folds = {fold: json.loads(path.read_text(encoding="utf-8")) for fold, path in paths.items() if path.exists()}
        if not folds:
            continue
        print("\n".join(tables(question, folds)), end="\n\n")
        pooled = Pooled.of(list(folds.values()))
        found[question] = {
            "folds": list(folds),
            "nets": {
                part: {
                    name: {"accuracy": asdict(accuracy), "less_s": asdict(gain)}
                    for name, accuracy, gain in pooled.part(classes).accuracies()
                }
                for part, classes in PARTS.items()
                if pooled.part(classes).classes
            },
            "runs": {
                fold: {key: run[key] for key in ("machine", "effects", "drop")}
                | {"strategies": {name: net["strategy"] for name, net in run["nets"].items()}}
                for fold, run in folds.items()
            },
        }
    write_json(options.results / f"{options.recipe}-folds.json", found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("train", train), ("read", tell)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--runs", type=Path, default=Path("runs/actions"))
        command.add_argument("--questions", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
        command.add_argument("--recipe", default="jhmdb21-mobilenet_v2", help="the name of one that ships")
        if name == "train":
            command.add_argument("clips", type=Path)
            command.add_argument("--init", help="weights to start from; the recipe's, if they are not given")
            command.add_argument("--folds", type=int, nargs="+", default=FOLDS)
            command.add_argument("--cache", type=Path, default=Path("data/cache"))
        else:
            command.add_argument("--results", type=Path, default=Path("docs/results"), help="a folder")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
