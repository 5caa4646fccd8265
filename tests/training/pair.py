"""One of two processes, which tests/training/test_processes.py starts: `python -m tests.training.pair FOLDER`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stzoo import nets
from stzoo.inference import to_input
from stzoo.nets import posterior
from stzoo.ranks import ALONE, Ranks
from stzoo.recipe import read
from stzoo.space import race, search
from stzoo.space.costs import size_costs
from stzoo.space.judge import Judge
from stzoo.space.one_shot import pruned
from stzoo.training import loop
from stzoo.training.machine import Machine, shared_scores
from stzoo.training.pipeline import train as train_run
from stzoo.training.processes import joined
from stzoo.training.run import Run
from stzoo.training.voice import Voice
from tests.space import clips, test_selection
from tests.training.test_loop import net_of, optimisation, train

TABLE: dict[str, Any] = {"epochs": 2, "head_epochs": 1, "batch_size": 3, "dropout": 0.5, "ema": 0.5}


def trained(folder: Path, machine: Machine, **changes: Any) -> tuple[nn.Module, list[dict[str, float]]]:
    """A template in double precision, trained as `machine` says from the checkpoint in `folder`, and its numbers."""
    loop.to_input = lambda pixels, contract: to_input(pixels, contract).double()
    try:
        net = net_of("template", seed=machine.ranks.rank).double()
        return net, train(net, folder, optimisation(**TABLE), machine=machine, **changes)
    finally:
        loop.to_input = to_input


@contextlib.contextmanager
def short_races() -> Iterator[None]:
    """Within it strategies fall behind in races on seven videos, searches are short, and there is a small backbone."""
    with clips.with_small_backbone(), pytest.MonkeyPatch.context() as patch:
        for name, value in {"FINALISTS": 2, "KEPT": 2, "_FIRST": 2, "_SECOND": 3}.items():
            patch.setattr(race, name, value)
        patch.setattr(search, "PROPOSED", 4)
        patch.setattr(search, "RACES", 2)
        yield


def found(ranks: Ranks = ALONE) -> dict[str, int]:
    """The best strategy within a budget, and over how many videos each one was judged that was asked about."""
    template = clips.make_small_template()
    costs = size_costs(nets.architecture(template), clips.CONTRACT).multiply_adds
    judge = Judge(template, clips.data(), ranks=ranks)
    budget = (costs.of(costs.cheapest) + costs.of(costs.dearest)) // 2
    best = search.search(judge, costs, budget).strategy
    return {f"best: {best.text()}": 1} | {strategy.text(): judge.seen(strategy) for strategy in judge.asked}


def scored(folder: Path, ranks: Ranks = ALONE) -> list[float]:
    """Leaves scores.csv of a race in `folder`; accuracies, and the scores of one net on seven videos."""
    template = clips.make_template()
    sampled = test_selection.score(template, folder / "scores.csv", strategies=6, ranks=ranks)
    data = clips.data()
    net = pruned(template, posterior(template).most_probable(), data)
    machine = Machine(torch.device("cpu"), ranks=ranks)
    scores = shared_scores(net, data.clips, data.contract, machine, at_once=2)
    return [sample.score.accuracy for sample in sampled] + scores.ravel().tolist()


def main(folder: Path) -> None:
    with joined("cpu") as ranks:
        machine = Machine(torch.device("cpu"), micro_batch=1, checkpoint_activations=True, ranks=ranks)
        net, recorded = trained(folder, machine)
        with short_races():
            scores, asked = scored(folder, ranks), found(ranks)
        torch.save(net.state_dict(), folder / f"net{ranks.rank}.pt")
        (folder / f"numbers{ranks.rank}.json").write_text(json.dumps([recorded, scores, asked]))
        run = Run(folder / "run", read(folder / "recipe.toml"))
        train_run(run, folder / "cache", Voice(print, progress=False), ranks)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
