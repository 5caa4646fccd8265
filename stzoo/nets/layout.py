"""How activations lie in memory, and how they are convolved and pooled there.

A net runs as `ChannelsLast` in torch. ONNX files are written in one of the other layouts, from the same net: as
`Images` (`stzoo.nets.images`) only what is temporal moves anything in memory; as `Volumes` nothing does, and all is
left to 3D operations.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Activation = (
    Float[Tensor, "_clips _frames _height _width _channels"]
    | Float[Tensor, "_images _channels _height _width"]
    | Float[Tensor, "_clips _channels _frames _height _width"]
)
"""In the current layout. The underscores let sizes change between a function's input and its output."""

ImageView = Float[Tensor, "images channels height width"]
"""Every frame an image of its own."""

TimeView = Float[Tensor, "clips channels frames positions"]
"""Every position a line through time."""

FrameMeans = Float[Tensor, "_clips _frames _channels"] | Float[Tensor, "_clips _channels _frames"]

VolumeView = Float[Tensor, "clips channels frames height width"]

Size = tuple[int, int, int]
"""Along time, height and width."""


class Layout(ABC):
    """`channels` is the axis of an activation that its channels are on; rows and columns are on `rows` and the next."""

    channels: ClassVar[int]
    rows: ClassVar[int]
    frames_axis: ClassVar[int] = 1

    @abstractmethod
    def from_volume(self, volume: VolumeView) -> Activation:
        """A net's clips as its first activation."""

    @abstractmethod
    def frames(self, x: Activation) -> FrameMeans:
        """The mean over every frame's positions, with frames on the axis `frames_axis`."""

    @abstractmethod
    def convolve(
        self, x: Activation, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size, groups: int
    ) -> Activation:
        """A 3D convolution, whose weight has five dimensions in every layout."""

    @abstractmethod
    def pool(
        self, x: Activation, what: Literal["max", "mean"], kernel: Size, stride: Size, padding: Size
    ) -> Activation:
        """Pools windows of `kernel`; beyond the border lie zeros, which a mean counts and a maximum does not."""

    @abstractmethod
    def per_channel(self, function: Callable[[Tensor], tuple[Tensor, ...]], x: Activation) -> tuple[Activation, ...]:
        """What `function` makes, in the same shape, of a tensor whose second axis is that of the channels."""

    @abstractmethod
    def scaled_and_shifted(
        self, x: Activation, scale: Float[Tensor, " channels"], shift: Float[Tensor, " channels"]
    ) -> Activation:
        """Every channel times its scale, plus its shift."""

    @abstractmethod
    def images(self, x: Activation) -> ImageView:
        """Every frame an image of its own."""

    @abstractmethod
    def from_images(self, y: ImageView, x: Activation) -> Activation:
        """The way back, where `x` has as many frames."""

    def clips_of(self, x: Activation) -> int | torch.SymInt:
        """How many clips there are in an activation."""
        return len(x)

    def per_row(self, values: Float[Tensor, " clips"], x: Activation) -> Float[Tensor, " rows"]:
        """A value for each entry along the first axis of `x`, from one for each clip."""
        return values

    def along_channels(self, values: Float[Tensor, " channels"]) -> Float[Tensor, "..."]:
        """A value a channel, to be combined with an activation."""
        return values if self.channels == -1 else values.view(-1, *[1] * (self.rows + 1 - self.channels))

    def thinned(self, x: Activation, stride: int) -> Activation:
        """The first of every `stride` rows and of every `stride` columns."""
        every = slice(None, None, stride)
        return x[(*[slice(None)] * self.rows, every, every)]


class Views(Layout):
    """Everything spatial is a 2D operation on images, everything temporal one on lines through time."""

    @abstractmethod
    def lines(self, x: Activation) -> TimeView: ...

    @abstractmethod
    def from_lines(self, y: TimeView, x: Activation) -> Activation:
        """The way back, where `x` has as many rows."""

    @abstractmethod
    def volume(self, x: Activation) -> VolumeView: ...

    def convolve(
        self, x: Activation, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size, groups: int
    ) -> Activation:
        if is_spatial(weight, stride):
            y = F.conv2d(self.images(x), weight[:, :, 0], bias, stride[1:], padding[1:], groups=groups)
            return self.from_images(y, x)
        if is_temporal(weight, stride):
            y = F.conv2d(self.lines(x), weight[..., 0], bias, (stride[0], 1), (padding[0], 0), groups=groups)
            return self.from_lines(y, x)
        return self.from_volume(F.conv3d(self.volume(x), weight, bias, stride, padding, groups=groups))

    def pool(
        self, x: Activation, what: Literal["max", "mean"], kernel: Size, stride: Size, padding: Size
    ) -> Activation:
        pool = F.max_pool2d if what == "max" else F.avg_pool2d
        x = self.from_images(pool(self.images(x), kernel[1:], stride[1:], padding[1:]), x)
        if kernel[0] == stride[0] == 1:
            return x
        return self.from_lines(pool(self.lines(x), (kernel[0], 1), (stride[0], 1), (padding[0], 0)), x)

    def per_channel(self, function: Callable[[Tensor], tuple[Tensor, ...]], x: Activation) -> tuple[Activation, ...]:
        return tuple(self.from_images(y, x) for y in function(self.images(x)))


