"""One stage of training: epochs of SGD over training clips, with a checkpoint after each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stzoo.contract import InputContract
from stzoo.errors import TrainingError
from stzoo.inference import to_input
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import Gate, named_gates, set_noise
from stzoo.progress import counting
from stzoo.ranks import answering, sums_of
from stzoo.recipe import Optimisation, Stage
from stzoo.training.average import Average
from stzoo.training.batches import Batch, ClipSource, Noise
from stzoo.training.checkpoint import load_checkpoint, save_checkpoint
from stzoo.training.draws import Draws
from stzoo.training.machine import Machine, Net, gradients_stay

NUMBERS = ("loss", "cross_entropy", "divergence", "train_accuracy")


def learning_rate_factor(optimisation: Optimisation, progress: float) -> float:
    """What all learning rates are multiplied by after `progress` epochs (fractions count)."""
    if progress < optimisation.ramp_epochs:
        return progress / optimisation.ramp_epochs
    if optimisation.schedule == "step":
        return float(optimisation.gamma ** sum(progress >= milestone for milestone in optimisation.milestones))
    span = max(optimisation.epochs - optimisation.ramp_epochs, 1)
    return 0.5 * (1.0 + math.cos(math.pi * (progress - optimisation.ramp_epochs) / span))


def optimiser_of(
    net: Classifier, optimisation: Optimisation, *, gate_learning_rate: float, gate_weight_decay: float
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
    net: Classifier,
    clips: ClipSource,
    optimisation: Optimisation,
    *,
    stage: Stage,
    seed: int,
    contract: InputContract,
    machine: Machine,
    checkpoint: Path,
    record: Callable[[int, dict[str, float]], None],
    regulariser: Callable[[Classifier], Tensor] | None = None,
    gate_learning_rate: float = 0.0,
    gate_weight_decay: float = 0.0,
    progress: bool = True,
) -> None:
    """Trains `net` in place, from the stage's checkpoint if there is one, to the end of its epochs.

    `record` gets the number of epochs done and their numbers: `loss` (with the regulariser), `cross_entropy`,
    `divergence`, `train_accuracy`, `learning_rate`. It is called before the checkpoint is written, so that after a
    crash an epoch may be recorded again but never lost.

    Every one of `machine.ranks` calls it with the same arguments, and ends with the same net; one of them writes. Where
    a moving average of the weights is kept, that is what `record` sees and what the net ends with.

    Raises `TrainingError` when the loss is no longer finite, and when another process is gone.
    """
    net.to(machine.device)
    net.dropout = optimisation.dropout
    optimiser = optimiser_of(
        net, optimisation, gate_learning_rate=gate_learning_rate, gate_weight_decay=gate_weight_decay
    )
    scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "float16")
    noise = Noise(sum(1 for _ in named_gates(net)), net.head.in_features if optimisation.dropout else 0)
    steps = clips.batches_an_epoch(optimisation.batch_size)

    with machine.training(net) as called:
        average = Average(net, optimisation.ema) if optimisation.ema else None
        epochs_done = load_checkpoint(checkpoint, stage, net, optimiser, scaler, average, machine.ranks)
        taken = _Steps(net, called, optimiser, scaler, machine, contract, regulariser)
        for epoch in range(epochs_done, optimisation.epochs):
            draws = Draws(seed, stage, epoch)
            sums = dict.fromkeys(NUMBERS, 0.0)
            seen = 0
            title = f"{stage} {epoch + 1}/{optimisation.epochs}"
            net.train()
            with counting(title, len(clips), unit="clips", show=progress) as bar:
                batches = clips.epoch(draws, optimisation.batch_size, noise, machine.passes)
                for step, chosen in enumerate(clips.shuffled(draws, optimisation.batch_size)):
                    factor = learning_rate_factor(optimisation, epoch + step / steps)
                    for group in optimiser.param_groups:
                        group["lr"] = group["base"] * factor
                    count, numbers = taken.step(list(islice(batches, len(machine.passes(chosen)))))
                    if not math.isfinite(numbers["loss"]):
                        raise TrainingError(
                            f"the loss of stage {stage} is {numbers['loss']} in epoch {epoch + 1}, step {step + 1}; "
                            f"lower {stage}.learning_rate, which is {optimisation.learning_rate}"
                        )
                    if count:
                        scaler.step(optimiser)
                        scaler.update()
                    if average is not None:
                        average.follow(net, epoch * steps + step + 1)
                    for name, value in numbers.items():
                        sums[name] += value * count
                    seen += count
                    bar.advance(count)
            clips.agree(machine.ranks)
            set_noise(net, None)
            net.dropout_draws = None
            net.eval()
            means = {name: value / seen for name, value in sums.items()}
            with nullcontext() if average is None else average.shown(net):
                record(epoch + 1, means | {"learning_rate": optimiser.param_groups[0]["lr"]})
            if machine.ranks.leads:
                save_checkpoint(checkpoint, stage, epoch + 1, net, optimiser, scaler, average)
    if average is not None:
        net.load_state_dict(average.tensors)


class _Steps:
    """Forward and backward passes of a net, up to the gradients of one step of its optimiser."""

    def __init__(
        self,
        net: Classifier,
        called: Net,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        machine: Machine,
        contract: InputContract,
        regulariser: Callable[[Classifier], Tensor] | None,
    ) -> None:
        self.net = net
        self.called = called
        self.optimiser = optimiser
        self.scaler = scaler
        self.machine = machine
        self.contract = contract
        self.regulariser = regulariser

    def step(self, parts: Sequence[Batch]) -> tuple[int, dict[str, float]]:
        """Clips and mean numbers of a batch, of which this process has `parts`; its gradients are those of the mean.

        The passes add up: every clip counts once, and the regulariser once.
        """
        device, ranks = self.machine.device, self.machine.ranks
        counts = sums_of(ranks, [float(len(part.labels)) for part in parts], device)
        count = int(sum(counts))
        passes = [part for part, clips in zip(parts, counts, strict=True) if clips]
        self.optimiser.zero_grad(set_to_none=True)
        totals = torch.zeros(2, dtype=torch.float64, device=device)
        divergence = torch.zeros((), device=device)
        for number, part in enumerate(passes, start=1):
            last = number == len(passes)
            with gradients_stay(self.called, here=not last):
                logits, labels = self._logits(part), part.labels.to(device)
                cross_entropy = F.cross_entropy(logits, labels, reduction="sum")
                loss = cross_entropy * (ranks.count / count)  # gradients are averaged over the processes
                if last and self.regulariser is not None:
                    divergence = self.regulariser(self.net)
                    loss = loss + divergence
                with answering():
                    self.scaler.scale(loss).backward()
            totals += torch.stack([cross_entropy.detach().double(), (logits.argmax(dim=1) == labels).sum().double()])
        of_all = [value / max(count, 1) for value in ranks.total(totals).tolist()]
        diverging = float(divergence.detach())
        return count, dict(zip(NUMBERS, (of_all[0] + diverging, of_all[0], diverging, of_all[1]), strict=True))

    def _logits(self, part: Batch) -> Tensor:
        device = self.machine.device
        set_noise(self.net, part.gate_draws.to(device))
        self.net.dropout_draws = part.dropout_draws.to(device) if part.dropout_draws.shape[1] else None
        with self.machine.autocast():
            logits = self.called(to_input(part.clips.to(device).flatten(0, 1), self.contract))
        return logits.to(torch.promote_types(logits.dtype, torch.float32))
