"""What strategies cost in milliseconds on this machine: a table of units, and how well it predicts whole nets.

Strategies from all over the space are timed as whole nets, half as many again as the table has numbers, and the table
is the one whose sums are nearest to all of them: every net tells something of every site, which measures a unit far
better than a net that differs at that site alone. Each takes turns with the net that has all open, so that a machine
that is busy for a while slows both, and each is taken at its fastest, which other work disturbs least; with one thread,
in processor time, which on an idle machine is what passes on the clock. Further strategies are timed to look whether
the sums hold.
"""

from __future__ import annotations

import importlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stzoo
from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import DataError, StrategyError
from stzoo.export import to_onnx
from stzoo.files import write_json
from stzoo.nets import Architecture, merge
from stzoo.nets.classifier import Classifier
from stzoo.runtimes import Runtime, open_session, refuse_impossible, threads
from stzoo.runtimes.onnx_file import read
from stzoo.space.costs import Costs, units_of
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy
from stzoo.telemetry import without_openvinos
from stzoo.zoo.benchmarking import machine

CHECKED = 8
"""Strategies from all over the space, of which measured and predicted time are compared."""
WITHIN = 0.1
"""The largest error, as a part of the measured time, with which a table is said to predict whole nets."""

_NETS_A_NUMBER = 1.5
_TURNS, _ATTEMPTS = 30, 20
_FORMAT = 1

Timed = Mapping[Strategy, int]
"""Nanoseconds a clip, of whole nets."""


@dataclass(frozen=True)
class Check:
    """The nanoseconds of a whole net, as the table predicts and as they were measured."""

    strategy: Strategy
    predicted: int
    measured: int

    @property
    def error(self) -> float:
        """As a part of the measured time."""
        return abs(self.predicted - self.measured) / self.measured


@dataclass(frozen=True)
class Latency:
    """What strategies cost on one machine in nanoseconds; `about` says which machine, runtime, version and input."""

    about: Mapping[str, Any]
    costs: Costs
    checks: tuple[Check, ...]

    @property
    def largest_error(self) -> float:
        """Of the checks."""
        return max(check.error for check in self.checks)

    @property
    def text(self) -> str:
        """How far the table can be trusted, in a sentence."""
        holds = "predicts" if self.largest_error <= WITHIN else "does not predict"
        median = float(np.median([check.error for check in self.checks]))
        return (
            f"The table of milliseconds {holds} whole nets within {100 * WITHIN:.0f} %: of {len(self.checks)} "
            f"strategies it is off by {100 * self.largest_error:.1f} % at most and {100 * median:.1f} % in the median."
        )


def measure_latency(
    template: Classifier,
    contract: InputContract,
    runtime: Runtime,
    path: Path,
    closable: Collection[str] = (),
    advance: Callable[[], None] = lambda: None,
) -> Latency:
    """Times a template's units on a runtime, one clip at a time, on the CPU; `path` keeps what was timed.

    A file that was written on another machine, by other versions or for another net makes way for a new one, and so
    does a table that does not predict whole nets; one that is not whole is gone on with. `advance` is told of every
    net, also those that are known.

    Raises `DataError` where the file holds something else, `UsageError` for a runtime that is not installed, and
    `ExportError` for a net that cannot be written for it.
    """
    architecture = nets.architecture(template)
    about = _about(architecture, contract, runtime)
    known = _read(path, about)
    wanted = asked(architecture, closable)
    if known.keys() >= {*wanted} and _latency(architecture, closable, about, known).largest_error > WITHIN:
        known = {}
    with tempfile.TemporaryDirectory() as folder:
        run_of = partial(_runner, template, contract=contract, runtime=runtime, folder=Path(folder))
        everything = architecture.all_open
        reference: Callable[[], object] | None = None
        for strategy in wanted:
            if strategy not in known:
                reference = run_of(everything) if reference is None else reference
                if strategy == everything:
                    known[strategy] = _fastest(reference, reference)[0]
                else:
                    beside, own = _fastest(reference, run_of(strategy))
                    known[strategy] = round(known[everything] * own / beside)
                write_json(path, {"about": about, "nanoseconds": {one.text(): ns for one, ns in known.items()}})
            advance()
    latency = _latency(architecture, closable, about, known)
    write_json(path, _to_json(latency, known))
    return latency


def asked(architecture: Architecture, closable: Collection[str] = ()) -> list[Strategy]:
    """The strategies that are timed: everything open, those that the table is fitted to, and those of the check."""
    return [architecture.all_open, *_fitted(architecture, closable), *_checked(architecture, closable)]


def _fitted(architecture: Architecture, closable: Collection[str]) -> list[Strategy]:
    """Different strategies, every unit of a site as likely as any other; fewer where the space has no more."""
    sites = architecture.sites
    numbers = 1 + sum(len(units_of(site, closable)) - 1 for site in sites)
    wanted = math.ceil(_NETS_A_NUMBER * numbers)
    different = dict.fromkeys(_even(architecture, 0.5).sample(0, index, closable) for index in range(4 * wanted))
    return [strategy for strategy in different if strategy != architecture.all_open][:wanted]