class ChannelsLast(Views):
    """[clips, frames, height, width, channels]: all views are of the same memory, with channels last in it."""

    channels, rows = -1, 2

    def from_volume(self, volume: VolumeView) -> Activation:
        return volume.permute(0, 2, 3, 4, 1).contiguous()

    def frames(self, x: Activation) -> FrameMeans:
        return x.mean(dim=(2, 3))

    def scaled_and_shifted(
        self, x: Activation, scale: Float[Tensor, " channels"], shift: Float[Tensor, " channels"]
    ) -> Activation:
        return torch.addcmul(shift, x, scale)

    def images(self, x: Activation) -> ImageView:
        return x.flatten(0, 1).permute(0, 3, 1, 2)

    def from_images(self, y: ImageView, x: Activation) -> Activation:
        y = y.permute(0, 2, 3, 1)
        return y.reshape(-1, x.shape[1], *y.shape[1:])

    def lines(self, x: Activation) -> TimeView:
        return x.flatten(2, 3).permute(0, 3, 1, 2)

    def from_lines(self, y: TimeView, x: Activation) -> Activation:
        y = y.permute(0, 2, 3, 1)
        return y.reshape(-1, y.shape[1], x.shape[2], y.shape[2] // x.shape[2], y.shape[3])

    def volume(self, x: Activation) -> VolumeView:
        return x.permute(0, 4, 1, 2, 3)


class Volumes(Layout):
    """[clips, channels, frames, height, width], contiguous, as torch's own 3D modules have them."""

    channels, rows = 1, 3
    frames_axis = 2

    def from_volume(self, volume: VolumeView) -> Activation:
        return volume

    def images(self, x: Activation) -> ImageView:
        return x.transpose(1, 2).flatten(0, 1)

    def from_images(self, y: ImageView, x: Activation) -> Activation:
        return y.reshape(-1, x.shape[2], *y.shape[1:]).transpose(1, 2)

    def frames(self, x: Activation) -> FrameMeans:
        return x.mean(dim=(3, 4))

    def convolve(
        self, x: Activation, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size, groups: int
    ) -> Activation:
        return F.conv3d(x, weight, bias, stride, padding, groups=groups)

    def pool(
        self, x: Activation, what: Literal["max", "mean"], kernel: Size, stride: Size, padding: Size
    ) -> Activation:
        if what == "max":
            return F.max_pool3d(x, kernel, stride, padding)
        # torch refuses a window larger than the volume, whatever the padding.
        around = [size for size in reversed(padding) for _ in range(2)]
        return F.avg_pool3d(F.pad(x, around), kernel, stride)

    def per_channel(self, function: Callable[[Tensor], tuple[Tensor, ...]], x: Activation) -> tuple[Activation, ...]:
        return function(x)

    def scaled_and_shifted(
        self, x: Activation, scale: Float[Tensor, " channels"], shift: Float[Tensor, " channels"]
    ) -> Activation:
        return as_batch_norm(x, scale, shift)


def as_batch_norm(x: Tensor, scale: Float[Tensor, " channels"], shift: Float[Tensor, " channels"]) -> Tensor:
    """Scaled and shifted channels as one node of a graph, which runtimes join to its neighbours, not as two."""
    mean, variance = x.new_zeros(len(scale)), x.new_ones(len(scale))
    return F.batch_norm(x, mean, variance, scale, shift, eps=0.0)


def is_spatial(weight: Tensor, stride: Size) -> bool:
    """Whether a convolution sees one frame at a time."""
    return weight.shape[2] == stride[0] == 1


def is_temporal(weight: Tensor, stride: Size) -> bool:
    """Whether a convolution sees one position at a time."""
    return weight.shape[3:] == stride[1:] == (1, 1)


_CHANNELS_LAST = ChannelsLast()
_current: ContextVar[Layout] = ContextVar("_current", default=_CHANNELS_LAST)


def layout() -> Layout:
    """The current one."""
    return _current.get()


@contextlib.contextmanager
def laid_out(as_: Layout) -> Iterator[None]:
    """Within it, that is the current layout."""
    token = _current.set(as_)
    try:
        yield
    finally:
        _current.reset(token)
