from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stzoo.nets.images import Frames, Images, Portable
from stzoo.nets.layout import ChannelsLast, Layout, Views, Volumes, laid_out, layout

KERNELS = [(1, 1, 1), (3, 1, 1), (1, 3, 3), (5, 7, 7), (3, 3, 3), (1, 1, 3)]
STRIDES = [(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 2, 2), (3, 2, 1)]

volumes = st.builds(
    lambda *shape: torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))),
    *(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9)),
)


def views_of(clips: int) -> list[Views]:
    """The layouts that are to compute what `Volumes` does."""
    return [ChannelsLast(), Images(clips), Frames(clips), Portable(clips)]


def kept(kernel: tuple[int, int, int]) -> tuple[int, int, int]:
    """`same` padding."""
    return (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)


@settings(max_examples=60)
@given(volumes, st.integers(1, 4), st.sampled_from(KERNELS), st.sampled_from(STRIDES), st.booleans())
def test_every_layout_convolves_like_volumes(
    x: Tensor, outputs: int, kernel: tuple[int, int, int], stride: tuple[int, int, int], apart: bool
) -> None:
    groups = x.shape[1] if apart else 1
    weight = torch.randn(outputs * groups, x.shape[1] // groups, *kernel)
    bias = torch.randn(outputs * groups)
    expected = Volumes().convolve(x, weight, bias, stride, kept(kernel), groups)
    for views in views_of(len(x)):
        found = views.convolve(views.from_volume(x), weight, bias, stride, kept(kernel), groups)
        torch.testing.assert_close(views.volume(found), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=60)
@given(volumes, st.sampled_from(["max", "mean"]), st.sampled_from([(1, 3, 3), (3, 3, 3)]), st.sampled_from(STRIDES))
def test_every_layout_pools_like_volumes(
    x: Tensor, what: str, kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> None:
    expected = Volumes().pool(x, what, kernel, stride, kept(kernel))
    for views in views_of(len(x)):
        found = views.pool(views.from_volume(x), what, kernel, stride, kept(kernel))
        torch.testing.assert_close(views.volume(found), expected)


@settings(max_examples=30)
@given(volumes, st.integers(1, 3))
def test_what_goes_by_axes_means_the_same_in_every_layout(x: Tensor, stride: int) -> None:
    values = torch.arange(1.0, x.shape[1] + 1)
    for way in (*views_of(len(x)), Volumes()):
        y = way.from_volume(x)
        assert y.shape[way.channels] == x.shape[1]
        torch.testing.assert_close(way.frames(y).movedim(way.frames_axis, 1), x.mean(dim=(3, 4)).transpose(1, 2))
        weighed = x * values.view(-1, 1, 1, 1)
        for found, expected in (
            (way.scaled_and_shifted(y, values, -values), weighed - values.view(-1, 1, 1, 1)),
            (y * way.along_channels(values), weighed),
            (way.per_channel(lambda view: (view * values.view(-1, *[1] * (view.ndim - 2)),), y)[0], weighed),
            (way.thinned(y, stride), x[..., ::stride, ::stride]),
        ):
            torch.testing.assert_close(way.volume(found) if isinstance(way, Views) else found, expected)


@settings(max_examples=30)
@given(volumes)
def test_channels_last_views_are_views_and_lead_back(x: Tensor) -> None:
    views = ChannelsLast()
    y = views.from_volume(x)
    images, lines, volume = views.images(y), views.lines(y), views.volume(y)
    clips, channels, frames, height, width = x.shape
    assert images.shape == (clips * frames, channels, height, width)
    assert lines.shape == (clips, channels, frames, height * width)
    assert images.data_ptr() == lines.data_ptr() == volume.data_ptr() == y.data_ptr()
    assert torch.equal(views.from_images(images, y), y)
    assert torch.equal(views.from_lines(lines, y), y)
    assert torch.equal(volume, x)
    clip, frame, row, column = clips - 1, frames - 1, height - 1, width - 1
    assert torch.equal(images[clip * frames + frame, :, row, column], y[clip, frame, row, column])
    assert torch.equal(lines[clip, :, frame, row * width + column], y[clip, frame, row, column])


def test_a_layout_is_left_also_by_an_error() -> None:
    def failing(within: Layout) -> None:
        with laid_out(within):
            assert layout() is within
            raise ZeroDivisionError

    assert isinstance(layout(), ChannelsLast)
    with pytest.raises(ZeroDivisionError):
        failing(Volumes())
    assert isinstance(layout(), ChannelsLast)
