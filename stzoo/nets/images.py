"""Layouts in which every frame is an image of its own, in a tensor of four dimensions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stzoo.nets.layout import (
    Activation,
    ChannelsLast,
    FrameMeans,
    ImageView,
    Size,
    TimeView,
    Views,
    VolumeView,
    as_batch_norm,
    is_spatial,
    is_temporal,
    layout,
)


class Images(Views):
    """[clips * frames, channels, height, width], for a number of `clips`."""

    channels, rows = 1, 2

    def __init__(self, clips: int | torch.SymInt) -> None:
        self.clips = clips

    def from_volume(self, volume: VolumeView) -> Activation:
        return volume.transpose(1, 2).flatten(0, 1)

    def frames(self, x: Activation) -> FrameMeans:
        return x.mean(dim=(2, 3)).reshape(self.clips, -1, x.shape[1])

    def scaled_and_shifted(
        self, x: Activation, scale: Float[Tensor, " channels"], shift: Float[Tensor, " channels"]
    ) -> Activation:
        return as_batch_norm(x, scale, shift)

    def images(self, x: Activation) -> ImageView:
        return x

    def from_images(self, y: ImageView, x: Activation) -> Activation:
        return y

    def lines(self, x: Activation) -> TimeView:
        return x.reshape(self.clips, -1, *x.shape[1:]).flatten(3).transpose(1, 2)

    def from_lines(self, y: TimeView, x: Activation) -> Activation:
        return y.transpose(1, 2).reshape(-1, y.shape[1], x.shape[2], y.shape[3] // x.shape[2])

    def volume(self, x: Activation) -> VolumeView:
        return x.reshape(self.clips, -1, *x.shape[1:]).transpose(1, 2)

    def clips_of(self, x: Activation) -> int | torch.SymInt:
        return self.clips

    def per_row(self, values: Float[Tensor, " clips"], x: Activation) -> Float[Tensor, " rows"]:
        return values.repeat_interleave(x.shape[0] // len(values))


class Frames(Images):
    """`Images` with channels last in memory: all views are of the same memory."""

    def from_volume(self, volume: VolumeView) -> Activation:
        return volume.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)

    def lines(self, x: Activation) -> TimeView:
        return self._clips(x).flatten(2, 3).permute(0, 3, 1, 2)

    def from_lines(self, y: TimeView, x: Activation) -> Activation:
        y = y.permute(0, 2, 3, 1)
        return y.reshape(-1, x.shape[2], y.shape[2] // x.shape[2], y.shape[3]).permute(0, 3, 1, 2)

    def volume(self, x: Activation) -> VolumeView:
        return self._clips(x).permute(0, 4, 1, 2, 3)

    def _clips(self, x: Activation) -> Float[Tensor, "clips frames height width channels"]:
        x = x.permute(0, 2, 3, 1)
        return x.reshape(self.clips, -1, *x.shape[1:])


class Portable(Images):
    """`Images` in nothing but 2D operations on tensors of four dimensions at most, for a fixed number of clips."""

    def from_volume(self, volume: VolumeView) -> Activation:
        height, width = volume.shape[3:]
        return volume.flatten(3).transpose(1, 2).reshape(-1, volume.shape[1], height, width)

    def scaled_and_shifted(
        self, x: Activation, scale: Float[Tensor, " channels"], shift: Float[Tensor, " channels"]
    ) -> Activation:
        return x * self.along_channels(scale) + self.along_channels(shift)

    def lines(self, x: Activation) -> TimeView:
        return x.reshape(self.clips, -1, x.shape[1], x.shape[2] * x.shape[3]).transpose(1, 2)

    def convolve(
        self, x: Activation, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size, groups: int
    ) -> Activation:
        if is_spatial(weight, stride) or is_temporal(weight, stride):
            return super().convolve(x, weight, bias, stride, padding, groups)
        # Frames within the kernel's reach become channels of one image, by a convolution that copies.
        channels, reach = x.shape[1], weight.shape[2]
        copies = torch.eye(reach, dtype=weight.dtype).repeat(channels, 1).view(-1, 1, reach, 1)
        stacked = F.conv2d(self.lines(x), copies, None, (stride[0], 1), (padding[0], 0), groups=channels)
        images = self.from_lines(stacked, x)
        return F.conv2d(images, weight.flatten(1, 2), bias, stride[1:], padding[1:], groups=groups)


def of_images(x: Activation) -> Images:
    """The layout of the images of an activation, which is in the current layout."""
    current = layout()
    if isinstance(current, Images):
        return current
    return Frames(x.shape[0]) if isinstance(current, ChannelsLast) else Images(x.shape[0])
