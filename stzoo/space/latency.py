"""What strategies cost in milliseconds on this machine: a table of units, and how well it predicts whole nets.

A unit is timed in a whole net that has it at one site and everything open elsewhere, in turns with the net that has all
open, so that a machine that is busy for a while slows both. Each is taken at its fastest, which other work disturbs
least. Whether such differences add up is looked at, on strategies from all over the space that are timed as well.
"""

from __future__ import annotations

import importlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
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
from stzoo.runtimes import Runtime, open_session, refuse_impossible
from stzoo.runtimes.onnx_file import read
from stzoo.space.costs import Costs, units_of
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Site, Strategy
from stzoo.telemetry import without_openvinos
from stzoo.zoo.benchmarking import machine

CHECKED = 8
"""Strategies from all over the space, of which measured and predicted time are compared."""
WITHIN = 0.1
"""The largest error, as a part of the measured time, with which a table is said to predict whole nets."""

_TURNS = 30
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

    A file that was written on another machine, by other versions or for another net makes way for a new one, one that
    is not whole is gone on with. `advance` is told of every net, also those that are known.

    Raises `DataError` where the file holds something else, `UsageError` for a runtime that is not installed, and
    `ExportError` for a net that cannot be written for it.
    """
    architecture = nets.architecture(template)
    about = _about(architecture, contract, runtime)
    known = _read(path, about)
    with tempfile.TemporaryDirectory() as folder:
        run_of = partial(_runner, template, contract=contract, runtime=runtime, folder=Path(folder))
        everything = architecture.all_open
        reference: Callable[[], object] | None = None
        for strategy in asked(architecture, closable):
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
    """The strategies that are timed: everything open, every other unit of every site alone, and those of the check."""
    alone = [strategy for _, _, strategy in _changes(architecture, closable)]
    return list(dict.fromkeys([architecture.all_open, *alone, *_checked(architecture, closable)]))


def _changes(architecture: Architecture, closable: Collection[str]) -> Iterator[tuple[Site, str, Strategy]]:
    everything = architecture.all_open
    for site in architecture.sites:
        for unit in units_of(site, closable):
            yield site, unit, Strategy(architecture.backbone, {**everything.units, site.name: unit})


def _checked(architecture: Architecture, closable: Collection[str]) -> list[Strategy]:
    even = Posterior(
        architecture.backbone, {site.name: dict.fromkeys(site.branches, 0.5) for site in architecture.sites}
    )
    return [even.sample(0, index, closable) for index in range(CHECKED)]


def _latency(architecture: Architecture, closable: Collection[str], about: Mapping[str, Any], known: Timed) -> Latency:
    times: dict[str, dict[str, int]] = {site.name: {} for site in architecture.sites}
    for site, unit, strategy in _changes(architecture, closable):
        times[site.name][unit] = known[strategy]
    units = {site: {unit: ns - min(of.values()) for unit, ns in of.items()} for site, of in times.items()}
    everything = architecture.all_open
    rest = known[everything] - sum(units[site][unit] for site, unit in everything.units.items())
    costs = Costs(architecture.backbone, rest, units)
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
    first(), second()
    for _ in range(_TURNS):
        for place, run in enumerate((first, second)):
            began = time.perf_counter_ns()
            run()
            fastest[place] = min(fastest[place], time.perf_counter_ns() - began)
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
