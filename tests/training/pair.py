"""One of two processes, which tests/training/test_processes.py starts: `python -m tests.training.pair FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stzoo.inference import to_input
from stzoo.nets import posterior
from stzoo.ranks import ALONE, Ranks
from stzoo.recipe import read
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


def scored(folder: Path, ranks: Ranks = ALONE) -> list[float]:
    """Leaves scores.csv in `folder`; accuracies, and the scores of one net on seven videos."""
    template = clips.make_template()
    sampled = test_selection.score(template, folder / "scores.csv", strategies=4, ranks=ranks)
    data = clips.data()
    net = pruned(template, posterior(template).most_probable(), data)
    machine = Machine(torch.device("cpu"), ranks=ranks)
    scores = shared_scores(net, data.clips, data.contract, machine, at_once=2)
    return [sample.score.accuracy for sample in sampled] + scores.ravel().tolist()


def main(folder: Path) -> None:
    with joined("cpu") as ranks:
        machine = Machine(torch.device("cpu"), micro_batch=1, checkpoint_activations=True, ranks=ranks)
        net, recorded = trained(folder, machine)
        scores = scored(folder, ranks)
        torch.save(net.state_dict(), folder / f"net{ranks.rank}.pt")
        (folder / f"numbers{ranks.rank}.json").write_text(json.dumps([recorded, scores]))
        run = Run(folder / "run", read(folder / "recipe.toml"))
        train_run(run, folder / "cache", Voice(print, progress=False), ranks)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
