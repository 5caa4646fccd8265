from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stzoo import nets
from stzoo.nets import fusion, rectify
from stzoo.nets.fusion import draw_masks, named_gates, set_masks, set_noise
from stzoo.nets.masks import _IN_CACHE, _MaskedSum, masked_sum


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


def test_in_16_bits_long_rows_are_summed_piece_by_piece_as_they_are_at_once() -> None:
    torch.manual_seed(0)
    y, weight = (torch.randn(2, 3, 7, 101, 32).bfloat16() for _ in range(2))
    assert y[0].numel() > _IN_CACHE
    assert y[0].numel() % _IN_CACHE
    mask = torch.full((2,), 0.75, requires_grad=True)
    masked_sum([y], [mask]).backward(weight)
    torch.testing.assert_close(
        mask.grad, (y.double() * weight.double()).flatten(1).sum(1).float(), rtol=1e-5, atol=1e-3
    )


def test_a_compiler_sees_one_product_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    mask, y = torch.rand(3, requires_grad=True), torch.randn(3, 2, 4, 5, 6).bfloat16()
    total = masked_sum([y], [mask])
    with torch.profiler.profile() as profile:
        total.backward(y)
    calls = {event.key: event.count for event in profile.key_averages()}
    assert "aten::dot" not in calls
    assert calls["aten::linalg_vecdot"] == 1


def test_in_16_bits_a_batch_may_be_empty() -> None:
    mask = torch.zeros(0, requires_grad=True)
    masked_sum([torch.zeros(0, 1, 2, 2, 4).bfloat16()], [mask]).sum().backward()
    assert mask.grad is not None


@contextlib.contextmanager
def one_by_one() -> Iterator[None]:
    """Within it norm, scale, ReLU, masks and sums are steps of autograd of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusion, "masked_sum", plainly)
        for module in (fusion, rectify):
            patch.setattr(module, "has_its_batch", lambda *_: False)
        yield


def gate_gradients(template: nn.Module, uniforms: Tensor, seed: int, bits: int, at_once: bool) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    clips, labels = torch.randn(4, 3, 2, 32, 32, generator=draw), torch.randint(5, (4,), generator=draw)
    template.zero_grad()
    set_masks(template, None)
    (draw_masks if at_once else set_noise)(template, uniforms)
    with torch.autocast("cpu", torch.bfloat16, enabled=bits == 16):
        logits = template(clips)
    F.cross_entropy(logits.float(), labels).backward()
    return torch.stack([gate.logit.grad for *_, gate, _ in named_gates(template)]).double()


def test_in_16_bits_gate_gradients_of_a_template_are_as_near_to_those_in_32_as_step_by_step() -> None:
    """Their noise is that of the activations. It differs from draw to draw, so its ratio is averaged over some."""
    ratios = []
    for seed in range(8):
        torch.manual_seed(seed)
        template = nets.template("densenet_tiny", 5, initial_drop=0.5).train()
        uniforms = torch.rand(4, sum(1 for _ in named_gates(template)))
        with one_by_one():
            exact, plain = (gate_gradients(template, uniforms, seed, bits, at_once=False) for bits in (32, 16))
        same, ours = (gate_gradients(template, uniforms, seed, bits, at_once=True) for bits in (32, 16))
        torch.testing.assert_close(same, exact, rtol=1e-3, atol=1e-3 * float(exact.abs().max()))
        ratios.append(float((ours - same).norm() / (plain - exact).norm()))
    assert np.exp(np.log(ratios).mean()) < 1.4
