from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stzoo.errors import TrainingError
from stzoo.training.checkpoint import TrainingState, load_checkpoint, load_weights, save_checkpoint, save_weights

SCALER = {"scale": 1024.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 3}

OFF = torch.amp.GradScaler("cpu", enabled=False)


def scaler(state: dict[str, float] | None = None) -> torch.amp.GradScaler:
    enabled = torch.amp.GradScaler("cpu")
    if state is not None:
        enabled.load_state_dict(state)
    return enabled


def make(seed: int = 0, momentum: float = 0.9, width: int = 4) -> tuple[nn.Module, torch.optim.SGD]:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))
    groups = [{"params": net[0].parameters(), "lr": 0.1}, {"params": [*net[1].parameters(), *net[2].parameters()]}]
    return net, torch.optim.SGD(groups, lr=0.05, momentum=momentum)


def steps(net: nn.Module, optimiser: torch.optim.SGD, numbers: range) -> None:
    for number in numbers:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        optimiser.zero_grad()
        net(x).square().mean().backward()
        optimiser.step()


def momenta(optimiser: torch.optim.SGD) -> list[Tensor]:
    return [state["momentum_buffer"] for state in optimiser.state_dict()["state"].values()]


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_training_goes_on_as_if_it_had_not_stopped(tmp_path: Path, momentum: float) -> None:
    path = tmp_path / "run" / "checkpoint.safetensors"
    net, optimiser = make(momentum=momentum)
    steps(net, optimiser, range(3))
    save_checkpoint(path, "warmup", 3, TrainingState(net, optimiser, scaler(SCALER)))
    steps(net, optimiser, range(3, 6))

    other, its_optimiser = make(seed=1, momentum=momentum)
    its_scaler = scaler()
    assert load_checkpoint(path, "warmup", TrainingState(other, its_optimiser, its_scaler)) == 3
    assert its_scaler.state_dict() == SCALER
    steps(other, its_optimiser, range(3, 6))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in net.state_dict().items())
    if momentum:
        assert all(torch.equal(one, two) for one, two in zip(momenta(optimiser), momenta(its_optimiser), strict=True))
    assert [group["lr"] for group in its_optimiser.param_groups] == [0.1, 0.05]


def test_a_checkpoint_is_one_file_that_holds_no_code(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    net, optimiser = make()
    steps(net, optimiser, range(1))
    save_checkpoint(path, "finetune", 1, TrainingState(net, optimiser, OFF))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"stage": "finetune", "epochs_done": "1", "scaler": "{}"}
        assert {name.split(".")[0] for name in file.keys()} == {"net", "optimiser"}  # noqa: SIM118


def test_the_file_is_a_copy_of_that_moment(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    net, optimiser = make()
    steps(net, optimiser, range(1))
    save_checkpoint(path, "warmup", 1, TrainingState(net, optimiser, OFF))
    before = path.read_bytes()
    steps(net, optimiser, range(1, 2))
    assert path.read_bytes() == before
    save_checkpoint(path, "warmup", 2, TrainingState(net, optimiser, OFF))
    assert path.read_bytes() != before


def test_without_a_checkpoint_of_the_stage_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    net, optimiser = make()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert load_checkpoint(path, "warmup", TrainingState(net, optimiser, OFF)) == 0
    trained, its_optimiser = make(seed=1)
    steps(trained, its_optimiser, range(2))
    save_checkpoint(path, "warmup", 2, TrainingState(trained, its_optimiser, OFF))
    assert load_checkpoint(path, "variational", TrainingState(net, optimiser, OFF)) == 0
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert optimiser.state_dict()["state"] == {}


def test_a_checkpoint_of_another_net_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    net, optimiser = make(width=5)
    steps(net, optimiser, range(1))
    save_checkpoint(path, "warmup", 1, TrainingState(net, optimiser, OFF))
    for other in (make(), (nn.Linear(3, 5), torch.optim.SGD(nn.Linear(3, 5).parameters(), lr=0.1))):
        with pytest.raises(TrainingError, match=f"^the checkpoint {re.escape(str(path))} cannot be used .*; delete it"):
            load_checkpoint(path, "warmup", TrainingState(*other, OFF))


@pytest.mark.parametrize("damage", ["empty", "text", "half", "no metadata", "no number", "no tensors", "folder"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    net, optimiser = make()
    steps(net, optimiser, range(1))
    save_checkpoint(path, "warmup", 1, TrainingState(net, optimiser, OFF))
    whole, metadata = load_file(path), {"stage": "warmup", "epochs_done": "1", "scaler": "{}"}
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("no checkpoint at all")
    elif damage == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "no metadata":
        save_file(whole, path)
    elif damage == "no number":
        save_file(whole, path, metadata | {"epochs_done": "many"})
    elif damage == "no tensors":
        save_file({}, path, metadata)
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(TrainingError, match=re.escape(str(path))):
        load_checkpoint(path, "warmup", TrainingState(*make(), OFF))


def test_weights_are_kept_exactly(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    net, optimiser = make()
    steps(net, optimiser, range(2))
    save_weights(path, net)
    other, _ = make(seed=1)
    load_weights(path, other)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in net.state_dict().items())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, make(width=5)[0])
    with pytest.raises(TrainingError, match=f"^the weights {re.escape(str(path))} cannot be used"):
        load_weights(path, make()[0])
    few = {name: value for name, value in make()[0].state_dict().items() if name != "2.bias"}
    save_file(few, path)
    with pytest.raises(TrainingError, match="cannot be used"):
        load_weights(path, make()[0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrainingError, match="cannot be used"):
        load_weights(path, make()[0])
    with pytest.raises(TrainingError, match="cannot be used"):
        load_weights(tmp_path / "missing", make()[0])


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    net, optimiser = make()
    checkpoint, weights = tmp_path / "checkpoint.safetensors", tmp_path / "weights.safetensors"
    save_checkpoint(checkpoint, "warmup", 1, TrainingState(net, optimiser, OFF))
    save_weights(weights, net)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr("stzoo.training.checkpoint.save_file", full)
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors cannot be written \(.*No space left.*make room"):
        save_checkpoint(checkpoint, "warmup", 2, TrainingState(net, optimiser, OFF))
    with pytest.raises(TrainingError, match=r"weights\.safetensors cannot be written"):
        save_weights(weights, net)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
