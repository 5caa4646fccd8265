"""One stage of training: epochs of SGD over training clips, with a checkpoint after each."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stzoo.contract import InputContract
from stzoo.errors import TrainingError
from stzoo.evaluation import to_input
from stzoo.nets.fusion import Gate, named_gates, set_noise
from stzoo.recipe import Optimisation
from stzoo.training.batches import ClipSource
from stzoo.training.checkpoint import load_checkpoint, save_checkpoint
from stzoo.training.draws import Stage, torch_seed
from stzoo.video.progress import counting

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """Where a stage is computed, and in which precision convolutions and matrix products are."""

    device: torch.device
    precision: str = "float32"

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which a net is called."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, AUTOCAST[self.precision])


def learning_rate_factor(optimisation: Optimisation, progress: float) -> float:
    """What all learning rates are multiplied by after `progress` epochs (fractions count)."""
    if progress < optimisation.ramp_epochs:
        return progress / optimisation.ramp_epochs
    if optimisation.schedule == "step":
        return float(optimisation.gamma ** sum(progress >= milestone for milestone in optimisation.milestones))
    span = max(optimisation.epochs - optimisation.ramp_epochs, 1)
    return 0.5 * (1.0 + math.cos(math.pi * (progress - optimisation.ramp_epochs) / span))


def optimiser_of(
    net: nn.Module, optimisation: Optimisation, *, gate_learning_rate: float, gate_weight_decay: float
) -> torch.optim.SGD:
    """SGD with two parameter groups: weights, and gate logits with a learning rate and decay of their own."""
    gates = [module.logit for module in net.modules() if isinstance(module, Gate)]
    chosen = {id(logit) for logit in gates}
    weights = [parameter for parameter in net.parameters() if id(parameter) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": weights, "base": optimisation.learning_rate, "weight_decay": optimisation.weight_decay}
    ]
    if gates:
        groups.append({"params": gates, "base": gate_learning_rate, "weight_decay": gate_weight_decay})
    return torch.optim.SGD(groups, lr=optimisation.learning_rate, momentum=optimisation.momentum)


def fit(
    net: nn.Module,
    clips: ClipSource,
    optimisation: Optimisation,
    *,
    stage: Stage,
    seed: int,
    contract: InputContract,
    machine: Machine,
    checkpoint: Path,
    record: Callable[[int, dict[str, float]], None],
    regulariser: Callable[[nn.Module], Tensor] | None = None,
    gate_learning_rate: float = 0.0,
    gate_weight_decay: float = 0.0,
    progress: bool = True,
) -> None:
    """Trains `net` in place, from the stage's checkpoint if there is one, to the end of its epochs.

    `record` gets the number of epochs done and their numbers: `loss` (with the regulariser), `cross_entropy`,
    `divergence`, `train_accuracy`, `learning_rate`. It is called before the checkpoint is written, so that after a
    crash an epoch may be recorded again but never lost.

    Raises `TrainingError` when the loss is no longer finite.
    """
    net.to(machine.device).train()
    net.dropout = optimisation.dropout  # type: ignore[assignment]
    optimiser = optimiser_of(
        net, optimisation, gate_learning_rate=gate_learning_rate, gate_weight_decay=gate_weight_decay
    )
    scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "float16")
    epochs_done, scaler_state = load_checkpoint(checkpoint, stage, net, optimiser)
    if scaler_state:
        scaler.load_state_dict(scaler_state)
    gates = sum(1 for _ in named_gates(net))
    steps = clips.batches_an_epoch(optimisation.batch_size)
    generators = [machine.device] if machine.device.type == "cuda" else []

    for epoch in range(epochs_done, optimisation.epochs):
        sums = {"loss": 0.0, "cross_entropy": 0.0, "divergence": 0.0, "train_accuracy": 0.0}
        seen = 0
        title = f"{stage} {epoch + 1}/{optimisation.epochs}"
        net.train()
        with torch.random.fork_rng(generators), counting(title, len(clips), unit="clips", show=progress) as bar:
            torch.manual_seed(torch_seed(seed, stage, epoch))
            batches = clips.epoch(seed, stage, epoch, optimisation.batch_size, gates)
            for step, batch in enumerate(batches):
                factor = learning_rate_factor(optimisation, epoch + step / steps)
                for group in optimiser.param_groups:
                    group["lr"] = group["base"] * factor
                labels = batch.labels.to(machine.device)
                if gates:
                    set_noise(net, batch.gate_draws.to(machine.device))
                with machine.autocast():
                    logits = net(to_input(batch.clips.to(machine.device).flatten(0, 1), contract))
                cross_entropy = F.cross_entropy(logits.float(), labels)
                divergence = cross_entropy.new_zeros(()) if regulariser is None else regulariser(net)
                loss = cross_entropy + divergence
                if not torch.isfinite(loss):
                    raise TrainingError(
                        f"the loss of stage {stage} is {loss.item()} in epoch {epoch + 1}, step {step + 1}; "
                        f"lower {stage}.learning_rate, which is {optimisation.learning_rate}"
                    )
                optimiser.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()
                scaler.step(optimiser)
                scaler.update()
                right = (logits.argmax(dim=1) == labels).float().mean()
                for name, value in zip(sums, (loss, cross_entropy, divergence, right), strict=True):
                    sums[name] += float(value.detach()) * len(labels)
                seen += len(labels)
                bar.advance(len(labels))
        set_noise(net, None)
        net.eval()
        numbers = {name: value / seen for name, value in sums.items()}
        record(epoch + 1, numbers | {"learning_rate": optimiser.param_groups[0]["lr"]})
        save_checkpoint(checkpoint, stage, epoch + 1, net, optimiser, scaler.state_dict())
