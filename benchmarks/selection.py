"""What selection costs, one strategy at a time, along a trie and in a race, and which strategy each of them chooses.

    stzoo data make camera --seed 1 --clips 1600 --out data/camera-1
    python benchmarks/selection.py --data data/camera-1 --seeds 5

takes the template inside the package, camera-motion-opt, and its hundred strategies. For every seed the videos are
parted anew, by picture, into a selection split of 480 and others, of which 256 give batch norm its statistics and the
rest is held out. Time is processor time. That of one strategy at a time is measured on a few and multiplied; how they
are computed changes no answer: the trie's are compared with theirs, bit by bit.

    python benchmarks/selection.py --families

counts multiply-adds in place of seconds, without data, for a net of every family: weights of initialisation, clips of
noise, and the drop rates that camera-motion learnt, put into the gates of each in turn.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from side_by_side import machine
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from stzoo import bundle as bundles
from stzoo import nets
from stzoo.bundle import rebuild
from stzoo.contract import InputContract
from stzoo.data.cache import open_clips
from stzoo.data.datasets import read_list
from stzoo.files import write_json
from stzoo.inference import to_input
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import named_gates
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.space.judge import Judge
from stzoo.space.one_shot import SelectionClips, pruned
from stzoo.space.race import race, rungs
from stzoo.space.trie import Trie
from stzoo.strategies.strategy import Strategy
from stzoo.zoo.reference import find

DRAWN, SELECTED, CALIBRATING, BATCH = 100, 480, 256, 64
FAMILIES = (
    *("densenet_tiny", "resnet_tiny", "mobilenet_v2_tiny", "mobilenet_v4_tiny", "inception"),
    *("timm:test_byobnet", "timm:tinynet_e", "timm:mobilenetv2_035"),
)


def read_data(
    root: Path, labels: tuple[str, ...], contract: InputContract, cache: Path
) -> tuple[SelectionClips, list[str]]:
    """One clip of every video of a made set, and the picture that it shows."""
    items = [item for name in ("train", "val", "test") for item in read_list(root / f"motion/{name}.txt", root, labels)]
    pictures = {row["path"]: row["picture"] for row in csv.DictReader((root / "clips.csv").open())}
    held = open_clips(cache, items, contract, max_broken=0.0, progress=True)
    clips = SelectionClips(held.clips, held.labels, contract, torch.device("cpu"), None)
    return clips, [pictures[str(item.path.relative_to(root))] for item in items]


def parted(pictures: list[str], seed: int) -> tuple[Int64[np.ndarray, " a"], Int64[np.ndarray, " b"]]:
    """Rows of whole pictures until there are enough to select on, and the others."""
    random = np.random.default_rng(seed)
    names = np.array(sorted(set(pictures)))
    of = np.array(pictures)
    chosen: list[int] = []
    for name in random.permutation(names):
        if len(chosen) < SELECTED:
            chosen += np.flatnonzero(of == name).tolist()
    rows = random.permutation(chosen)[:SELECTED]
    return rows, np.setdiff1d(np.arange(len(pictures)), chosen)


def split_of(
    data: SelectionClips, rows: Int64[np.ndarray, " a"], calibrating: Int64[np.ndarray, " b"]
) -> SelectionClips:
    def calibration() -> Iterator[Tensor]:
        for part in np.array_split(calibrating, CALIBRATING // BATCH):
            yield to_input(torch.from_numpy(np.array(data.clips[part, 0])), data.contract)

    return dataclasses.replace(data, clips=data.clips[rows], labels=data.labels[rows], calibration=calibration)


def one_seed(
    template: Classifier, data: SelectionClips, pictures: list[str], strategies: list[Strategy], seed: int, timed: int
) -> dict[str, Any]:
    rows, others = parted(pictures, seed)
    calibrating, held_out = others[:CALIBRATING], others[CALIBRATING:]
    selection = split_of(data, rows, calibrating)
    random = np.random.default_rng(seed)

    began = time.process_time()
    some = random.choice(len(strategies), timed, replace=False).tolist()
    alone = {number: selection.answers(pruned(template, strategies[number], selection)) for number in some}
    one_by_one = (time.process_time() - began) / timed * len(strategies)

    began = time.process_time()
    every = Judge(template, selection)
    every.order = np.arange(len(rows))
    every.ask(strategies)
    trie = time.process_time() - began
    equal = all(
        np.array_equal(every.answers(strategies[number]).likelihoods, answers.likelihoods)
        for number, answers in alone.items()
    )

    began = time.process_time()
    raced = race(Judge(template, selection), strategies)
    racing = time.process_time() - began

    by_accuracy = min(strategies, key=lambda one: (-every.score(one).accuracy, every.score(one).cross_entropy))
    by_cross_entropy = min(strategies, key=every.loss)
    rank = sorted(strategies, key=every.loss).index(raced[0]) + 1
    rest = split_of(data, held_out, calibrating)
    held = Judge(template, rest)
    held.ask([by_accuracy, by_cross_entropy, raced[0]])
    return {
        "seed": seed,
        "strategies": len(strategies),
        "held_out_videos": len(held_out),
        "seconds_one_by_one": one_by_one,
        "seconds_trie": trie,
        "seconds_race": racing,
        "equal_to_the_bit": equal,
        "rank_of_the_race": rank,
        "held_out": {
            "by accuracy": held.loss(by_accuracy),
            "by cross-entropy": held.loss(by_cross_entropy),
            "race": held.loss(raced[0]),
        },
    }


def one_family(backbone: str, learnt: Classifier) -> str:
    """A row of docs/results/selection.md: multiply-adds along the trie and in a race, of those one by one."""
    torch.manual_seed(0)
    template = nets.template(backbone, 10).eval()
    rates = itertools.cycle(gate.logit.detach() for *_, gate, _ in named_gates(learnt))
    with torch.no_grad():
        for (*_, gate, _), rate in zip(named_gates(template), rates, strict=False):
            gate.logit.copy_(rate)
    posterior = nets.posterior(template)
    strategies = list(dict.fromkeys(posterior.sample(0, index) for index in range(DRAWN)))
    trie, clips = Trie(template, strategies), torch.rand(2, 3, 2, 32, 32)
    reestimate_batch_norm(trie, [clips])
    pruned_nets = [nets.prune(template, strategy).eval() for strategy in strategies]
    alone = sum(count(partial(net, clips)) for net in pruned_nets)
    every = count(partial(trie, clips))
    raced, seen = every * CALIBRATING, 0
    for rung in rungs(len(strategies), SELECTED):
        raced += count(partial(trie, clips, range(rung.strategies))) * (rung.videos - seen)
        seen = rung.videos
    for net in pruned_nets[:3]:
        reestimate_batch_norm(net, [clips])
    with torch.inference_mode():
        equal = all(torch.equal(logits, net(clips)) for logits, net in zip(trie(clips), pruned_nets[:3], strict=False))
    of_race = raced / (alone * (CALIBRATING + SELECTED))
    sites = len(nets.architecture(template).sites)
    numbers = f"{sites} | {len(strategies)} | {every / alone:.0%} | {of_race:.0%}"
    return f"| `{backbone}` | {numbers} | {'yes' if equal else 'no'} |"


def count(run: Callable[[], object]) -> int:
    """Multiply-adds of convolutions and linear layers."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2


