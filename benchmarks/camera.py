"""Does the question change where time matters? The tables and the figure of docs/results/camera.md.

    python benchmarks/camera.py --runs runs

reads finished runs of the recipes camera-motion, camera-scene and their -s, -st and -sst, adds a declared hard setting
on the same test videos, and writes camera.json and camera-posteriors.png. Runs of further seeds are folders such as
runs/camera-motion-st-seed1, made with --set seed=1; the winner trained alone is a run named camera-motion-opt-alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from stzoo import nets
from stzoo.data.cache import open_clips
from stzoo.figures.strategies import posteriors_side_by_side
from stzoo.files import write_json
from stzoo.inference import video_scores
from stzoo.metrics import accuracy
from stzoo.space.one_shot import pruned
from stzoo.space.selection import baselines
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy
from stzoo.training.blueprint import template_tables
from stzoo.training.results import Candidate
from stzoo.training.run import Run
from stzoo.training.stages import Stages, prepare
from stzoo.training.voice import SILENT

QUESTIONS = ("motion", "scene")


@dataclass(frozen=True)
class Hard:
    """The hard setting: one centre clip of few frames, with pixel noise of this standard deviation (0 to 255)."""

    frames: int
    noise: float


@dataclass(frozen=True)
class Line:
    """One net of one question and seed, on one split in one setting."""

    question: str
    seed: int
    net: str
    weights: str
    split: str
    setting: str
    accuracy: float
    low: float
    high: float
    n: int
    strategy: str


def finished_runs(folder: Path, question: str) -> Iterator[Run]:
    """Template and fixed runs of a question, all seeds, that have a bundle."""
    for path in sorted(folder.glob(f"camera-{question}*/recipe.toml")):
        run = Run.open(path.parent)
        if run.bundle.exists() and "-sweep" not in path.parent.name:
            yield run


def label(name: str, question: str) -> str:
    """A net's name in the tables: that of a run trained alone without its question."""
    return name.removeprefix(f"camera-{question}-").removesuffix("-alone")


def measured(run: Run, question: str) -> Iterator[Line]:
    """What the run itself measured, on the clips of the contract."""
    for row in json.loads(run.path("metrics.json").read_text(encoding="utf-8")):
        yield Line(
            question, run.recipe.seed, label(row["net"], question), row["how"], row["split"], "contract",
            row["accuracy"], row["low"], row["high"], row["n"], row["strategy"],
        )  # fmt: skip


def candidates_of(run: Run, stages: Stages) -> Iterator[Candidate]:
    """Everything that a finished run compares."""
    if run.recipe.fixed is not None:
        yield Candidate(run.recipe.name, "alone", stages.blueprint.strategy, stages.fixed())
        return
    template = stages.variational()
    winner = stages.select(template, template_tables(run).selection.strategies).winner.strategy
    for name, strategy in {"opt": winner, **baselines(template)}.items():
        yield Candidate(name, "pruned", strategy, pruned(template, strategy, stages.selection))
    finetuned = stages.finetune(template, winner)
    if finetuned is not None:
        yield Candidate("opt-finetuned", "finetuned", winner, finetuned)


def measured_hard(run: Run, question: str, cache: Path, hard: Hard) -> Iterator[Line]:
    """Every net of the run on its test lists in the hard setting; the noise is the same for all nets."""
    stages = prepare(run, cache, SILENT)
    contract = run.recipe.input.model_copy(update={"frames": hard.frames, "clips": 1})
    for split in run.recipe.data.tests:
        clips = open_clips(cache, stages.data.tests[split], contract, progress=False)
        noise = np.random.default_rng(0).normal(0.0, hard.noise, clips.clips.shape)
        noisy = np.clip(clips.clips + noise, 0, 255).astype(np.uint8)
        for candidate in candidates_of(run, stages):
            measured = accuracy(video_scores(candidate.net, noisy, contract), clips.labels)
            setting = f"{hard.frames} frames, noise {hard.noise:g}"
            yield Line(
                question, run.recipe.seed, label(candidate.name, question), candidate.how, split, setting,
                measured.value, measured.low, measured.high, measured.n, candidate.strategy.text(),
            )  # fmt: skip


