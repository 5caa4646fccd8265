from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stzoo import nets
from stzoo.errors import DataError, UsageError
from stzoo.nets import merge
from stzoo.space import latency
from stzoo.space.latency import Latency, asked, measure_latency
from stzoo.strategies.strategy import Strategy
from tests.space.clips import CONTRACT, make_small_template, small_backbone  # noqa: F401

pytestmark = pytest.mark.usefixtures("small_backbone")

UNITS = {"S": 200_000, "ST": 300_000, "S+ST": 480_000, "none": 50_000}


@pytest.fixture
def template(small_backbone: None) -> nn.Module:  # noqa: F811
    return make_small_template()


class Clock:
    """A machine on which a net takes what its sites take; ever slower, as one that gets busy."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, of: Callable[[Strategy], float]) -> None:
        self.now, self.runs, self.of = 0.0, 0, of
        self.built: list[Strategy] = []
        monkeypatch.setattr(latency, "threads", lambda: 2)
        monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: round(self.now))
        monkeypatch.setattr(latency, "_runner", self.runner)

    def runner(self, template: nn.Module, strategy: Strategy, **_: Any) -> Callable[[], object]:
        self.built.append(strategy)

        def run() -> None:
            self.runs += 1
            self.now += self.of(strategy) * (1 + self.runs / 10_000)

        return run


def added(strategy: Strategy) -> float:
    return 1_000_000 + sum(UNITS[unit] * (place + 1) for place, unit in enumerate(strategy.units.values()))


def measured(template: nn.Module, path: Path, **options: Any) -> Latency:
    return measure_latency(template, CONTRACT, "torch", path, **options)


@pytest.mark.parametrize("closable", [(), ("B1.L1",)])
def test_a_table_predicts_nets_whose_sites_add_up(
    template: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closable: tuple[str, ...]
) -> None:
    Clock(monkeypatch, added)
    found = measured(template, tmp_path / "latency.json", closable=closable)
    assert found.largest_error < 0.005
    assert found.text.startswith("The table of milliseconds predicts whole nets within 10 %: of 8 strategies it is off")
    assert ("none" in found.costs.units["B1.L1"]) == bool(closable)
    for strategy in asked(nets.architecture(template), closable):
        assert found.costs.of(strategy) == pytest.approx(added(strategy), rel=0.005)
    value = json.loads((tmp_path / "latency.json").read_text())
    assert value["says"] == found.text
    assert value["table"]["units"]["T1"]["S"] == 0.0
    assert value["table"]["units"]["T1"]["S+ST"] == pytest.approx(0.56, abs=0.02)
    assert {*value["about"]} >= {"machine", "runtime", "stzoo", "input"}


def test_a_table_that_does_not_predict_says_so(
    template: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the others have, the first two sites must agree."""
    clock = Clock(monkeypatch, lambda net: added(net) * (1 if net.units["B1.L1"] == net.units["T1"] else 2))
    found = measured(template, tmp_path / "latency.json")
    assert found.largest_error > 0.1
    assert "does not predict whole nets within 10 %" in found.text
    clock.of = added
    assert measured(template, tmp_path / "latency.json").largest_error < 0.005, "so it is measured again"


def test_what_was_timed_is_not_timed_again(
    template: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "latency.json"
    nets_of = asked(nets.architecture(template))
    assert len(nets_of) == len({*nets_of}) == 1 + 11 + 8
    clock, done = Clock(monkeypatch, added), 0

    def stop() -> None:
        nonlocal done
        done += 1
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(template, path, advance=stop)
    assert clock.built == nets_of[:4]
    clock.built.clear()
    advanced: list[None] = []
    found = measured(template, path, advance=lambda: advanced.append(None))
    assert clock.built == [nets_of[0], *nets_of[4:]], "the net with all open, beside which others run, and the others"
    assert len(advanced) == len(nets_of)
    clock.built.clear()
    assert measured(template, path) == found
    assert clock.built == []

    monkeypatch.setattr(latency, "machine", lambda: {"processor": "another"})
    measured(template, path)
    assert clock.built == nets_of


@pytest.mark.parametrize("text", ["{", "[]", '{"about": {}}', '{"about": {}, "nanoseconds": {"x": 1}}'])
def test_a_file_that_is_no_table_is_refused(template: nn.Module, tmp_path: Path, text: str) -> None:
    path = tmp_path / "latency.json"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"{re.escape(str(path))} does not hold times of nets .*move the file away"):
        measured(template, path)
    assert path.read_text() == text


def test_a_runtime_that_is_not_installed_is_refused(
    template: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stzoo.runtimes.choosing.is_there", lambda runtime: False)
    with pytest.raises(UsageError, match="openvino is not installed"):
        measure_latency(template, CONTRACT, "openvino", tmp_path / "latency.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_what_is_timed_is_the_strategys_net(template: nn.Module, tmp_path: Path, runtime: Any) -> None:
    strategy = Strategy("densenet_small", {"B1.L1": "ST", "T1": "S", "B2.L1": "S+ST"})
    run = latency._runner(template, strategy, contract=CONTRACT, runtime=runtime, folder=tmp_path)
    clip = np.random.default_rng(0).standard_normal((1, 3, 2, 32, 32), dtype=np.float32)
    with torch.inference_mode():
        expected = merge(nets.prune(template, strategy).eval())(torch.from_numpy(clip)).numpy()
    np.testing.assert_allclose(np.asarray(run()), expected, atol=1e-4)
    assert not list(tmp_path.iterdir())
