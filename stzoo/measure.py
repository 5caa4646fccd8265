"""How large a net is: parameters, and multiply-adds of convolutions and linear layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.fusion import fixed_fuse
from stzoo.strategy import Strategy


@dataclass(frozen=True)
class Measurement:
    """`parameters` of the fixed net; `multiply_adds` of one clip."""

    parameters: int
    multiply_adds: int


def measure(architecture: Architecture, strategy: Strategy, *, frames: int, height: int, width: int) -> Measurement:
    """Counts a fixed net on meta tensors: nothing is allocated and nothing is computed.

    A convolution counts one multiply-add for every kernel element of every output element, padding included; norms,
    activations and pools count nothing.

    Raises `StrategyError` when the strategy does not fit the backbone.
    """
    strategy.check(architecture.backbone, architecture.sites)
    with without_memory():
        net = architecture.build(fixed_fuse(strategy)).eval()
    clip = torch.empty(1, 3, frames, height, width, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(clip)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Measurement(parameters, counter.get_total_flops() // 2)
