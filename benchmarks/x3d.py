"""X3D-S, built from its publication: a peer that no package here has.

Reference: Feichtenhofer 2020, Table 1 and the code published with it. It has 3.79 M parameters and, for a clip of 13
frames of 160 pixels, 1.96 G multiply-adds; `python benchmarks/x3d.py` counts both.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

STAGES = ((24, 3), (48, 5), (96, 11), (192, 7))
"""Width and number of blocks of every stage."""

STEM, LAST, HIDDEN = 24, 432, 2048

Volume = Float[Tensor, "clips channels frames height width"]


class SqueezeExcite(nn.Module):
    """A weight for every channel, from its mean over the clip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = _squeezed(channels)
        self.weigh = nn.Sequential(
            nn.Conv3d(channels, hidden, 1), nn.ReLU(), nn.Conv3d(hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Volume) -> Volume:
        return x * self.weigh(x.mean(dim=(2, 3, 4), keepdim=True))


def _squeezed(channels: int) -> int:
    """A sixteenth, rounded to a multiple of eight that is no more than a tenth below it."""
    wanted = channels / 16
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


class Block(nn.Module):
    """An inverted bottleneck with a depthwise 3x3x3 convolution, and its shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, squeezed: bool) -> None:
        super().__init__()
        width = int(2.25 * outputs)
        self.body = nn.Sequential(
            nn.Conv3d(inputs, width, 1, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(),
            nn.Conv3d(width, width, 3, (1, stride, stride), 1, groups=width, bias=False),
            nn.BatchNorm3d(width),
            SqueezeExcite(width) if squeezed else nn.Identity(),
            nn.SiLU(),
            nn.Conv3d(width, outputs, 1, bias=False),
            nn.BatchNorm3d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False))
        if inputs != outputs:
            self.shortcut.append(nn.BatchNorm3d(outputs))

    def forward(self, x: Volume) -> Volume:
        return torch.relu(self.body(x) + self.shortcut(x))


class X3dS(nn.Module):
    """Clips to logits."""

    def __init__(self, classes: int = 400) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, STEM, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            nn.Conv3d(STEM, STEM, (5, 1, 1), padding=(2, 0, 0), groups=STEM, bias=False),
            nn.BatchNorm3d(STEM),
            nn.ReLU(),
        )
        inputs, blocks = STEM, []
        for width, count in STAGES:
            for number in range(count):
                blocks.append(Block(inputs, width, 1 if number else 2, squeezed=number % 2 == 0))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(nn.Conv3d(inputs, LAST, 1, bias=False), nn.BatchNorm3d(LAST), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(LAST, HIDDEN, bias=False), nn.ReLU(), nn.Linear(HIDDEN, classes))

    def forward(self, x: Volume) -> Float[Tensor, "clips classes"]:
        return self.head(self.last(self.blocks(self.stem(x))).mean(dim=(2, 3, 4)))


def main() -> None:
    with torch.device("meta"):
        net, clip = X3dS().eval(), torch.empty(1, 3, 13, 160, 160)
    counter = FlopCounterMode(display=False)
    with counter:
        net(clip)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    print(f"{parameters / 1e6:.2f} M parameters, {counter.get_total_flops() / 2e9:.2f} G multiply-adds at 13x160")


if __name__ == "__main__":
    main()
