"""One stage of training: epochs over training clips, with a checkpoint after each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stzoo.contract import InputContract
from stzoo.errors import TrainingError
from stzoo.inference import to_input
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import Gate, draw_masks, named_gates, set_masks, set_noise
from stzoo.nets.norm import keep_statistics
from stzoo.ranks import answering, sums_of
from stzoo.recipe import Optimisation, Stage, Variational
from stzoo.terminal.progress import counting
from stzoo.training.average import Average
from stzoo.training.batches import Batch, ClipSource, Noise
from stzoo.training.best import Best
from stzoo.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from stzoo.training.draws import Draws
from stzoo.training.machine import Forward, Machine, gradients_stay
from stzoo.training.mixing import Mixed, Mixing
from stzoo.training.numbers import READ_EVERY, EpochNumbers, StepNumbers

_ABSURD = 1e6  # nats of cross-entropy, which no net that learns ever has


def learning_rate_factor(optimisation: Optimisation, progress: float) -> float:
    """What all learning rates are multiplied by after `progress` epochs (fractions count)."""
    of_all = progress - optimisation.head_epochs
    if of_all < 0:
        return 1.0
    if of_all < optimisation.ramp_epochs:
        return of_all / optimisation.ramp_epochs
    if optimisation.schedule == "step":
        return float(optimisation.gamma ** sum(progress >= milestone for milestone in optimisation.milestones))
    span = max(optimisation.epochs - optimisation.head_epochs - optimisation.ramp_epochs, 1)
    return 0.5 * (1.0 + math.cos(math.pi * (of_all - optimisation.ramp_epochs) / span))


def optimiser_of(net: Classifier, optimisation: Optimisation) -> torch.optim.Optimizer:
    """An optimiser with a parameter group for each learning rate, the head's first.

    The trunk's weights are in the head's group unless they have a rate of their own; a template's gate logits have
    their own rate and decay.
    """
    rate, decay = optimisation.learning_rate, optimisation.weight_decay
    logits = [module.logit for module in net.modules() if isinstance(module, Gate)]
    apart = {id(logit) for logit in logits}
    if optimisation.trunk_learning_rate is None:
        weights = [parameter for parameter in net.parameters() if id(parameter) not in apart]
        groups: list[dict[str, Any]] = [{"params": weights, "base": rate, "weight_decay": decay}]
    else:
        head = list(net.head.parameters())
        apart |= {id(parameter) for parameter in head}
        trunk = [parameter for parameter in net.parameters() if id(parameter) not in apart]
        groups = [
            {"params": head, "base": rate, "weight_decay": decay},
            {"params": trunk, "base": optimisation.trunk_learning_rate, "weight_decay": decay},
        ]
    if logits:
        assert isinstance(optimisation, Variational)
        gate_rate, gate_decay = optimisation.gate_learning_rate, optimisation.gate_weight_decay
        groups.append({"params": logits, "base": gate_rate, "weight_decay": gate_decay})
    if optimisation.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(optimisation.momentum, 0.999))
    return torch.optim.SGD(groups, lr=rate, momentum=optimisation.momentum)


@dataclass(frozen=True)
class Assignment:
    """What a stage is to do: the epochs of its table, on clips that a net wants as the contract says.

    The `seed` is what its draws follow from; the `regulariser` is added to the loss once a step.
    """

    stage: Stage
    optimisation: Optimisation
    seed: int
    contract: InputContract
    regulariser: Callable[[Classifier], Tensor] | None = None


def fit(
    net: Classifier,
    clips: ClipSource,
    assignment: Assignment,
    machine: Machine,
    *,
    checkpoint: Path,
    record: Callable[[int, dict[str, float]], float],
    progress: bool = True,
) -> None:
    """Trains `net` in place, from the stage's checkpoint if there is one, to the end of its epochs.

    With `patience` it ends before, when so many epochs in a row have brought nothing better, and the net is that of the
    best epoch.

    `record` gets the number of epochs done and their numbers: `loss` (with the regulariser), `cross_entropy`,
    `divergence`, `train_accuracy`, `learning_rate`; it gives the net's cross-entropy on the selection split. It is
    called before the checkpoint is written, so that after a crash an epoch may be recorded again but never lost.

    Every one of `machine.ranks` calls it with the same arguments, and ends with the same net; one of them writes. Where
    a moving average of the weights is kept, that is what `record` sees and what the net ends with.

    Raises `TrainingError` when the loss or the net is no longer finite or the cross-entropy absurd, as after an epoch
    that diverged, which leaves no checkpoint; and when another process is gone.
    """
    stage, optimisation = assignment.stage, assignment.optimisation
    net.to(machine.device)
    net.dropout = optimisation.dropout
    optimiser = optimiser_of(net, optimisation)
    scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "float16")
    average = Average(net, optimisation.ema) if optimisation.ema else None
    best = Best() if optimisation.patience else None
    state = TrainingState(net, optimiser, scaler, average, best)
    epochs_done = load_checkpoint(checkpoint, stage, state, machine.ranks)
    _refuse_diverged(net, assignment, epochs_done)
    for first, end in ((0, optimisation.head_epochs), (optimisation.head_epochs, optimisation.epochs)):
        if epochs_done >= end:
            continue
        alone = head_alone(net) if first < optimisation.head_epochs else nullcontext()
        with alone, machine.training(net) as forward:
            trainer = _Trainer(net, forward, clips, assignment, machine, state)
            for epoch in range(max(first, epochs_done), end):
                if best is not None and best.is_final(epoch, optimisation.patience):
                    break
                numbers = trainer.epoch(epoch, progress)
                _refuse_diverged(net, assignment, epoch + 1, numbers["cross_entropy"])
                with nullcontext() if average is None else average.shown(net):
                    cross_entropy = record(epoch + 1, numbers)
                    if best is not None:
                        best.see(epoch + 1, cross_entropy, net)
                if machine.ranks.leads:
                    save_checkpoint(checkpoint, stage, epoch + 1, state)
    if best is not None:
        net.load_state_dict(best.tensors)
    elif average is not None:
        net.load_state_dict(average.tensors)


@contextmanager
def head_alone(net: Classifier) -> Iterator[None]:
    """Within this context no parameter has gradients but the head's."""
    head = {id(parameter) for parameter in net.head.parameters()}
    others = [parameter for parameter in net.parameters() if id(parameter) not in head and parameter.requires_grad]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def _refuse_diverged(net: Classifier, assignment: Assignment, epochs: int, cross_entropy: float = 0.0) -> None:
    """Raises `TrainingError` where a net is beyond repair after so many epochs."""
    stage, rate = assignment.stage, assignment.optimisation.learning_rate
    state = {name: value for name, value in net.state_dict().items() if value.is_floating_point()}
    broken = next((name for name, value in state.items() if not bool(value.isfinite().all())), None)
    what = f"the cross-entropy is {cross_entropy:.3g}" if broken is None else f"{broken} is no longer finite"
    if broken is not None or cross_entropy > _ABSURD:
        raise TrainingError(
            f"stage {stage} has diverged in epoch {epochs}: {what}; lower {stage}.learning_rate, which is {rate}, and "
            "train into another folder with --out"
        )


