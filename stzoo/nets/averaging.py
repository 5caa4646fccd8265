"""Several nets that take the same clips, and whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Averaged(nn.Module):
    """Gives the logits of every net; who averages takes the softmax of each first."""

    def __init__(self, nets: Iterable[nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Float[Tensor, "nets clips classes"]:
        return torch.stack([net(clips) for net in self.nets])
