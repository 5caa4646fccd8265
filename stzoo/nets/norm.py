"""Batch normalisation over clips, frames and positions.

Several branches can share its statistics, and several processes a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from stzoo.nets.layout import Activation, layout
from stzoo.ranks import ALONE, Ranks

EPSILON = 1e-5
BATCHES = "num_batches_tracked"
"""Absent from files of weights that are older than it; nothing that is computed depends on it."""

ScaleAndShift = tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]


class Statistics(nn.Module):
    """Mean and variance of every channel, computed once for all branches that normalise the same input.

    `forward` standardises the input. In training it uses the batch and follows it with `momentum`; a momentum of None
    averages all batches equally, which is how the statistics of a pruned net are re-estimated. While `follows_batches`
    is off, it uses the batch and remembers nothing of it. The batch is that of all `ranks` together. A single value of
    every channel has no variance, and is standardised as outside training.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, epsilon: float = EPSILON) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.momentum: float | None = 0.1
        self.follows_batches = True
        self.ranks = ALONE
        self.together: Callable[..., Tensor] | None = None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def reset(self) -> None:
        """Forgets every batch seen so far."""
        self.running_mean.zero_()
        self.running_var.fill_(1.0)
        self.num_batches_tracked.zero_()

    def keep(self) -> None:
        """Uses what it has seen and follows no batch, until `train` is called again."""
        self.eval()

    def scale_and_shift(self) -> ScaleAndShift:
        """What this norm does to every channel outside training, in single precision at least."""
        precision = torch.promote_types(self.running_var.dtype, torch.float32)
        scale = (self.running_var.to(precision) + self.epsilon).rsqrt()
        return scale, -self.running_mean.to(precision) * scale

    def merged(self) -> nn.Module:
        """What does the same outside training in one scale and one shift."""
        return self.as_affine(Affine)

    def as_affine(self, kind: type[Affine]) -> Affine:
        """One of this kind with the scale and the shift of now, without gradients."""
        scale, shift = self.scale_and_shift()
        affine = kind(len(scale)).to(self.running_var).requires_grad_(False).eval()
        affine.weight.copy_(scale)
        affine.bias.copy_(shift)
        return affine

    def forward(self, x: Activation) -> Activation:
        return self.normalise(x, None, None)

    def normalise(self, x: Activation, weight: Tensor | None, bias: Tensor | None) -> Activation:
        """Standardises and, where given, scales and shifts every channel."""
        if self.training and self.together is not None:
            together, factor = self.together, self.counted()
            return layout().per_channel(lambda view: (together(self, view, weight, bias, factor),), x)[0]
        kept = (self.running_mean, self.running_var)
        by_batch = self.training and x.numel() > len(self.running_mean)
        factor = self.counted() if by_batch else 0.0
        return layout().per_channel(
            lambda view: (F.batch_norm(view, *kept, weight, bias, by_batch, factor, self.epsilon),), x
        )[0]

    def counted(self) -> float:
        """By how much the running statistics follow the batch at hand, which is counted unless that is not at all."""
        if not (self.training and self.follows_batches):
            return 0.0
        self.num_batches_tracked.add_(1)
        return 1.0 / int(self.num_batches_tracked) if self.momentum is None else self.momentum


def keep_statistics(net: nn.Module) -> None:
    """Lets every batch norm of a net in training use the statistics that it has, until `net.train` is called again."""
    for module in net.modules():
        if isinstance(module, Statistics):
            module.keep()
        elif isinstance(module, _BatchNorm):
            module.eval()


def synchronise(net: nn.Module, ranks: Ranks) -> None:
    """Lets every batch norm of a net take its statistics from the batches of all `ranks` together."""
    # Asked for only here, since it imports torch's compiler.
    together = torch.compiler.disable(normalise_together) if ranks.count > 1 else None
    for module in net.modules():
        if isinstance(module, Statistics):
            module.ranks, module.together = ranks, together


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

    def __init__(self, channels: int, epsilon: float = EPSILON) -> None:
        super().__init__(channels, epsilon)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def scale_and_shift(self) -> ScaleAndShift:
        scale, shift = super().scale_and_shift()
        return scale * self.weight, shift * self.weight + self.bias

    def forward(self, x: Activation) -> Activation:
        return self.normalise(x, self.weight, self.bias)


def normalise_together(
    statistics: Statistics,
    x: Float[Tensor, "images channels height width"],
    weight: Tensor | None,
    bias: Tensor | None,
    factor: float,
) -> Float[Tensor, "images channels height width"]:
    """`Statistics.normalise` in training with the images of all processes, whose mean it follows by `factor`."""
    y, mean, variance, count = cast(
        tuple[Tensor, Tensor, Tensor, Tensor],
        BatchNormOfAll.apply(x, weight, bias, statistics.ranks, statistics.epsilon),
    )
    if factor:
        by = factor * (count > 1).to(statistics.running_mean)
        unbiased = variance * count / (count - 1.0).clamp(min=1.0)
        statistics.running_mean.lerp_(mean.to(statistics.running_mean), by)
        statistics.running_var.lerp_(unbiased.to(statistics.running_var), by)
    return y


class BatchNormOfAll(torch.autograd.Function):
    """Batch norm whose mean and variance are those of the images of all processes, of which some may have none.

    Gives the normalised images, mean, variance and number of values a channel. The gradients of weight and bias are
    of this process's images alone, as those of every other parameter are.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, ranks: Ranks, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        channels = x.shape[1]
        precision = torch.promote_types(x.dtype, torch.float32)
        if x.numel() and x.dtype == precision:
            mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        else:
            mean, variance = x.new_zeros(2, channels, dtype=precision).unbind()
            if x.numel():  # given statistics in single precision, it computes in single precision
                mean, variance = torch.batch_norm_update_stats(x, mean, variance, 0.0)
        values = x.new_full((1,), x.numel() / channels, dtype=precision)
        means, variances, counts = ranks.gathered(torch.cat([mean, variance, values])).split(
            [channels, channels, 1], dim=1
        )
        count = counts.sum()
        shares = counts / count
        mean = (shares * means).sum(0)
        deviations = means - mean
        variance = (shares * torch.addcmul(variances, deviations, deviations)).sum(0)
        y = F.batch_norm(x, mean, variance, weight, bias, False, 0.0, epsilon) if x.numel() else torch.empty_like(x)
        ctx.ranks, ctx.epsilon = ranks, epsilon
        ctx.has_weight, ctx.has_bias = weight is not None, bias is not None
        weight = torch.ones_like(mean) if weight is None else weight
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        deviation = (variance + ctx.epsilon).rsqrt()
        if x.numel():
            scaled, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
                gradient, x, weight, mean, variance, mean, deviation, False, ctx.epsilon, [True, True, True]
            )
        else:
            scaled, of_weight, of_bias = torch.empty_like(x), torch.zeros_like(mean), torch.zeros_like(mean)
        sums = ctx.ranks.total(torch.stack([of_bias, of_weight]))
        mean_gradient, mean_product = sums.mul_(-weight * deviation / count).unbind()
        slope = deviation * mean_product
        constant = torch.addcmul(mean_gradient, slope, mean, value=-1.0)
        slope, constant = slope.view(-1, 1, 1), constant.view(-1, 1, 1)
        of_x = scaled.add_(constant) if scaled.dtype == constant.dtype else scaled + constant
        of_x = of_x.addcmul_(x, slope).to(x.dtype)
        return of_x, of_weight if ctx.has_weight else None, of_bias if ctx.has_bias else None, None, None
