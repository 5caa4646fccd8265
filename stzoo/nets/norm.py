"""Batch normalisation over clips, frames and positions, with statistics that several branches can share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from stzoo.nets.layout import Activation, layout
from stzoo.ranks import ALONE, Ranks

EPSILON = 1e-5
ScaleAndShift = tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]


class Statistics(nn.Module):
    """Mean and variance of every channel, computed once for all branches that normalise the same input.

    `forward` standardises the input. In training it uses the batch and follows it with `momentum`; a momentum of None
    averages all batches equally, which is how the statistics of a pruned net are re-estimated. While `follows_batches`
    is off, it uses the batch and remembers nothing of it. The batch is that of all `ranks` together.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.momentum: float | None = 0.1
        self.follows_batches = True
        self.ranks = ALONE
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def reset(self) -> None:
        """Forgets every batch seen so far."""
        self.running_mean.zero_()
        self.running_var.fill_(1.0)
        self.num_batches_tracked.zero_()

    def scale_and_shift(self) -> ScaleAndShift:
        """What this norm does to every channel outside training, in single precision at least."""
        precision = torch.promote_types(self.running_var.dtype, torch.float32)
        scale = (self.running_var.to(precision) + EPSILON).rsqrt()
        return scale, -self.running_mean.to(precision) * scale

    def merged(self) -> nn.Module:
        """What does the same outside training in one scale and one shift."""
        scale, shift = self.scale_and_shift()
        affine = Affine(len(scale)).to(self.running_var).requires_grad_(False).eval()
        affine.weight.copy_(scale)
        affine.bias.copy_(shift)
        return affine

    def forward(self, x: Activation) -> Activation:
        return self.normalise(x, None, None)

    def normalise(self, x: Activation, weight: Tensor | None, bias: Tensor | None) -> Activation:
        """Standardises and, where given, scales and shifts every channel."""
        factor = 0.0
        if self.training and self.follows_batches:
            self.num_batches_tracked.add_(1)
            factor = 1.0 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        if self.training and self.ranks.count > 1:
            from stzoo.nets.synchronised import normalise_together  # which imports torch's compiler

            return layout().per_channel(lambda view: normalise_together(self, view, weight, bias, factor), x)
        kept = (self.running_mean, self.running_var)
        return layout().per_channel(
            lambda view: F.batch_norm(view, *kept, weight, bias, self.training, factor, EPSILON), x
        )


def synchronise(net: nn.Module, ranks: Ranks) -> None:
    """Lets every batch norm of a net take its statistics from the batches of all `ranks` together."""
    for module in net.modules():
        if isinstance(module, Statistics):
            module.ranks = ranks


class Affine(nn.Module):
    """Scale and shift of every channel: a branch's own half of a batch norm whose statistics are shared."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Activation) -> Activation:
        return layout().scaled_and_shifted(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class BatchNorm(Statistics):
    """Statistics, scale and shift in one module, for a place that only one path passes."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def scale_and_shift(self) -> ScaleAndShift:
        scale, shift = super().scale_and_shift()
        return scale * self.weight, shift * self.weight + self.bias

    def forward(self, x: Activation) -> Activation:
        return self.normalise(x, self.weight, self.bias)
