"""The net of a stage's best epoch, and when to stop waiting for a better one."""

from __future__ import annotations

import math

from torch import Tensor, nn


class Best:
    """The state dict that had the least cross-entropy on the selection split so far; of equal ones the first.

    Reference: Prechelt 1998, Early Stopping - But When?
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.cross_entropy = math.inf
        self.tensors: dict[str, Tensor] = {}

    def see(self, epoch: int, cross_entropy: float, net: nn.Module) -> None:
        """Takes in a net after so many epochs, if it is better."""
        if cross_entropy < self.cross_entropy:
            self.epoch, self.cross_entropy = epoch, cross_entropy
            self.tensors = {name: value.detach().clone() for name, value in net.state_dict().items()}

    def is_final(self, epoch: int, patience: int) -> bool:
        """Whether nothing better came in the last `patience` of so many epochs."""
        return epoch - self.epoch >= patience