def table(lines: list[Line], split: str, setting: str) -> str:
    """Markdown: a row a net, a column a seed, accuracy in per cent with its interval and the units of the strategy.

    The mean stands behind them where every seed has the net.
    """
    shown = [line for line in lines if (line.split, line.setting) == (split, setting)]
    seeds = sorted({line.seed for line in shown})
    columns = [
        "net",
        "weights",
        "S / ST / S+ST sites",
        *(f"seed {seed}" for seed in seeds),
        *["mean"][: len(seeds) - 1],
    ]
    rows = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    seen: dict[tuple[str, int, str], str] = {}
    for name, how in dict.fromkeys((line.net, line.weights) for line in shown):
        of_net = {line.seed: line for line in shown if (line.net, line.weights) == (name, how)}
        first = {seed: seen.setdefault((how, seed, line.strategy), name) for seed, line in of_net.items()}
        cells = [_cell(of_net.get(seed), name, first.get(seed, name)) for seed in seeds]
        if len(seeds) > 1:
            cells.append(
                f"{100 * np.mean([line.accuracy for line in of_net.values()]):.1f}" if len(of_net) == len(seeds) else ""
            )
        units = ", ".join(dict.fromkeys(_units(line.strategy) for line in of_net.values()))
        rows.append(f"| {' | '.join([name, how, units, *cells])} |")
    return "\n".join(rows)


def distances(posteriors: dict[str, Posterior]) -> str:
    """Markdown: mean probability of keeping S and ST, and the mean distance of all of them to every other posterior."""
    keeps = {
        name: np.array([[1.0 - branches[branch] for branch in ("S", "ST")] for branches in posterior.drop.values()])
        for name, posterior in posteriors.items()
    }
    columns = ["posterior", "keeps S", "keeps ST", *(f"to {name}" for name in keeps)]
    rows = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for name, keep in keeps.items():
        numbers = [*keep.mean(axis=0), *(np.abs(keep - other).mean() for other in keeps.values())]
        rows.append(f"| {name} | {' | '.join(f'{number:.2f}' for number in numbers)} |")
    return "\n".join(rows)


def _cell(line: Line | None, name: str, first: str) -> str:
    if line is None:
        return ""
    if first != name:
        return f"identical to {first}"
    return f"{100 * line.accuracy:.1f} ({100 * line.low:.1f} to {100 * line.high:.1f})"


def _units(strategy: str) -> str:
    counts = Strategy.from_text(strategy).counts()
    return " / ".join(str(counts.get(unit, 0)) for unit in ("S", "ST", "S+ST"))


def main() -> None:
    """Reads the runs, measures the hard setting, prints tables and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--cache", type=Path, help="decoded clips; by default RUNS/cache")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--hard-frames", type=int, default=4)
    parser.add_argument("--hard-noise", type=float, default=15.0)
    arguments = parser.parse_args()
    hard = Hard(arguments.hard_frames, arguments.hard_noise)
    cache = arguments.cache or arguments.runs / "cache"

    lines: list[Line] = []
    panels = []
    for question in QUESTIONS:
        for run in finished_runs(arguments.runs, question):
            lines += measured(run, question)
            lines += measured_hard(run, question, cache, hard)
            if run.recipe.fixed is None:
                stages = prepare(run, cache, SILENT)
                template = stages.variational()
                winner = stages.select(template, template_tables(run).selection.strategies).winner
                panels.append((f"{question}, seed {run.recipe.seed}", nets.posterior(template), winner.strategy))
    panels.sort(key=lambda panel: panel[0])
    if not lines:
        sys.exit(f"no finished run of a camera recipe in {arguments.runs}; train recipes/camera-motion.toml first")

    for question in QUESTIONS:
        answers = [line for line in lines if line.question == question]
        for split, setting in dict.fromkeys((line.split, line.setting) for line in answers):
            print(f"\n### {question}, {split}, {setting}\n\n{table(answers, split, setting)}")
    print(f"\n### how far posteriors are apart\n\n{distances({name: posterior for name, posterior, _ in panels})}")
    command = " ".join(["benchmarks/camera.py", *sys.argv[1:]])
    machine = {"torch": torch.__version__, "threads": torch.get_num_threads(), "processor": platform.machine()}
    write_json(
        arguments.out / "camera.json",
        {
            "command": command,
            "machine": machine,
            "posteriors": {name: posterior.to_json() for name, posterior, _ in panels},
            "rows": [asdict(line) for line in lines],
        },
    )
    if panels:
        posteriors_side_by_side(panels, arguments.out / "camera-posteriors.png")


if __name__ == "__main__":
    main()
