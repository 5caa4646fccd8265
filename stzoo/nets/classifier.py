"""What all backbones have around their features: a check of the clips before them, pooling and a head after them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from stzoo.errors import ContractError
from stzoo.nets.layout import Activation, layout
from stzoo.nets.pooling import MEAN, Pooling, Statistic
from stzoo.nets.recompute import Recompute


class Classifier(nn.Module, ABC):
    """Clips to logits, by the pooled features of a net and its `head`.

    `smallest_size` is the least side in pixels, the product of all spatial strides, so that the last features see at
    least one whole position; `fewest_frames` the least number of frames. Where `takes_no_other` is set, they are the
    only ones.

    `recompute`, where it is given, runs every part of the stages in training. `dropout_draws` holds the numbers in
    [0, 1) that say which features the next forward pass drops; None takes them from torch's generator.

    `architecture` is the `stzoo.nets.Architecture` that the net was built from; None once it has been merged.

    Raises `ContractError` for clips that are smaller or shorter.
    """

    head: nn.Linear

    def __init__(self, smallest_size: int, fewest_frames: int, dropout: float) -> None:
        super().__init__()
        self.smallest_size = smallest_size
        self.fewest_frames = fewest_frames
        self.takes_no_other = False
        self.dropout = dropout
        self.architecture: object = None
        self.recompute: Recompute | None = None
        self.dropout_draws: Float[Tensor, "clips features"] | None = None

    @abstractmethod
    def pooled(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Float[Tensor, "clips features"]:
        """Everything between the clips and the head; it begins with `_check`."""

    def forward(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Float[Tensor, "clips classes"]:
        return self.head(self.vectors(clips))

    def vectors(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Float[Tensor, "clips features"]:
        """What enters the head: the features of every clip, pooled over frames and positions."""
        return self._dropped(self.pooled(clips))

    def parts(self) -> list[Callable[[Tensor], Tensor]]:
        """What `forward` does, in order, as far as the net can be taken apart: the first takes clips, the last gives
        logits, and each takes what the one before gave.
        """
        return [self]

    def _check(self, clips: Float[Tensor, "clips 3 frames height width"]) -> None:
        frames, height, width = clips.shape[2:]
        least = self.smallest_size
        if self.takes_no_other and (frames, height, width) != (self.fewest_frames, least, least):
            raise ContractError(
                f"this net takes clips of {self.fewest_frames} frames of {least}x{least} pixels and no others, not of "
                f"{frames} frames of {width}x{height}"
            )
        if min(height, width) < least:
            raise ContractError(
                f"clips of {width}x{height} pixels are too small for this net; use at least {least}x{least}"
            )
        if frames < self.fewest_frames:
            raise ContractError(
                f"clips of {frames} frames are too short for this net; use at least {self.fewest_frames}"
            )

    def _dropped(self, x: Float[Tensor, "clips features"]) -> Float[Tensor, "clips features"]:
        if self.dropout_draws is None or not self.training:
            return F.dropout(x, self.dropout, self.training)
        return x * (self.dropout_draws >= self.dropout).to(x.dtype) / (1.0 - self.dropout)


class StagedClassifier(Classifier):
    """A net of ours: what stands before its stages, the stages, which have the sites, and what stands after them.

    Its features lie in the current layout. A stage is a sequence of blocks or one block.
    """

    pooling: Pooling

    def __init__(self, smallest_size: int, fewest_frames: int, dropout: float) -> None:
        super().__init__(smallest_size, fewest_frames, dropout)
        self.stages: list[str] = []

    def add_head(self, channels: int, classes: int, pooling: tuple[Statistic, ...] = MEAN) -> None:
        """Appends what comes behind features of so many channels: their statistics over frames, and the head."""
        self.pooling = Pooling(pooling, channels)
        self.head = nn.Linear(self.pooling.features, classes)

    def add_stage(self, name: str, stage: nn.Module) -> None:
        """Appends what `through_stages` runs, as the net's child of that name."""
        self.add_module(name, stage)
        self.stages.append(name)

    def through_stages(self, x: Activation) -> Activation:
        """The added stages, one after the other."""
        recompute = self.recompute if self.training and torch.is_grad_enabled() else None
        for name in self.stages:
            stage = self.get_submodule(name)
            x = stage(x) if recompute is None else self.stage_in_parts(stage, x, recompute)
        return x

    def stage_in_parts(self, stage: nn.Module, x: Activation, recompute: Recompute) -> Activation:
        """A stage by `recompute`: each of its blocks where it is a sequence of them, else the whole."""
        for part in _blocks(stage):
            x = recompute(part, part, x)
        return x

    @abstractmethod
    def before_stages(self, x: Activation) -> Activation:
        """What the first stage reads."""

    @abstractmethod
    def after_stages(self, x: Activation) -> Activation:
        """What is pooled."""

    def pooled(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Float[Tensor, "clips features"]:
        return self._pooled(self.through_stages(self._enter(clips)))

    def parts(self) -> list[Callable[[Tensor], Tensor]]:
        """What stands before the stages, every block of them, which is a module, and the rest."""
        stages = [self.get_submodule(name) for name in self.stages]
        return [self._enter, *(block for stage in stages for block in _blocks(stage)), self._leave]

    def _enter(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Activation:
        self._check(clips)
        return self.before_stages(layout().from_volume(clips))

    def _pooled(self, x: Activation) -> Float[Tensor, "clips features"]:
        return self.pooling(layout().frames(self.after_stages(x)))

    def _leave(self, x: Activation) -> Float[Tensor, "clips classes"]:
        return self.head(self._dropped(self._pooled(x)))


def _blocks(stage: nn.Module) -> list[nn.Module]:
    return list(stage) if isinstance(stage, nn.Sequential) else [stage]
