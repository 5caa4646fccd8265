"""Convolution and pooling of activations, in whatever layout they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stzoo.nets.layout import Activation, Size, is_spatial, is_temporal, layout


class Conv(nn.Module):
    """A 3D convolution with odd kernel and `same` padding; sizes and strides are (time, height, width).

    With `groups`, every output sees only its own group of inputs. The weight is drawn from Kaiming's normal
    distribution over the fan-in. Without `biased`, a `bias` is there only after a norm has been folded in.
    """

    bias: Float[Tensor, " outputs"] | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size = (1, 1, 1),
        stride: Size = (1, 1, 1),
        groups: int = 1,
        biased: bool = False,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.groups = groups
        self.padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, *kernel))
        if biased:
            self.bias = nn.Parameter(torch.zeros(outputs))
        else:
            self.register_buffer("bias", None)
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / math.prod(self.weight.shape[1:])))

    def forward(self, x: Activation) -> Activation:
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and torch.is_grad_enabled() and self._needs_32:
            with torch.autocast("cpu", enabled=False):
                return self._convolve(x.float())
        return self._convolve(x)

    @property
    def _needs_32(self) -> bool:
        """Whether torch 2.15's 16-bit gradients on the CPU are no good.

        A volume's are partly memory that nobody wrote; with groups and a stride they take many times as long.
        """
        planar = is_spatial(self.weight, self.stride) or is_temporal(self.weight, self.stride)
        return not planar or (self.groups > 1 and max(self.stride) > 1)

    def _convolve(self, x: Activation) -> Activation:
        return layout().convolve(x, self.weight, self.bias, self.stride, self.padding, self.groups)

    def extra_repr(self) -> str:
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        return f"{tuple(self.weight.shape)}, stride={self.stride}{groups}"


def over_frames(kernel: Size, frames: int | None) -> Size:
    """The kernel with another length in time; None leaves it as it is."""
    return kernel if frames is None else (frames, *kernel[1:])


def join(parts: Sequence[Activation]) -> Activation:
    """One behind the other, in channels."""
    return torch.cat(list(parts), dim=layout().channels)


def max_pool(x: Activation, kernel: Size, stride: Size) -> Activation:
    """Maximum over `kernel` with `same` padding."""
    return layout().pool(x, "max", kernel, stride, (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2))


def average_pool(x: Activation, size: Size) -> Activation:
    """Mean over non-overlapping windows of `size`; what does not fill a window is left out."""
    return layout().pool(x, "mean", size, size, (0, 0, 0))


def average_around(x: Activation, stride: int = 1) -> Activation:
    """Mean over 1x3x3 at every position, or at every second row and column with a `stride` of 2, and so on.

    Beyond the border lie zeros, which count.
    """
    return layout().pool(x, "mean", (1, 3, 3), (1, stride, stride), (0, 1, 1))