def show(results: list[dict[str, Any]]) -> None:
    """The table of docs/results/selection.md."""
    print("| seed | one by one | trie | race | equal bits | rank | held out: by accuracy | by cross-entropy | race |")
    print("|---|---|---|---|---|---|---|---|---|")
    for result in results:
        alone, trie, racing = (result[f"seconds_{way}"] for way in ("one_by_one", "trie", "race"))
        held = " | ".join(f"{loss:.4f}" for loss in result["held_out"].values())
        print(
            f"| {result['seed']} | {alone:.0f} s | {trie:.1f} s ({alone / trie:.1f}) | {racing:.1f} s "
            f"({alone / racing:.1f}) | {'yes' if result['equal_to_the_bit'] else 'no'} | "
            f"{result['rank_of_the_race']} | {held} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="what `stzoo data make camera` left")
    what.add_argument("--families", action="store_true", help="a net of every family, without data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--timed", type=int, default=3, help="strategies that are timed one by one")
    parser.add_argument("--out", type=Path, help="also write every number as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = find("camera-motion-opt", files=(*bundles.TEXTS, bundles.MODEL, bundles.TEMPLATE)).folder
    bundle = bundles.read(folder)
    template = rebuild.template_of(folder, bundle)
    contract = bundle.contract.changed(clips=1)
    if options.families:
        for backbone in FAMILIES:
            print(one_family(backbone, template), flush=True)
        return
    data, pictures = read_data(options.data, bundle.labels, contract, options.data / "cache")
    posterior = nets.posterior(template)
    strategies = list(dict.fromkeys(posterior.sample(0, index) for index in range(DRAWN)))
    results = []
    for seed in range(options.seeds):
        results.append(one_seed(template, data, pictures, strategies, seed, options.timed))
        show(results[-1:])
    print(f"{len(strategies)} different strategies of {DRAWN}; {machine()}")
    if options.out is not None:
        write_json(options.out, {"machine": machine(), "results": results})


if __name__ == "__main__":
    main()
