"""Two processes against one: the same losses, gates and scores, and what happens when one of them is killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from stzoo.errors import TrainingError
from stzoo.ranks import ALONE
from stzoo.recipe import read
from stzoo.training.machine import Machine
from stzoo.training.pipeline import train
from stzoo.training.processes import joined
from stzoo.training.run import Run
from stzoo.training.voice import Voice
from tests.training import pair
from tests.training.test_loop import StopError

KILLED = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def started(folder: Path) -> list[subprocess.Popen[bytes]]:
    """Two processes, whose words go to `said0` and `said1` in the folder, and their errors to `error0` and `error1`."""
    together = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    together |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd(), "USE_LIBUV": "0"}
    processes = []
    for rank in range(2):
        with (folder / f"said{rank}").open("wb") as said, (folder / f"error{rank}").open("wb") as error:
            environment = os.environ | together | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            command = [sys.executable, "-m", "tests.training.pair", str(folder)]
            processes.append(subprocess.Popen(command, env=environment, stdout=said, stderr=error))
    return processes


def table(path: Path) -> list[dict[str, float | str]]:
    """Rows of numbers and texts; approx takes texts for what they are."""
    with path.open(newline="") as file:
        return [{name: number_or_text(value) for name, value in row.items()} for row in csv.DictReader(file)]


def number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


@KILLED
def test_two_processes_compute_what_one_does_and_stop_when_one_is_killed(
    tmp_path: Path, motions: Path, clip_cache: Path
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    one = Machine(torch.device("cpu"), micro_batch=2)

    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == 2:
            raise StopError

    with pytest.raises(StopError):
        pair.trained(together, one, record=stop)
    smoke = Path("recipes/smoke.toml").absolute()
    (together / "recipe.toml").write_text(
        f'extends = "{smoke}"\nname = "pair"\n[data]\nroot = "{motions}"\n'
        '[fixed]\nstrategy = "st"\nepochs = 4\nbatch_size = 8\nlearning_rate = 0.1\nweight_decay = 0.0\n'
    )
    (together / "cache").symlink_to(clip_cache)
    both = started(together)
    try:
        net, recorded = pair.trained(alone, one)
        with pair.short_races():
            scores, asked = pair.scored(alone), pair.found()
        metrics = together / "run" / "metrics.jsonl"
        until = time.monotonic() + 300
        while both[0].poll() is None and not metrics.exists() and time.monotonic() < until:
            time.sleep(0.01)
        both[1].kill()
        killed = time.monotonic()
        both[0].wait(timeout=180)
    finally:
        for process in both:
            process.kill()
            process.wait()
    error = (together / "error0").read_text()
    assert "fixed 1 " in (together / "said0").read_text(), error
    assert both[0].returncode == 1
    assert error.splitlines()[-1].endswith("this one stops; the same command goes on from the last checkpoint"), error
    assert time.monotonic() - killed < 180

    for rank in range(2):
        its_recorded, its_scores, its_asked = json.loads((together / f"numbers{rank}.json").read_text())
        assert [entry["epoch"] for entry in its_recorded] == [2], "it has gone on from the checkpoint of one process"
        for entry, its_entry in zip(recorded[1:], its_recorded, strict=True):
            assert its_entry == pytest.approx(entry, rel=1e-8)
        state = torch.load(together / f"net{rank}.pt")
        for name, value in net.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=0.0, atol=1e-6 * float(value.abs().max()), msg=name)
        assert its_scores == pytest.approx(scores, abs=1e-5)
        assert its_asked == asked
    states = [torch.load(together / f"net{rank}.pt") for rank in range(2)]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), f"{name}, also of buffers, which no process sends"
    assert len(set(asked.values())) > 2, "some have seen more videos than others"
    assert table(together / "scores.csv") == [
        {name: pytest.approx(value, abs=1e-5) for name, value in row.items()} for row in table(alone / "scores.csv")
    ]

    run = Run(together / "run", read(together / "recipe.toml"))
    said_alone: list[str] = []
    (measured,) = train(run, clip_cache, Voice(said_alone.append, progress=False))
    assert measured.accuracy.n == 9
    assert not any(sentence.startswith("fixed 1 ") for sentence in said_alone)
    assert [entry["epoch"] for entry in run.recorded("fixed")] == list(range(1, 5))
    assert np.isfinite([entry["loss"] for entry in run.recorded("fixed")]).all()


def test_processes_that_have_no_gpu_each_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    for device, words in (("cuda:0", "names one GPU"), ("auto", "2 processes .* with 1 GPUs; .*--nproc-per-node 1")):
        with pytest.raises(TrainingError, match=words), joined(device):
            pass


def test_a_process_that_was_started_alone_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.delenv("RANK", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    with joined("auto") as ranks:
        assert ranks is ALONE
        assert signal.getsignal(signal.SIGTERM) is before
