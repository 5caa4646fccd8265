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
from stzoo.nets.norm import Affine, Statistics

Features = Float[Tensor, "clips features"]

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

    The mean alone stays as it is, as in the paper. More are of unlike sizes, so they are standardised. `features` is
    how many numbers there are of a clip.
    """

    def __init__(self, statistics: tuple[Statistic, ...], channels: int) -> None:
        super().__init__()
        self.statistics = statistics
        self.features = len(statistics) * channels
        self.norm = None if statistics == MEAN else RunningNorm(self.features, _EPSILON)

    def forward(self, x: FrameMeans) -> Features:
        found = [_STATISTICS[name](x, layout().frames_axis) for name in self.statistics]
        return found[0] if self.norm is None else self.norm(torch.cat(found, dim=1))


class RunningNorm(Statistics):
    """Standardises features of clips by running statistics, in training too: a batch has one value a clip, too few.

    The running variance is that about the running mean, so batches of any size teach it, one clip as well.
    """

    @property
    def has_learnt(self) -> bool:
        """Whether it has seen clips; then its statistics are its own, whatever strategy it stands behind."""
        return bool(self.num_batches_tracked)

    def keep(self) -> None:
        if self.has_learnt:
            self.eval()

    def merged(self) -> nn.Module:
        return self.as_affine(FeatureAffine)

    def forward(self, x: Features) -> Features:
        if self.training:
            self._follow(x.detach())
        scale, shift = self.scale_and_shift()
        return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype))

    def _follow(self, x: Features) -> None:
        """Takes a batch in, which is that of all processes together."""
        values = x.double()
        count = values.new_full((1,), len(x))
        sums = self.ranks.total(torch.cat([values.sum(dim=0), values.square().sum(dim=0), count]))
        clips = len(x) if self.ranks.count == 1 else int(sums[-1])
        if not (self.follows_batches and clips):
            return
        mean, squares = (sums[:-1] / clips).chunk(2)
        factor, away = self.counted(), mean - self.running_mean
        variance = squares - mean.square() + (1 - factor) * away.square()
        self.running_var.lerp_(variance.clamp(min=0.0).to(self.running_var), factor)
        self.running_mean.lerp_(mean.to(self.running_mean), factor)


class FeatureAffine(Affine):
    """Scale and shift of every feature of a clip."""

    def forward(self, x: Features) -> Features:
        return torch.addcmul(self.bias.to(x.dtype), x, self.weight.to(x.dtype))


def _mean(x: FrameMeans, axis: int) -> Features:
    return x.mean(dim=axis)


def _deviation(x: FrameMeans, axis: int) -> Features:
    apart = x - x.mean(dim=axis, keepdim=True)
    return torch.sqrt((apart * apart).mean(dim=axis) + _LEAST_VARIANCE)


def _trend(x: FrameMeans, axis: int) -> Features:
    numbers = torch.arange(x.shape[axis], device=x.device).to(x.dtype)
    times = numbers - numbers.mean(dim=0, keepdim=True)
    return (x.movedim(axis, -1) * times).mean(dim=-1) * 12 / (numbers[-1:] + 2)


_STATISTICS: dict[Statistic, Callable[[Tensor, int], Tensor]] = {
    "mean": _mean,
    "deviation": _deviation,
    "trend": _trend,
}
