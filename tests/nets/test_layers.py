from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stzoo.nets.layers import Conv, average_around, average_pool, max_pool

KERNELS = [(1, 1, 1), (3, 1, 1), (1, 3, 3), (5, 7, 7), (1, 5, 5), (3, 3, 3), (1, 1, 3)]
STRIDES = [(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 2, 2), (3, 2, 1)]

shapes = st.tuples(
    st.integers(1, 3), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5)
)  # clips, frames, height, width, channels


def random(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def to_torch(x: Tensor) -> Tensor:
    """Channels where torch's 3D operations have them."""
    return x.permute(0, 4, 1, 2, 3).contiguous()


@settings(max_examples=60)
@given(shapes, st.integers(1, 4), st.sampled_from(KERNELS), st.sampled_from(STRIDES), st.booleans())
def test_a_convolution_is_torchs_3d_convolution(
    shape: tuple[int, ...], outputs: int, kernel: tuple[int, int, int], stride: tuple[int, int, int], strided: bool
) -> None:
    conv = Conv(shape[-1], outputs, kernel, stride)
    x = random(shape).requires_grad_()
    # An activation may also be a view of other memory.
    found = conv(x.transpose(2, 3).contiguous().transpose(2, 3) if strided else x)
    padding = [size // 2 for size in kernel]
    expected = F.conv3d(to_torch(x), conv.weight, stride=stride, padding=padding)
    torch.testing.assert_close(to_torch(found), expected, rtol=1e-4, atol=1e-5)

    weights = random(tuple(found.shape), 1)
    gradients = torch.autograd.grad((found * weights).sum(), [x, conv.weight])
    expected_gradients = torch.autograd.grad((expected * to_torch(weights)).sum(), [x, conv.weight])
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("groups", [1, 3])
def test_gradients_in_half_precision_are_near_those_in_full(kernel: tuple[int, int, int], groups: int) -> None:
    for seed in range(4):
        torch.full((100_000 + 777 * seed,), math.nan)  # what is not written is not zero
        conv = Conv(3, 6, kernel, (1, 2, 2), groups)
        gradients = []
        for half in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                y = conv(random((2, 4, 21, 16, 3), seed))
            (gradient,) = torch.autograd.grad((y.float() * random(tuple(y.shape), 9)).sum(), [conv.weight])
            gradients.append(gradient)
        torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0.02 * gradients[0].abs().max().item())


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "dtype"),
    [
        ((1, 3, 3), (1, 1, 1), 6, torch.bfloat16),
        ((1, 3, 3), (1, 2, 2), 1, torch.bfloat16),
        ((3, 1, 1), (1, 1, 1), 1, torch.bfloat16),
        ((1, 3, 3), (1, 2, 2), 6, torch.float32),
        ((3, 3, 3), (1, 1, 1), 1, torch.float32),
    ],
)
def test_in_half_precision_only_what_torch_fails_at_trains_in_full(
    kernel: tuple[int, int, int], stride: tuple[int, int, int], groups: int, dtype: torch.dtype
) -> None:
    conv = Conv(6, 6, kernel, stride, groups)
    x = random((2, 3, 5, 7, 6))
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(x).dtype == dtype
        with torch.no_grad():
            assert conv(x).dtype == torch.bfloat16


def test_groups_see_their_own_inputs() -> None:
    conv = Conv(6, 4, (1, 3, 3), (1, 2, 2), groups=2)
    x = random((2, 3, 5, 7, 6))
    assert conv.weight.shape == (4, 3, 1, 3, 3)
    expected = F.conv3d(to_torch(x), conv.weight, stride=(1, 2, 2), padding=(0, 1, 1), groups=2)
    torch.testing.assert_close(to_torch(conv(x)), expected, rtol=1e-4, atol=1e-5)
    wide = Conv(512, 512, (1, 3, 3), groups=512)
    assert wide.weight.std().item() == pytest.approx(math.sqrt(2 / 9), rel=0.06)


@pytest.mark.parametrize("kernel", KERNELS)
def test_weights_are_those_of_a_3d_convolution(kernel: tuple[int, int, int]) -> None:
    conv = Conv(8, 512, kernel)
    assert [name for name, _ in conv.named_parameters()] == ["weight"]
    assert conv.weight.shape == (512, 8, *kernel)
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (8 * math.prod(kernel))), rel=0.06)


@settings(max_examples=60)
@given(shapes, st.sampled_from([(3, 3, 3), (1, 3, 3)]), st.sampled_from([(1, 2, 2), (2, 2, 2), (1, 1, 1)]))
def test_maximum_pooling_is_torchs_3d_pooling(
    shape: tuple[int, ...], kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> None:
    x = random(shape) - 3.0
    expected = F.max_pool3d(to_torch(x), kernel, stride, [size // 2 for size in kernel])
    torch.testing.assert_close(to_torch(max_pool(x, kernel, stride)), expected, rtol=0, atol=0)


@settings(max_examples=60)
@given(shapes, st.sampled_from([(1, 2, 2), (2, 2, 2), (2, 1, 1), (3, 2, 1)]))
def test_average_pooling_is_torchs_3d_pooling(shape: tuple[int, ...], size: tuple[int, int, int]) -> None:
    shape = (shape[0], *(max(have, need) for have, need in zip(shape[1:4], size, strict=True)), shape[4])
    x = random(shape)
    torch.testing.assert_close(to_torch(average_pool(x, size)), F.avg_pool3d(to_torch(x), size))


@settings(max_examples=30)
@given(shapes)
def test_means_around_a_position_count_zeros_beyond_the_border(shape: tuple[int, ...]) -> None:
    x = random(shape)
    ninths = torch.full((shape[-1], 1, 1, 3, 3), 1 / 9)
    expected = F.conv3d(to_torch(x), ninths, padding=(0, 1, 1), groups=shape[-1])
    torch.testing.assert_close(to_torch(average_around(x)), expected)
    torch.testing.assert_close(to_torch(average_around(x, 2)), expected[..., ::2, ::2])
