"""How many threads of a CPU train, where the recipe leaves it open: a trial decides, once for a run.

On processors that others use too, one thread is often several times as fast as all of them, which wait for each other.
Another number of threads adds in another order, so what was chosen stays in the run's `machine.json`.
"""

from __future__ import annotations

import copy
import json
import time

import torch
import torch.nn.functional as F

from stzoo.files import write_json
from stzoo.nets.classifier import Classifier
from stzoo.recipe import Recipe
from stzoo.training.machine import Machine
from stzoo.training.run import Run
from stzoo.training.voice import Voice

MACHINE = "machine.json"
_CLIPS = 4


def choose_threads(run: Run, net: Classifier, machine: Machine, voice: Voice) -> None:
    """Sets the number of threads of this process, and says which it is where there was a choice.

    A recipe's `compute.threads`, a GPU, several processes and OMP_NUM_THREADS=1 leave none.
    """
    most = torch.get_num_threads()
    if run.recipe.compute.threads or machine.device.type != "cpu" or machine.ranks.count > 1 or most == 1:
        return
    path = run.path(MACHINE)
    if path.exists():
        torch.set_num_threads(int(json.loads(path.read_text(encoding="utf-8"))["threads"]))
        return
    seconds = {threads: _seconds_with(threads, run, net, machine) for threads in (1, most)}
    fastest = min(seconds, key=lambda threads: seconds[threads])
    torch.set_num_threads(fastest)
    write_json(path, {"threads": fastest})
    shown = " and ".join(f"{taken:.2g} s with {threads}" for threads, taken in seconds.items())
    voice.say(f"{fastest} of {most} threads train, as a trial clip took {shown} (compute.threads sets their number).")


def _seconds_with(threads: int, run: Run, net: Classifier, machine: Machine) -> float:
    torch.set_num_threads(threads)
    return seconds_a_clip(run.recipe, net, machine)


def seconds_a_clip(recipe: Recipe, net: Classifier, machine: Machine, steps: int = 3) -> float:
    """Seconds that a training clip takes on its way forward and back, at best of some trials with a few clips."""
    contract, device = recipe.training_input, machine.device
    tried = copy.deepcopy(net).train().to(device)
    size = min(_CLIPS, recipe.trained_at_once), 3, contract.frames, contract.crop, contract.crop
    clips = torch.rand(size, generator=torch.Generator().manual_seed(0)).to(device)
    labels = torch.zeros(len(clips), dtype=torch.int64, device=device)
    best = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        with machine.autocast():
            logits = tried(clips)
        F.cross_entropy(logits.float(), labels).backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best / len(clips)
