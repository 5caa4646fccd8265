from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stzoo.ranks import Ranks
from stzoo.recipe import Recipe, read
from stzoo.training import threads
from stzoo.training.blueprint import Blueprint
from stzoo.training.machine import Machine
from stzoo.training.run import Run
from stzoo.training.threads import MACHINE, choose_threads
from stzoo.training.voice import Voice

CPU = Machine(torch.device("cpu"))


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def recipe(threads: int = 0) -> Recipe:
    return read("smoke", [f"compute.threads={threads}"])


def begun(folder: Path, threads: int = 0) -> Run:
    run = Run(folder, recipe(threads))
    run.begin()
    return run


def chosen(run: Run, said: list[str], machine: Machine = CPU) -> int:
    choose_threads(run, Blueprint.of(run.recipe, 3).first, machine, Voice(said.append, progress=False))
    return torch.get_num_threads()


def test_the_faster_number_is_taken_once_for_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {1: 0.25, 2: 1.5}
    monkeypatch.setattr(threads, "_seconds_with", lambda threads, *_: seconds[threads])
    said: list[str] = []
    run = begun(tmp_path / "run")
    assert chosen(run, said) == 1
    assert said == [
        "1 of 2 threads train, as a trial clip took 0.25 s with 1 and 1.5 s with 2 (compute.threads sets their number)."
    ]
    seconds[1] = 9.0
    torch.set_num_threads(2)
    assert chosen(run, said) == 1
    assert len(said) == 1
    torch.set_num_threads(2)
    assert chosen(begun(tmp_path / "other"), said) == 2
    again = Run(tmp_path / "run", read("smoke", ["compute.threads=0", "seed=5"]))
    again.begin()
    assert not again.path(MACHINE).exists()


def test_a_trial_leaves_the_net_and_the_draws_as_they_were(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    net = Blueprint.of(run.recipe, 3).first
    before = {name: value.clone() for name, value in net.state_dict().items()}
    drawn = torch.random.get_rng_state()
    choose_threads(run, net, CPU, Voice(lambda _: None, progress=False))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert json.loads(run.path(MACHINE).read_text()) == {"threads": torch.get_num_threads()}


def test_where_the_number_is_settled_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_seconds_with", lambda *_: pytest.fail("a trial"))
    said: list[str] = []
    assert chosen(begun(tmp_path / "set", threads=2), said) == 2
    assert chosen(begun(tmp_path / "gpu"), said, Machine(torch.device("cuda"))) == 2
    assert chosen(begun(tmp_path / "ranks"), said, Machine(torch.device("cpu"), ranks=Ranks(0, 2, 2))) == 2
    torch.set_num_threads(1)
    assert chosen(begun(tmp_path / "one"), said) == 1
    assert not said
