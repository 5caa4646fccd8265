"""Batch normalisation whose batch is spread over processes."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stzoo.nets.norm import EPSILON, Statistics
from stzoo.ranks import Ranks


@torch.compiler.disable  # type: ignore[untyped-decorator]
def normalise_together(
    statistics: Statistics,
    x: Float[Tensor, "images channels height width"],
    weight: Tensor | None,
    bias: Tensor | None,
    factor: float,
) -> Float[Tensor, "images channels height width"]:
    """`Statistics.normalise` in training with the images of all processes, whose mean it follows by `factor`."""
    y, mean, variance, count = cast(
        tuple[Tensor, Tensor, Tensor, Tensor], BatchNormOfAll.apply(x, weight, bias, statistics.ranks)
    )
    if factor:
        statistics.running_mean.lerp_(mean.to(statistics.running_mean), factor)
        statistics.running_var.lerp_((variance * count / (count - 1.0)).to(statistics.running_var), factor)
    return y


class BatchNormOfAll(torch.autograd.Function):
    """Batch norm whose mean and variance are those of the images of all processes, of which some may have none.

    Gives the normalised images, mean, variance and number of values a channel. The gradients of weight and bias are
    of this process's images alone, as those of every other parameter are.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, ranks: Ranks
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        channels = x.shape[1]
        precision = torch.promote_types(x.dtype, torch.float32)
        values = x.new_full((1,), x.numel() / channels, dtype=precision)
        own_mean, own_variance = x.new_zeros(2, channels, dtype=precision)
        if x.numel():  # given statistics in single precision, it computes in single precision
            own_mean, own_variance = torch.batch_norm_update_stats(x, own_mean, own_variance, 0.0)
        means, variances, counts = ranks.gathered(torch.cat([own_mean, own_variance, values])).split(
            [channels, channels, 1], dim=1
        )
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        variance = (counts * (variances + (means - mean).square())).sum(0) / count
        y = F.batch_norm(x, mean, variance, weight, bias, False, 0.0, EPSILON) if x.numel() else torch.empty_like(x)
        ctx.ranks, ctx.has_weight, ctx.has_bias = ranks, weight is not None, bias is not None
        weight = torch.ones_like(mean) if weight is None else weight
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, weight, mean, variance, count = ctx.saved_tensors
        deviation = (variance + EPSILON).rsqrt()
        scaled, of_weight, of_bias = torch.zeros_like(x), torch.zeros_like(mean), torch.zeros_like(mean)
        if x.numel():
            scaled, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
                gradient, x, weight, mean, variance, mean, deviation, False, EPSILON, [True, True, True]
            )
        sums = ctx.ranks.total(torch.stack([of_bias, of_weight]))
        mean_gradient, mean_product = sums / count
        slope = -weight * deviation.square() * mean_product
        constant = -weight * deviation * mean_gradient - slope * mean
        spread = (slice(None), None, None)
        of_x = torch.addcmul(scaled + constant[spread], x, slope[spread]).to(x.dtype)
        return of_x, of_weight if ctx.has_weight else None, of_bias if ctx.has_bias else None, None
