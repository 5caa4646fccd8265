"""Clips of one pass mixed in pairs, and the loss of what was mixed: mixup and CutMix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from stzoo.training.draws import Draws

_APART = 2**33  # added to a sample's number, so that what it is mixed by shares no draws with its crop

Inputs = Float[Tensor, "clips 3 frames height width"]


@dataclass(frozen=True)
class Mixing:
    """How clips are mixed: by mixup, by CutMix, by either for half of the clips, or, with both at 0, not at all.

    Each number is the a of the Beta(a, a) that a clip's share in what is mixed is drawn from.

    References: Zhang et al. 2018, mixup; Yun et al. 2019, CutMix.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __call__(self, inputs: Inputs, draws: Float64[np.ndarray, "clips 4"]) -> Mixed:
        """Every clip mixed with the next one of the pass, the last one with the first.

        CutMix takes a rectangle of the other clip, the same one in all frames.

        Args:
            inputs: what the net is to see; stays as it is.
            draws: of every clip, uniform numbers in [0, 1): which of the two ways, its share, and the rectangle's
                middle.
        """
        if not (self.mixup or self.cutmix):
            return Mixed(inputs)
        others = inputs.roll(-1, dims=0)
        rows = [self._pair(own, other, row) for own, other, row in zip(inputs, others, draws, strict=True)]
        shares = torch.tensor([share for _, share in rows], dtype=torch.float32, device=inputs.device)
        return Mixed(torch.stack([mixed for mixed, _ in rows]) if rows else inputs, shares)

    def _pair(self, own: Tensor, other: Tensor, draws: Float64[np.ndarray, " 4"]) -> tuple[Tensor, float]:
        """One clip mixed with another, and its share."""
        by_rectangle = draws[0] < 0.5 if self.mixup and self.cutmix else bool(self.cutmix)
        a = self.cutmix if by_rectangle else self.mixup
        share = float(np.random.default_rng(int(draws[1] * 2**53)).beta(a, a))
        if not by_rectangle:
            return torch.lerp(other, own, share), share
        height, width = own.shape[-2:]
        (top, bottom), (left, right) = (
            _around(middle, side, (1.0 - share) ** 0.5) for middle, side in zip(draws[2:], (height, width), strict=True)
        )
        mixed = own.clone()
        mixed[..., top:bottom, left:right] = other[..., top:bottom, left:right]
        return mixed, 1.0 - (bottom - top) * (right - left) / (height * width)


@dataclass(frozen=True)
class Mixed:
    """Clips of a pass, each with its share in what it is mixed into, where it is; the rest is the clip's behind it."""

    inputs: Inputs
    shares: Float32[Tensor, " clips"] | None = None

    def cross_entropy(
        self, logits: Float[Tensor, "clips classes"], labels: Int64[Tensor, " clips"], label_smoothing: float
    ) -> Float[Tensor, ""]:
        """The sum over clips of the cross-entropy, in nats, with the labels mixed as the clips are."""
        own = F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
        if self.shares is None:
            return own.sum()
        other = F.cross_entropy(logits, labels.roll(-1), reduction="none", label_smoothing=label_smoothing)
        return (self.shares * own + (1 - self.shares) * other).sum()


def _around(middle: float, side: int, part: float) -> tuple[int, int]:
    """From where to where a part of a side reaches around a place on it, within it."""
    centre, half = int(middle * side), int(side * part) / 2
    return max(0, round(centre - half)), min(side, round(centre + half))


def mixing_draws(sample: int, draws: Draws) -> Float64[np.ndarray, " 4"]:
    """What decides how a sample's clip is mixed with another one."""
    return draws.uniforms(_APART + sample, 4)
