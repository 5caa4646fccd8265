"""The exponential moving average of a net's weights, with the batch-norm statistics that belong to them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import Tensor, nn


class Average:
    """The average of all that a net's state dict held after each step, in which a step's part falls by `decay`.

    In the first steps the decay is (1 + steps) / (10 + steps), so that the weights of the start are soon forgotten.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors: dict[str, Tensor] = {name: value.clone() for name, value in net.state_dict().items()}

    def follow(self, net: nn.Module, steps: int) -> None:
        """Takes in what the net is after so many steps. Whole numbers, which count batches, are taken over."""
        part = 1.0 - min(self.decay, (1 + steps) / (10 + steps))
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, part)
            else:
                self.tensors[name].copy_(value)

    @contextlib.contextmanager
    def shown(self, net: nn.Module) -> Iterator[None]:
        """Within this context the net has the averaged weights."""
        weights = {name: value.clone() for name, value in net.state_dict().items()}
        net.load_state_dict(self.tensors)
        try:
            yield
        finally:
            net.load_state_dict(weights)
