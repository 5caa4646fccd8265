"""Does the one-shot score under a budget say which fixed nets train well? Nets of few costs, trained from scratch.

    stzoo data make camera --out data/camera
    stzoo data make camera --seed 1 --clips 1600 --out data/camera-1
    python benchmarks/space_ranking.py list --selection data/camera-1
    python benchmarks/space_ranking.py train --data data/camera --runs runs/space
    python benchmarks/space_ranking.py read --data data/camera --runs runs/space

`list` writes the nets, eight in each of three bands of multiply-adds, with what a template says of them, and is
committed before the first of them is trained: in each band two that are found by effects and one-shot scores, the
patterns that put time early and late, and random ones; in the highest the uniform strategies and the posterior's own.
Another `--template` and other `--budgets` ask the same of another backbone. `read` may be called in between: what the
results have of a net is kept, and not trained again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from selection import parted, read_data, split_of
from side_by_side import machine
from space_nets import measured_bundle, pictures_of, resampled, train_alone

from stzoo import bundle as bundles
from stzoo import nets
from stzoo.bundle import rebuild
from stzoo.files import write_json
from stzoo.metrics import mean_over_sources, rank_correlation
from stzoo.space.costs import Costs, random_within, size_costs
from stzoo.space.frontier import filled
from stzoo.space.judge import Judge
from stzoo.space.search import search
from stzoo.strategies.names import MOST_PROBABLE
from stzoo.strategies.strategy import Strategy
from stzoo.zoo.reference import find

RESULTS = Path("docs/results")
RANDOMS, DRAWS, EPOCHS, RESAMPLED = 4, 1000, 12, 10_000
MILLION = 1_000_000


class Band(NamedTuple):
    """Multiply-adds from `least` to `most`; those of the highest band may have more."""

    name: str
    least: int
    most: int
    highest: bool

    def has(self, cost: int) -> bool:
        return self.least <= cost and (self.highest or cost <= self.most)


def bands(budgets: list[float]) -> list[Band]:
    """Bands of one million below each budget, and of three below the last."""
    widths = [1.0] * (len(budgets) - 1) + [3.0]
    return [
        Band(f"{top:g}M", round((top - width) * MILLION), round(top * MILLION), top == budgets[-1])
        for top, width in zip(budgets, widths, strict=True)
    ]


def nets_of(band: Band, judge: Judge, costs: Costs, mode: Strategy, chosen: Strategy) -> Iterator[tuple[str, Strategy]]:
    """The nets of a band by name, which may be the same strategy under two names."""
    sites = list(costs.units)
    best = search(judge, costs, band.most).strategy
    yield "found", best
    within = [one for one in judge.asked if band.has(costs.of(one)) and costs.of(one) <= band.most]
    full = [one for one in within if judge.seen(one) == judge.videos and one != best]
    yield "found second", min(full, key=judge.loss)
    yield "bottom-heavy", filled(costs, band.most, sites)
    yield "top-heavy", filled(costs, band.most, sites[::-1])
    if band.highest:
        yield (
            "ST",
            Strategy(costs.backbone, {site: "ST" if "ST" in units else "S" for site, units in costs.units.items()}),
        )
        yield "S+ST", costs.dearest
        yield MOST_PROBABLE, mode
        yield "chosen by selection", chosen
        return
    drawn = (random_within(costs, band.most, 0, index) for index in range(DRAWS))
    fitting = dict.fromkeys(one for one in drawn if band.has(costs.of(one)))
    for number, one in enumerate(list(fitting)[:RANDOMS], 1):
        yield f"random {number}", one


def write_list(options: argparse.Namespace) -> None:
    folder = find(options.template).folder
    bundle = bundles.read(folder)
    template = rebuild.template_of(folder, bundle)
    data, pictures = read_data(options.selection, bundle.labels, bundle.contract, options.cache)
    rows, others = parted(pictures, seed=0)
    judge = Judge(template, split_of(data, rows, others))
    costs = size_costs(nets.architecture(template), bundle.contract).multiply_adds
    posterior = nets.posterior(template)
    listed = []
    for band in bands(options.budgets):
        members: dict[Strategy, str] = {}
        for name, strategy in nets_of(band, judge, costs, posterior.most_probable(), bundle.strategy):
            members[strategy] = f"{members[strategy]}, {name}" if strategy in members else name
        judge.ask(members)
        for strategy, name in members.items():
            score = judge.score(strategy)
            listed.append(
                {
                    "band": band.name,
                    "name": name,
                    "strategy": strategy.to_json(),
                    "multiply_adds": costs.of(strategy),
                    "one_shot_cross_entropy": score.cross_entropy,
                    "one_shot_accuracy": score.accuracy,
                    "log_probability": round(posterior.log_probability(strategy), 6),
                }
            )
            print(
                f"{band.name:5} {name:28} {costs.of(strategy) / 1e6:6.2f} {score.cross_entropy:.4f} {strategy.text()}"
            )
    about = {"template": bundle.name, "selection_videos": judge.videos, "machine": machine()}
    write_json(options.list, {**about, "epochs": EPOCHS, "nets": listed})


def run_name(backbone: str, net: Mapping[str, Any]) -> str:
    words = f"{backbone.replace('_', '-')} {net['band']} {net['name'].split(',')[0]}".lower().replace("+", "-")
    return "-".join(words.split())


def train(options: argparse.Namespace) -> None:
    """Trains every net of the list, or the part of it that is this process's; all that is finished stays."""
    known = _known(options)
    for net in _listed(options)[options.part :: options.parts]:
        if (net["band"], net["name"]) in known:
            continue
        strategy = Strategy.from_json(net["strategy"])
        folder = options.runs / "ranking" / run_name(strategy.backbone, net)
        own = [f"net.backbone='{strategy.backbone}'", f"fixed.epochs={EPOCHS}"]
        train_alone("camera-motion-st", strategy, folder, data=options.data, cache=options.cache, overrides=own)
        print(folder, flush=True)


