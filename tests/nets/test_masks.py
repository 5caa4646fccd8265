from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stzoo.nets.masks import _MaskedSum, masked_sum


def plainly(branches: list[Tensor], masks: list[Tensor]) -> Tensor:
    weighed = [y * mask.to(y.dtype).view(-1, 1, 1, 1, 1) for y, mask in zip(branches, masks, strict=True)]
    return torch.stack(weighed).sum(0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_masked_sum_is_the_sum_of_weighed_branches(count: int) -> None:
    torch.manual_seed(0)
    shape = (3, 2, 4, 5, 6)
    inputs = [torch.randn(shape, dtype=torch.float64) for _ in range(count)]
    inputs += [torch.rand(3, dtype=torch.float64) for _ in range(count)]
    made, expected = ([value.clone().requires_grad_() for value in inputs] for _ in range(2))
    weight = torch.randn(shape, dtype=torch.float64)
    y, plain = _MaskedSum.apply(*made), plainly(expected[:count], expected[count:])
    (y * weight).sum().backward()
    (plain * weight).sum().backward()
    torch.testing.assert_close(y, plain, rtol=0, atol=2e-15)
    for one, other in zip(made, expected, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-13, atol=1e-13)
    small = [value[:, :1, :1, :2, :2] if value.ndim > 1 else value for value in inputs]
    assert torch.autograd.gradcheck(_MaskedSum.apply, [value.clone().requires_grad_() for value in small])


def test_in_16_bits_the_gradients_of_masks_are_at_most_as_noisy_as_those_of_products() -> None:
    torch.manual_seed(0)
    branches = [torch.randn(4, 2, 7, 7, 32).bfloat16() for _ in range(2)]
    weight = torch.randn(4, 2, 7, 7, 32).bfloat16()

    def gradients(function: Callable[[list[Tensor], list[Tensor]], Tensor]) -> Tensor:
        masks = [torch.full((4,), 0.75, requires_grad=True) for _ in branches]
        function(branches, masks).backward(weight)
        return torch.stack([mask.grad for mask in masks if mask.grad is not None]).double()

    exact = torch.stack([(y.double() * weight.double()).flatten(1).sum(1) for y in branches])
    noise, plain_noise = ((gradients(way) - exact).abs().max() for way in (masked_sum, plainly))
    assert noise < 1e-3
    assert noise < plain_noise