@dataclass(frozen=True, eq=False)
class _Trainer:
    """Trains a net epoch by epoch, step by step, pass by pass; `forward` is the net as it is called."""

    net: Classifier
    forward: Forward
    clips: ClipSource
    assignment: Assignment
    machine: Machine
    state: TrainingState

    def epoch(self, epoch: int, progress: bool) -> dict[str, float]:
        """Every clip once; their mean numbers, and the last learning rate. The net ends in eval mode, without noise."""
        stage, optimisation = self.assignment.stage, self.assignment.optimisation
        draws = Draws(self.assignment.seed, stage, epoch)
        noise = Noise(sum(1 for _ in named_gates(self.net)), self.net.head.in_features if self.net.dropout else 0)
        waits = self.machine.device.type != "cpu" or self.machine.ranks.count > 1
        told = EpochNumbers(self.machine.ranks, partial(self._refuse_infinite, epoch), every=READ_EVERY if waits else 1)
        self.net.train()
        if optimisation.batch_norm == "kept":
            keep_statistics(self.net)
        title = f"{stage} {epoch + 1}/{optimisation.epochs}"
        with counting(title, len(self.clips), unit="clips", show=progress) as bar:
            passes = self.clips.epoch(draws, optimisation.batch_size, noise, self.machine.passes)
            for step, batch in enumerate(self.clips.shuffled(draws, optimisation.batch_size)):
                sizes = [len(part) for part in self.machine.together(batch)]
                numbers = self._step(epoch, step, list(islice(passes, len(sizes))), sizes)
                told.add(numbers)
                bar.advance(numbers.clips)
        self.clips.agree(self.machine.ranks)
        set_noise(self.net, None)
        set_masks(self.net, None)
        self.net.dropout_draws = None
        self.net.eval()
        return told.means() | {"learning_rate": self.state.optimiser.param_groups[0]["lr"]}

    def _refuse_infinite(self, epoch: int, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            stage, rate = self.assignment.stage, self.assignment.optimisation.learning_rate
            raise TrainingError(
                f"the loss of stage {stage} is {loss} in epoch {epoch + 1}, step {step + 1}; "
                f"lower {stage}.learning_rate, which is {rate}"
            )

    def _step(self, epoch: int, step: int, parts: Sequence[Batch], sizes: Sequence[int]) -> StepNumbers:
        """One step of the optimiser on a batch, of which this process has `parts`; none where no clip can be read."""
        optimisation = self.assignment.optimisation
        steps_an_epoch = self.clips.batches_an_epoch(optimisation.batch_size)
        factor = learning_rate_factor(optimisation, epoch + step / steps_an_epoch)
        for group in self.state.optimiser.param_groups:
            group["lr"] = group["base"] * factor
        numbers = self._gradients(parts, sizes)
        if numbers.clips:
            self.state.scaler.step(self.state.optimiser)
            self.state.scaler.update()
        if self.state.average is not None:
            self.state.average.follow(self.net, epoch * steps_an_epoch + step + 1)
        return numbers

    def _gradients(self, parts: Sequence[Batch], sizes: Sequence[int]) -> StepNumbers:
        """Leaves the gradients of a whole batch's mean loss, of which this process has `parts`.

        The passes add up: every clip counts once, and the regulariser once. The `sizes` are those of all processes'
        passes, where every video can be read.
        """
        device, ranks = self.machine.device, self.machine.ranks
        counts = sums_of(ranks, [len(part.labels) for part in parts]) if self.clips.may_lack else sizes
        count = sum(counts)
        passes = [part for part, clips in zip(parts, counts, strict=True) if clips]
        smoothing = self.assignment.optimisation.label_smoothing
        self.state.optimiser.zero_grad(set_to_none=True)
        totals = torch.zeros(2, dtype=torch.float64, device=device)
        divergence = torch.zeros((), device=device)
        for number, part in enumerate(passes, start=1):
            last = number == len(passes)
            with gradients_stay(self.forward, here=not last):
                mixed, labels = self._mixed(part), part.labels.to(device)
                logits = self._logits(mixed.inputs, part)
                cross_entropy = mixed.cross_entropy(logits, labels, smoothing)
                loss = cross_entropy * (ranks.count / count)  # gradients are averaged over the processes
                if last and self.assignment.regulariser is not None:
                    divergence = self.assignment.regulariser(self.net)
                    loss = loss + divergence
                with answering():
                    self.state.scaler.scale(loss).backward()
            totals += torch.stack([cross_entropy.detach().double(), (logits.argmax(dim=1) == labels).sum().double()])
        return StepNumbers(count, totals, divergence.detach().double())

    def _mixed(self, part: Batch) -> Mixed:
        """What the net sees of a pass."""
        optimisation = self.assignment.optimisation
        inputs = to_input(part.clips.to(self.machine.device, non_blocking=True).flatten(0, 1), self.assignment.contract)
        return Mixing(optimisation.mixup, optimisation.cutmix)(inputs, part.mixing_draws)

    def _logits(self, inputs: Tensor, part: Batch) -> Tensor:
        device = self.machine.device
        # A compiler joins the masks' kernels by itself, and does not take tensors with a history from outside.
        give_noise = draw_masks if self.machine.compiler is None else set_noise
        give_noise(self.net, part.gate_draws.to(device))
        self.net.dropout_draws = part.dropout_draws.to(device) if part.dropout_draws.shape[1] else None
        with self.machine.autocast(), answering():
            logits = self.forward(inputs)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))
