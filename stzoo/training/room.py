"""Memory that batches of clips are put into."""

from __future__ import annotations

import weakref
from math import prod

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor


class Room:
    """Memory for batches of clips, used again once nobody holds the batch: pages that are new cost more than copying.

    What is `pinned`, a GPU copies by itself; torch keeps such memory for the next batch.
    """

    def __init__(self, pinned: bool = False) -> None:
        self._pinned = pinned
        self._free: list[UInt8[np.ndarray, " size"]] = []

    def take(self, shape: tuple[int, ...]) -> UInt8[Tensor, "..."]:
        """A tensor of that shape with anything in it."""
        if self._pinned:
            return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        size = prod(shape)
        large = [number for number, memory in enumerate(self._free) if len(memory) >= size]
        memory = self._free.pop(large[0]) if large else np.empty(size, np.uint8)
        pixels = memory[:size].reshape(shape)
        weakref.finalize(pixels, self._free.append, memory).atexit = False  # the tensor's memory holds what it watches
        return torch.from_numpy(pixels)