def read(options: argparse.Namespace) -> None:
    """Writes the accuracy of every net that is trained, and per band the rank correlations and paired differences."""
    known, pictures = _known(options), pictures_of(options.data, "motion")
    listed = []
    for net in _listed(options):
        if (bundle := _bundle(options.runs, net)).exists():
            answers = measured_bundle(bundle, options.data, "motion", options.cache).answers
            net["machine"] = machine()
            net["right"] = "".join(map(str, answers.right.astype(int)))
            net["accuracy"], net["cross_entropy"] = float(answers.right.mean()), float(answers.losses.mean())
            listed.append(net)
        elif (before := known.get((net["band"], net["name"]))) is not None:
            listed.append(before)
    right = np.array([[float(one) for one in net["right"]] for net in listed])
    found: dict[str, Any] = {"videos": len(pictures), "pictures": len(set(pictures)), "bands": {}}
    for band in dict.fromkeys(net["band"] for net in listed):
        members = [place for place, net in enumerate(listed) if net["band"] == band]
        found["bands"][band] = _of_band([listed[m] for m in members], right[members], pictures)
    write_json(options.results, {**found, "nets": listed})
    for net in listed:
        print(f"{net['band']:5} {net['name']:28} {net['multiply_adds'] / 1e6:6.2f} {100 * net['accuracy']:.1f}")
    print(json.dumps(found["bands"], indent=1))


def _of_band(
    listed: list[dict[str, Any]], right: Float64[np.ndarray, "nets videos"], pictures: list[str]
) -> dict[str, Any]:
    accuracy = right.mean(axis=1)
    random = np.random.default_rng(0)
    draws = [(resampled(pictures, random), random.integers(len(listed), size=len(listed))) for _ in range(RESAMPLED)]
    of_band: dict[str, Any] = {}
    for by in ("one_shot_cross_entropy", "one_shot_accuracy", "log_probability", "multiply_adds"):
        told = np.array([net[by] for net in listed], np.float64) * (-1 if by == "one_shot_cross_entropy" else 1)
        again = [rank_correlation(told[some], (right @ weights)[some]) for weights, some in draws]
        low, high = np.nanpercentile(again, [2.5, 97.5])
        of_band[by] = {"spearman": rank_correlation(told, accuracy), "low": float(low), "high": float(high)}
    names = [net["name"] for net in listed]
    first = next(place for place, name in enumerate(names) if name.startswith("found"))
    for other, name in enumerate(names):
        if other != first:
            lead = mean_over_sources(right[first] - right[other], pictures).estimate(len(pictures))
            of_band[f"found less {name}"] = {"value": lead.value, "low": lead.low, "high": lead.high}
    return of_band


def _bundle(runs: Path, net: Mapping[str, Any]) -> Path:
    name = run_name(net["strategy"]["backbone"], net)
    return runs / "ranking" / name / "bundles" / name


def _known(options: argparse.Namespace) -> dict[tuple[str, str], dict[str, Any]]:
    """What the results say of nets, by band and name, if they have their answers."""
    if not options.results.exists():
        return {}
    nets = json.loads(options.results.read_text(encoding="utf-8"))["nets"]
    return {(net["band"], net["name"]): net for net in nets if "right" in net}


def _listed(options: argparse.Namespace) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(options.list.read_text(encoding="utf-8"))["nets"]
    return listed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("list", "train", "read"))
    parser.add_argument("--template", default="camera-motion-opt")
    parser.add_argument("--budgets", type=float, nargs=3, default=[46.0, 52.0, 58.0], help="millions of multiply-adds")
    parser.add_argument("--selection", type=Path, default=Path("data/camera-1"))
    parser.add_argument("--data", type=Path, default=Path("data/camera"))
    parser.add_argument("--cache", type=Path, default=Path("data/cache"))
    parser.add_argument("--runs", type=Path, default=Path("runs/space"))
    parser.add_argument("--list", type=Path, default=RESULTS / "space-ranking-list.json")
    parser.add_argument("--results", type=Path, default=RESULTS / "space-ranking.json")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1, help="processes that share the nets")
    options = parser.parse_args()
    {"list": write_list, "train": train, "read": read}[options.step](options)
