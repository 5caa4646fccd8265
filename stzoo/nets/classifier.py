"""What all backbones have around their features: a check of the clips before them, an average and a head after them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from stzoo.errors import ContractError
from stzoo.nets.layers import Activation, activation, average


class Classifier(nn.Module, ABC):
    """Clips to logits, by the features and the `head` of a backbone.

    `smallest_size` is the least side in pixels, the product of all spatial strides, so that the last features see at
    least one whole position; `fewest_frames` the least number of frames.

    Raises `ContractError` for clips that are smaller or shorter.
    """

    head: nn.Linear

    def __init__(self, smallest_size: int, fewest_frames: int, dropout: float) -> None:
        super().__init__()
        self.smallest_size = smallest_size
        self.fewest_frames = fewest_frames
        self.dropout = dropout
        self.stages: list[str] = []

    def add_stage(self, name: str, stage: nn.Module) -> None:
        """Appends what `through_stages` runs, as the net's child of that name."""
        self.add_module(name, stage)
        self.stages.append(name)

    def through_stages(self, x: Activation) -> Activation:
        """The added stages, one after the other."""
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return x

    @abstractmethod
    def features(self, x: Activation) -> Activation:
        """Everything between the clips and the average."""

    def forward(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Float[Tensor, "clips classes"]:
        if min(clips.shape[-2:]) < self.smallest_size:
            raise ContractError(
                f"clips of {clips.shape[-1]}x{clips.shape[-2]} pixels are too small for this net; "
                f"use at least {self.smallest_size}x{self.smallest_size}"
            )
        if clips.shape[2] < self.fewest_frames:
            raise ContractError(
                f"clips of {clips.shape[2]} frames are too short for this net; use at least {self.fewest_frames}"
            )
        x = average(self.features(activation(clips)))
        return self.head(F.dropout(x, self.dropout, self.training))
