"""Batch norm and ReLU as one step of autograd, for one path or for all branches of a site that share statistics.

Nothing is kept but what the norm reads and what leaves the ReLU; the input is not standardised once more for each.
ReLU6, which has a `ceiling`, is one too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from stzoo.nets.layout import Activation, layout
from stzoo.nets.norm import Affine, BatchNorm, Statistics


class Rectifier(nn.Module):
    """ReLU, or ReLU6 where the `ceiling` is 6; what it is given may be overwritten."""

    def __init__(self, ceiling: float = math.inf) -> None:
        super().__init__()
        self.ceiling = ceiling

    def forward(self, y: Activation) -> Activation:
        return clamped(y, self.ceiling)

    def extra_repr(self) -> str:
        return "" if self.ceiling == math.inf else f"ceiling={self.ceiling:g}"


class Activated(nn.Sequential):
    """A convolution, its norm, and its rectifier, the last two as one step where the norm learns from the batch."""

    def forward(self, x: Activation) -> Activation:
        conv, *others = self
        y = conv(x)
        match others:
            case [BatchNorm() as norm, Rectifier() as rectifier] if has_its_batch(norm, y):
                return rectified_by_each(norm, [norm], y, rectifier.ceiling)[0]
        for module in others:
            y = module(y)
        return y


def rectified(norm: nn.Module, x: Activation) -> Activation:
    """`norm` and ReLU; what `norm` gives may be overwritten."""
    if isinstance(norm, BatchNorm) and has_its_batch(norm, x):
        return rectified_by_each(norm, [norm], x)[0]
    return clamped(norm(x))


def clamped(y: Activation, ceiling: float = math.inf) -> Activation:
    """ReLU up to a ceiling; in place where nothing is learnt, since autograd would copy all that `y` is a view of."""
    if not y.requires_grad:
        return F.relu(y, inplace=True) if ceiling == math.inf else F.hardtanh(y, 0.0, ceiling, inplace=True)
    return F.relu(y) if ceiling == math.inf else _Clamped.apply(y, ceiling)


class _Clamped(torch.autograd.Function):
    """ReLU up to a ceiling that keeps what it gives for the way back, and not what it is given."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, ceiling: float) -> Tensor:
        result = y.clamp(0.0, ceiling)
        ctx.ceiling = ceiling
        ctx.save_for_backward(result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (result,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, result, 0.0, ctx.ceiling), None


def has_its_batch(statistics: Statistics, x: Activation) -> bool:
    """Whether `x` is the batch whose mean and variance it is normalised with, has any variance, and is learnt from.

    What is only evaluated goes the plain way: there a branch's numbers do not depend on its neighbours.
    """
    alone = statistics.training and statistics.together is None and torch.is_grad_enabled()
    return alone and x.numel() > statistics.running_mean.numel()


def rectified_by_each(
    statistics: Statistics, affines: Sequence[Affine | BatchNorm], x: Activation, ceiling: float = math.inf
) -> tuple[Activation, ...]:
    """ReLU of `x`, standardised by its own `statistics`, then scaled and shifted by each of `affines`."""
    kept = (statistics.running_mean, statistics.running_var, statistics.counted(), statistics.epsilon)
    parameters = [parameter for affine in affines for parameter in (affine.weight, affine.bias)]
    return layout().per_channel(lambda view: _BatchNormRelu.apply(view, ceiling, *kept, *parameters), x)


class _BatchNormRelu(torch.autograd.Function):
    """For each weight and bias that alternate in `parameters` an output; the running statistics follow by `factor`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        ceiling: float,
        running_mean: Tensor,
        running_var: Tensor,
        factor: float,
        epsilon: float,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        weights, biases = parameters[::2], parameters[1::2]
        first, mean, deviation = torch.native_batch_norm(
            x, weights[0], biases[0], running_mean, running_var, True, factor, epsilon
        )
        outputs = [first.clamp_(0.0, ceiling)]
        for weight, bias in zip(weights[1:], biases[1:], strict=True):
            variance = deviation.square().reciprocal() - epsilon
            outputs.append(F.batch_norm(x, mean, variance, weight, bias, False, 0.0, epsilon).clamp_(0.0, ceiling))
        ctx.epsilon, ctx.ceiling = epsilon, ceiling
        ctx.save_for_backward(x, mean, deviation, *weights, *outputs)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, deviation, *saved = ctx.saved_tensors
        weights, outputs = saved[: len(gradients)], saved[len(gradients) :]
        of_x: Tensor | None = None
        of_parameters: list[Tensor | None] = []
        for gradient, weight, y in zip(gradients, weights, outputs, strict=True):
            passed = torch.ops.aten.hardtanh_backward(gradient, y, 0.0, ctx.ceiling)
            wanted = [ctx.needs_input_grad[0], True, True]
            to_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
                passed, x, weight, None, None, mean, deviation, True, ctx.epsilon, wanted
            )
            of_x = to_x if of_x is None else of_x.add_(to_x)
            of_parameters += [of_weight, of_bias]
        return of_x, None, None, None, None, None, *of_parameters
