"""Where a stage stands after an epoch: weights, optimiser and loss scaling in one safetensors file, never a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stzoo.errors import TrainingError
from stzoo.files import replacing


def save_checkpoint(
    path: Path, stage: str, epochs_done: int, net: nn.Module, optimiser: torch.optim.Optimizer, scaler_state: Any
) -> None:
    """Writes the state after `epochs_done` epochs, atomically."""
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items() if isinstance(value, Tensor)}
    metadata = {"stage": stage, "epochs_done": str(epochs_done), "scaler": json.dumps(scaler_state)}
    with replacing(path) as temporary:
        save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, temporary, metadata)


def load_checkpoint(path: Path, stage: str, net: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[int, Any]:
    """Restores net and optimiser in place; returns the epochs done and the scaler's state.

    Without a checkpoint of this stage nothing changes and 0 epochs are done.

    Raises `TrainingError` when the file cannot be read or belongs to another net.
    """
    if not path.exists():
        return 0, None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            if metadata["stage"] != stage:
                return 0, None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        net.load_state_dict({name[4:]: value for name, value in tensors.items() if name.startswith("net.")})
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimiser."):
                _, index, key = name.split(".", 2)
                state.setdefault(int(index), {})[key] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        return int(metadata["epochs_done"]), json.loads(metadata["scaler"])
    except Exception as error:
        raise TrainingError(
            f"the checkpoint {path} cannot be used ({type(error).__name__}); delete it to start its stage again"
        ) from error


def save_weights(path: Path, net: nn.Module) -> None:
    """Writes a net's whole state dict, atomically."""
    with replacing(path) as temporary:
        save_file({name: value.detach().contiguous().clone() for name, value in net.state_dict().items()}, temporary)


def load_weights(path: Path, net: nn.Module) -> None:
    """Reads a net's whole state dict, strictly. Raises `TrainingError` when the file does not fit."""
    try:
        with safe_open(path, framework="pt") as file:
            net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except Exception as error:
        raise TrainingError(
            f"the weights {path} cannot be used ({type(error).__name__}); delete the file to make it again"
        ) from error