def _checked(architecture: Architecture, closable: Collection[str]) -> list[Strategy]:
    """Strategies of few temporal branches, and of ever more, none of which the table is fitted to."""
    taken = {architecture.all_open, *_fitted(architecture, closable)}
    found: list[Strategy] = []
    for number in range(CHECKED):
        posterior = _even(architecture, 1 - (number + 0.5) / CHECKED)
        drawn = (posterior.sample(1 + attempt, number, closable) for attempt in range(_ATTEMPTS))
        found += [strategy for strategy in drawn if strategy not in {*taken, *found}][:1]
    return found


def _even(architecture: Architecture, drop: float) -> Posterior:
    """A posterior with the same drop rate of every temporal branch, and one half of the others."""
    rates = {site.name: {name: 0.5 if name == "S" else drop for name in site.branches} for site in architecture.sites}
    return Posterior(architecture.backbone, rates)


def _latency(architecture: Architecture, closable: Collection[str], about: Mapping[str, Any], known: Timed) -> Latency:
    """The table by least squares: a number for the whole, and one for every unit of a site beside its first."""
    sites = {site.name: units_of(site, closable) for site in architecture.sites}
    columns = [(site, unit) for site, units in sites.items() for unit in units[1:]]
    nets_known = [architecture.all_open, *_fitted(architecture, closable)]
    rows = [[1.0, *(float(net.units[site] == unit) for site, unit in columns)] for net in nets_known]
    found = np.linalg.lstsq(np.array(rows), np.array([known[net] for net in nets_known], np.float64), rcond=None)[0]
    numbers = dict(zip(columns, found[1:].tolist(), strict=True))
    least = {site: min(numbers.get((site, unit), 0.0) for unit in units) for site, units in sites.items()}
    units = {
        site: {unit: round(numbers.get((site, unit), 0.0) - least[site]) for unit in of} for site, of in sites.items()
    }
    costs = Costs(architecture.backbone, round(float(found[0]) + sum(least.values())), units)
    checks = [Check(one, costs.of(one), known[one]) for one in _checked(architecture, closable)]
    return Latency(about, costs, tuple(checks))


def _runner(
    template: Classifier, strategy: Strategy, *, contract: InputContract, runtime: Runtime, folder: Path
) -> Callable[[], object]:
    """A function that runs a strategy's net once, on one clip."""
    net = nets.prune(template, strategy).cpu().eval()
    random = np.random.default_rng(0)
    clip = random.standard_normal((1, 3, contract.frames, contract.crop, contract.crop), dtype=np.float32)
    if runtime == "torch":
        merged, tensor = merge(net), torch.from_numpy(clip)

        def run() -> object:
            with torch.inference_mode():
                return merged(tensor)

        return run
    path = folder / f"{strategy.digest}.onnx"
    labels = [str(number) for number in range(nets.architecture(template).classes)]
    to_onnx.export(net, path, contract, labels, form="volumes" if runtime == "openvino" else "images")
    session = open_session(runtime, read(path), "cpu", "fp32")
    path.unlink()
    return partial(session.logits, clip)


def _fastest(first: Callable[[], object], second: Callable[[], object]) -> tuple[int, int]:
    """The nanoseconds of both, each at its fastest of runs that take turns."""
    fastest = [math.inf, math.inf]
    clock = time.process_time_ns if threads() == 1 else time.perf_counter_ns
    first(), second()
    for _ in range(_TURNS):
        for place, run in enumerate((first, second)):
            began = clock()
            run()
            fastest[place] = min(fastest[place], clock() - began)
    return int(fastest[0]), int(fastest[1])


def _about(architecture: Architecture, contract: InputContract, runtime: Runtime) -> dict[str, Any]:
    refuse_impossible(runtime, "cpu", "fp32")
    with without_openvinos():
        module = importlib.import_module(runtime)
    return {
        "format": _FORMAT,
        "stzoo": stzoo.__version__,
        "runtime": f"{runtime} {module.__version__}",
        "machine": machine(),
        "backbone": architecture.backbone,
        "options": json.loads(json.dumps(dict(architecture.options))),
        "classes": architecture.classes,
        "input": contract.model_dump(mode="json", include={"frames", "crop"}),
    }


def _read(path: Path, about: Mapping[str, Any]) -> dict[Strategy, int]:
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        there = value["about"]
        known = {Strategy.from_text(text): int(ns) for text, ns in value["nanoseconds"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, StrategyError) as error:
        raise DataError(
            f"{path} does not hold times of nets ({type(error).__name__}); move the file away to time them again"
        ) from error
    return known if there == about and all(ns > 0 for ns in known.values()) else {}


def _to_json(latency: Latency, known: Timed) -> dict[str, Any]:
    """What is read again, and for people the table and how well it predicts, in milliseconds."""
    costs = latency.costs
    return {
        "about": dict(latency.about),
        "nanoseconds": {strategy.text(): ns for strategy, ns in known.items()},
        "table": {
            "rest": costs.rest / 1e6,
            "units": {site: {unit: ns / 1e6 for unit, ns in units.items()} for site, units in costs.units.items()},
        },
        "checks": [
            {"strategy": one.strategy.text(), "predicted": one.predicted / 1e6, "measured": one.measured / 1e6}
            for one in latency.checks
        ],
        "says": latency.text,
    }
