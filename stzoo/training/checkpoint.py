"""Where a stage stands after an epoch: weights, optimiser, moving average and loss scaling, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stzoo.errors import StzooError, TrainingError
from stzoo.files import replacing
from stzoo.ranks import ALONE, Ranks
from stzoo.training.average import Average
from stzoo.training.best import Best


@dataclass(frozen=True, eq=False)
class TrainingState:
    """All that changes while a stage trains: its net, optimiser and loss scaling; moving average and best net, if any.

    A scaler that is not enabled has no state.
    """

    net: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: Average | None = None
    best: Best | None = None


def save_checkpoint(path: Path, stage: str, epochs_done: int, state: TrainingState) -> None:
    """Writes the state after `epochs_done` epochs, atomically. Raises `TrainingError` when it cannot be written."""
    tensors = {f"net.{name}": tensor for name, tensor in state.net.state_dict().items()}
    for index, buffers in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in buffers.items() if isinstance(value, Tensor)}
    if state.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in state.average.tensors.items()}
    metadata = {"stage": stage, "epochs_done": str(epochs_done), "scaler": json.dumps(state.scaler.state_dict())}
    if state.best is not None:
        tensors |= {f"best.{name}": tensor for name, tensor in state.best.tensors.items()}
        metadata |= {"best": json.dumps([state.best.epoch, state.best.cross_entropy])}
    _write(path, tensors, metadata)


def load_checkpoint(path: Path, stage: str, state: TrainingState, ranks: Ranks = ALONE) -> int:
    """Restores a state in place; returns the epochs done. The leading one of `ranks` reads the file for all.

    Without a checkpoint of this stage nothing changes and 0 epochs are done.

    Raises `TrainingError` when the file cannot be read or belongs to another net.
    """
    try:
        checkpoint = ranks.of_leader(_read(path) if ranks.leads and path.exists() else None)
        if checkpoint is None or checkpoint[0]["stage"] != stage:
            return 0
        metadata, tensors = checkpoint
        parts: dict[str, dict[str, Tensor]] = {"net": {}, "optimiser": {}, "average": {}, "best": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        state.net.load_state_dict(parts["net"])
        buffers: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimiser"].items():
            index, key = name.split(".", 1)
            buffers.setdefault(int(index), {})[key] = value
        groups = state.optimiser.state_dict()["param_groups"]
        state.optimiser.load_state_dict({"state": buffers, "param_groups": groups})
        if (average := state.average) is not None:
            average.tensors = {name: parts["average"][name].to(old.device) for name, old in average.tensors.items()}
        if state.best is not None:
            state.best.epoch, state.best.cross_entropy = json.loads(metadata["best"])
            state.best.tensors = parts["best"]
        if scaling := json.loads(metadata["scaler"]):
            state.scaler.load_state_dict(scaling)
        return int(metadata["epochs_done"])
    except StzooError:
        raise
    except Exception as error:
        raise TrainingError(
            f"the checkpoint {path} cannot be used ({type(error).__name__}); delete it to start its stage again"
        ) from error


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    with replacing(path) as temporary:
        try:
            save_file(
                {name: value.detach().contiguous().clone() for name, value in tensors.items()}, temporary, metadata
            )
        except SafetensorError as error:
            raise TrainingError(
                f"{path} cannot be written ({error}); make room for it, and the same command goes on from what is "
                "finished"
            ) from error


def save_weights(path: Path, net: nn.Module) -> None:
    """Writes a net's whole state dict, atomically. Raises `TrainingError` when it cannot be written."""
    _write(path, net.state_dict())


def load_weights(path: Path, net: nn.Module, ranks: Ranks = ALONE) -> None:
    """Reads a net's whole state dict, strictly; the leading one of `ranks` reads it for all.

    Raises `TrainingError` when the file does not fit.
    """
    try:
        net.load_state_dict(ranks.of_leader(_read(path)[1] if ranks.leads else {}))
    except StzooError:
        raise
    except Exception as error:
        raise TrainingError(
            f"the weights {path} cannot be used ({type(error).__name__}); delete the file to make it again"
        ) from error
