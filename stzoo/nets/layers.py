"""Convolution and pooling on activations kept as [clips, frames, height, width, channels].

Everything spatial runs as a 2D operation on the frame view [clips * frames, channels, height, width], everything
temporal on the time view [clips, channels, frames, height * width]: both are channels-last views of the same memory.
Weights keep the five dimensions of a 3D convolution, whatever the layout.

Within `frames_as_images` activations are kept as the frame view itself, channels first: the form of an ONNX graph,
where only what is temporal then moves anything. What depends on the layout stands here, in functions.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Activation = (
    Float[Tensor, "_clips _frames _height _width _channels"] | Float[Tensor, "_images _channels _height _width"]
)
"""The underscores let sizes change between a function's input and its output."""

Size = tuple[int, int, int]

_clips: ContextVar[int | torch.SymInt | None] = ContextVar("_clips", default=None)


@contextlib.contextmanager
def frames_as_images(clips: int | torch.SymInt) -> Iterator[None]:
    """Within it, activations of so many clips are [clips * frames, channels, height, width]."""
    token = _clips.set(clips)
    try:
        yield
    finally:
        _clips.reset(token)


def activation(clips: Float[Tensor, "clips channels frames height width"]) -> Activation:
    """What a net makes of its clips first."""
    if _clips.get() is not None:
        return clips.transpose(1, 2).flatten(0, 1)
    return clips.permute(0, 2, 3, 4, 1).contiguous()


def average(x: Activation) -> Float[Tensor, "clips channels"]:
    """Mean over frames and positions."""
    clips = _clips.get()
    return x.mean(dim=(1, 2, 3)) if clips is None else x.mean(dim=(2, 3)).reshape(clips, -1, x.shape[1]).mean(dim=1)


def channel_axis() -> int:
    """The axis of an activation that its channels are on."""
    return -1 if _clips.get() is None else 1


def along_channels(values: Float[Tensor, " channels"]) -> Float[Tensor, "..."]:
    """A value a channel, to be combined with an activation."""
    return values if _clips.get() is None else values.view(-1, 1, 1)


def join(parts: Sequence[Activation]) -> Activation:
    """One behind the other, in channels."""
    return torch.cat(list(parts), dim=channel_axis())


def frame_view(x: Activation) -> Float[Tensor, "images channels height width"]:
    """Every frame as an image of its own."""
    return x.flatten(0, 1).permute(0, 3, 1, 2) if _clips.get() is None else x


def from_frames(y: Float[Tensor, "images channels height width"], frames: int) -> Activation:
    """The way back from `frame_view`."""
    if _clips.get() is not None:
        return y
    y = y.permute(0, 2, 3, 1)
    return y.reshape(-1, frames, *y.shape[1:])


def time_view(x: Activation) -> Float[Tensor, "clips channels frames positions"]:
    """Every position as a line through time."""
    clips = _clips.get()
    if clips is not None:
        return x.reshape(clips, -1, *x.shape[1:]).flatten(3).transpose(1, 2)
    return x.flatten(2, 3).permute(0, 3, 1, 2)


def from_times(y: Float[Tensor, "clips channels frames positions"], height: int) -> Activation:
    """The way back from `time_view`."""
    if _clips.get() is not None:
        return y.transpose(1, 2).reshape(-1, y.shape[1], height, y.shape[3] // height)
    y = y.permute(0, 2, 3, 1)
    return y.reshape(-1, y.shape[1], height, y.shape[2] // height, y.shape[3])


def volume_view(x: Activation) -> Float[Tensor, "clips channels frames height width"]:
    """Every clip as a volume."""
    clips = _clips.get()
    return x.permute(0, 4, 1, 2, 3) if clips is None else x.reshape(clips, -1, *x.shape[1:]).transpose(1, 2)


class Conv(nn.Module):
    """A bias-free 3D convolution with odd kernel and `same` padding; sizes and strides are (time, height, width).

    With `groups`, every output sees only its own group of inputs. The weight is drawn from Kaiming's normal
    distribution over the fan-in. A `bias` is there only after a norm has been folded into the convolution.
    """

    bias: Float[Tensor, " outputs"] | None

    def __init__(
        self, inputs: int, outputs: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1), groups: int = 1
    ) -> None:
        super().__init__()
        self.stride = stride
        self.groups = groups
        self.padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, *kernel))
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
        return not (self._spatial or self._temporal) or (self.groups > 1 and max(self.stride) > 1)

    @property
    def _spatial(self) -> bool:
        return self.weight.shape[2] == self.stride[0] == 1

    @property
    def _temporal(self) -> bool:
        return self.weight.shape[3:] == self.stride[1:] == (1, 1)

    def _convolve(self, x: Activation) -> Activation:
        if self._spatial:
            weight, stride, padding = self.weight[:, :, 0], self.stride[1:], self.padding[1:]
            y = F.conv2d(frame_view(x), weight, self.bias, stride, padding, groups=self.groups)
            return from_frames(y, x.shape[1])
        if self._temporal:
            weight, stride, padding = self.weight[..., 0], (self.stride[0], 1), (self.padding[0], 0)
            y = F.conv2d(time_view(x), weight, self.bias, stride, padding, groups=self.groups)
            return from_times(y, x.shape[2])
        y = F.conv3d(volume_view(x), self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        return activation(y)

    def extra_repr(self) -> str:
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        return f"{tuple(self.weight.shape)}, stride={self.stride}{groups}"


def max_pool(x: Activation, kernel: Size, stride: Size) -> Activation:
    """Maximum over `kernel` with `same` padding."""
    y = F.max_pool2d(frame_view(x), kernel[1:], stride[1:], (kernel[1] // 2, kernel[2] // 2))
    x = from_frames(y, x.shape[1])
    if kernel[0] == 1 and stride[0] == 1:
        return x
    y = F.max_pool2d(time_view(x), (kernel[0], 1), (stride[0], 1), (kernel[0] // 2, 0))
    return from_times(y, x.shape[2])


def average_pool(x: Activation, size: Size) -> Activation:
    """Mean over non-overlapping windows of `size`; what does not fill a window is left out."""
    x = from_frames(F.avg_pool2d(frame_view(x), size[1:]), x.shape[1])
    if size[0] == 1:
        return x
    return from_times(F.avg_pool2d(time_view(x), (size[0], 1)), x.shape[2])


def average_around(x: Activation) -> Activation:
    """Mean over 1x3x3 at every position; beyond the border lie zeros, which count."""
    return from_frames(F.avg_pool2d(frame_view(x), 3, stride=1, padding=1), x.shape[1])


def halve_positions(x: Activation) -> Activation:
    """Mean over 1x3x3 at every second row and column; beyond the border lie zeros, which count."""
    return from_frames(F.avg_pool2d(frame_view(x), 3, stride=2, padding=1), x.shape[1])
