"""What is left of time before the head: statistics of the features over a clip's frames.

References: Snyder et al. 2018, section 2.1, for the standard deviation beside the mean; the trend is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stzoo.nets.layout import FrameMeans, layout
from stzoo.nets.norm import RunningNorm

Statistic = Literal["mean", "deviation", "trend"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
MEAN: tuple[Statistic, ...] = ("mean",)

_EPSILON = 1e-3
_LEAST_VARIANCE = 1e-6
"""Below it a deviation is as good as none, and its gradient would have no bound."""


def is_pooling(names: tuple[object, ...]) -> bool:
    """Whether these are statistics that a head can see: one at least, and none twice."""
    return bool(names) and all(name in STATISTICS and names.count(name) == 1 for name in names)


class Pooling(nn.Module):
    """Statistics of every channel over the frames, one after the other.

    `mean` and `deviation` do not see the order of the frames. `trend` is what the line of least squares through them
    rises by from the first to the last; of a clip backwards it is the same with the other sign.

    The mean alone stays as it is, as in the paper. More are of unlike sizes, so they are standardised, in training
    too by the running statistics of a batch norm: a batch has one value a clip, which are too few. `features` is how
    many numbers there are of a clip.
    """

    def __init__(self, statistics: tuple[Statistic, ...], channels: int) -> None:
        super().__init__()
        self.statistics = statistics
        self.features = len(statistics) * channels
        self.norm = None if statistics == MEAN else RunningNorm(self.features, _EPSILON)

    def forward(self, x: FrameMeans) -> Float[Tensor, "clips features"]:
        found = [_STATISTICS[name](x, layout().frames_axis) for name in self.statistics]
        if self.norm is None:
            return found[0]
        pooled = torch.cat(found, dim=1)[:, :, None, None, None]
        return layout().frames(self.norm(layout().from_volume(pooled))).flatten(1)


def _mean(x: FrameMeans, axis: int) -> Float[Tensor, "clips channels"]:
    return x.mean(dim=axis)


def _deviation(x: FrameMeans, axis: int) -> Float[Tensor, "clips channels"]:
    apart = x - x.mean(dim=axis, keepdim=True)
    return torch.sqrt((apart * apart).mean(dim=axis) + _LEAST_VARIANCE)


def _trend(x: FrameMeans, axis: int) -> Float[Tensor, "clips channels"]:
    frames = x.shape[axis]
    times = torch.arange(frames, dtype=x.dtype, device=x.device) - (frames - 1) / 2
    return (x.movedim(axis, -1) * (times * (12 / (frames + 1)))).mean(dim=-1)


_STATISTICS: dict[Statistic, Callable[[Tensor, int], Tensor]] = {
    "mean": _mean,
    "deviation": _deviation,
    "trend": _trend,
}
