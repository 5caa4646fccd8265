from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from stzoo import nets
from stzoo.nets.fusion import (
    Closed,
    Fusion,
    Gate,
    behind,
    draw_masks,
    fixed_fuse,
    named_gates,
    set_masks,
    set_noise,
    template_fuse,
)
from stzoo.strategies.strategy import Site, Strategy

TEMPERATURE = 0.2
DRAWS = 100_000


def gate(drop: float = 0.1) -> Gate:
    return Gate(drop, TEMPERATURE)


def draws(count: int = DRAWS, seed: int = 0) -> Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(seed))


def direct_mask(logit: float, uniform: float) -> float:
    """The keep mask in double precision, as it is printed: one minus the relaxed drop."""
    return 1.0 - 1.0 / (1.0 + math.exp(-(logit + math.log(uniform) - math.log(1.0 - uniform)) / TEMPERATURE))


@pytest.mark.parametrize("drop", [0.02, 0.1, 0.3, 0.5, 0.9])
def test_a_mask_is_below_one_half_with_the_drop_probability(drop: float) -> None:
    masks = gate(drop).mask(draws())
    assert masks.min() >= 0.0
    assert masks.max() <= 1.0
    assert (masks < 0.5).float().mean().item() == pytest.approx(drop, rel=0.02, abs=0.002)
    assert gate(drop).drop.item() == pytest.approx(drop)


@pytest.mark.parametrize(("drop", "mean"), [(0.1, 0.105), (0.3, 0.305), (0.5, 0.5)])
def test_the_mean_relaxed_drop(drop: float, mean: float) -> None:
    assert (1.0 - gate(drop).mask(draws())).mean().item() == pytest.approx(mean, abs=0.003)


def test_one_in_nine_masks_is_soft_at_the_start() -> None:
    masks = gate(0.1).mask(draws())
    assert ((masks > 0.05) & (masks < 0.95)).float().mean().item() == pytest.approx(0.11, abs=0.01)


@given(st.floats(-4.0, 4.0), st.floats(0.02, 0.98))
def test_mask_and_gradient_are_those_of_the_formula(logit: float, uniform: float) -> None:
    made = gate()
    with torch.no_grad():
        made.logit.fill_(logit)
    mask = made.mask(torch.tensor([uniform]))
    (gradient,) = torch.autograd.grad(mask.sum(), made.logit)
    step = 1e-6
    difference = (direct_mask(logit + step, uniform) - direct_mask(logit - step, uniform)) / (2 * step)
    assert mask.item() == pytest.approx(direct_mask(logit, uniform), abs=1e-5)
    assert gradient.item() == pytest.approx(difference, abs=2e-5)


@pytest.mark.parametrize("logit", [-100.0, -20.0, 0.0, 20.0, 100.0])
@pytest.mark.parametrize("uniform", [0.0, 1e-45, 0.5, 1.0 - 2**-24, 1.0])
def test_values_and_gradients_are_finite_at_the_ends(logit: float, uniform: float) -> None:
    made = gate()
    with torch.no_grad():
        made.logit.fill_(logit)
    x = torch.ones(1, 1, 1, 1, 1, requires_grad=True)
    made.uniform = torch.tensor([uniform])
    y = made(x)
    gradients = torch.autograd.grad(y.sum(), [x, made.logit])
    assert 0.0 <= y.item() <= 1.0
    assert all(torch.isfinite(value).all() for value in gradients)
    if abs(logit) == 100.0 and 0.0 < uniform < 1.0:
        assert y.item() == pytest.approx(float(logit < 0), abs=1e-6)


def test_every_clip_has_a_draw_of_its_own() -> None:
    made = gate(0.5).requires_grad_(False)
    torch.manual_seed(0)
    masks = made(torch.ones(20_000, 1, 1, 1, 2))[:, 0, 0, 0, :]
    assert torch.equal(masks[:, 0], masks[:, 1])  # not one a channel
    first, second = masks[::2, 0].numpy(), masks[1::2, 0].numpy()
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04
    again = made(torch.ones(20_000, 1, 1, 1, 2))[:, 0, 0, 0, 0]
    assert abs(np.corrcoef(masks[:, 0].numpy(), again.numpy())[0, 1]) < 0.03


def test_masks_scale_the_input_and_nothing_else() -> None:
    made = gate()
    made.uniform = torch.tensor([0.999, 0.5, 0.001])
    x = torch.randn(3, 2, 3, 4, 5)
    masks = made.mask(made.uniform)
    assert masks[0] < 0.01
    assert masks[2] > 0.99
    torch.testing.assert_close(made(x), x * masks.view(3, 1, 1, 1, 1))


def test_masks_are_computed_in_float32_under_autocast() -> None:
    made = gate()
    uniform = draws(1000)
    with torch.autocast("cpu", torch.bfloat16):
        masks = made.mask(uniform)
        y = made(torch.ones(1000, 1, 1, 1, 1, dtype=torch.bfloat16))
    assert masks.dtype == torch.float32
    assert torch.equal(masks, made.mask(uniform))
    assert y.dtype == torch.bfloat16


def test_a_draw_changes_its_own_clip_alone() -> None:
    template = nets.template("densenet_tiny", 3).eval()
    clips = torch.randn(3, 3, 2, 32, 32)
    uniforms = draws(3 * 30).view(3, 30)
    with torch.no_grad():
        set_noise(template, uniforms)
        first = template(clips)
        assert torch.equal(template(clips), first)  # deterministic given its noise
        changed = uniforms.clone()
        changed[1] = 1.0 - changed[1]
        set_noise(template, changed)
        second = template(clips)
        set_noise(template, None)
        assert not torch.equal(template(clips), template(clips))
    torch.testing.assert_close(first[[0, 2]], second[[0, 2]])
    assert (first[1] - second[1]).abs().max() > 1e-4


def test_noise_goes_to_the_gates_in_network_order() -> None:
    for options in ({}, {"tail_sites": True}):
        template = nets.template("densenet_small", 3, **options)
        found = [(site, branch) for site, branch, _, _ in named_gates(template)]
        assert found == [(site.name, branch) for site in nets.architecture(template).sites for branch in site.branches]
        set_noise(template, torch.arange(2 * len(found)).view(2, -1) / 100)
        for column, (_, _, made, _) in enumerate(named_gates(template)):
            assert made.uniform is not None
            torch.testing.assert_close(made.uniform, torch.tensor([column / 100, (len(found) + column) / 100]))
        set_noise(template, None)
        assert all(made.uniform is None for _, _, made, _ in named_gates(template))


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Counted(nn.Module):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + 1.0


BRANCHES = {"S": lambda: Times(2.0), "ST": lambda: Times(5.0)}


@pytest.mark.parametrize(("unit", "factor"), [("S", 2.0), ("ST", 5.0), ("S+ST", 7.0)])
def test_a_fixed_site_is_the_sum_of_its_open_branches(unit: str, factor: float) -> None:
    fuse = fixed_fuse(Strategy("net", {"L1": unit}))
    site = fuse(Site("L1"), BRANCHES, shared=Counted, closed=lambda: Closed(3))
    x = torch.randn(2, 1, 1, 1, 3)
    torch.testing.assert_close(site(x), factor * (x + 1.0))
    assert isinstance(site, Fusion)
    assert site.shared.calls == 1
    assert list(named_gates(site)) == []


def test_a_closed_site_gives_zeros_as_wide_as_its_branches() -> None:
    fuse = fixed_fuse(Strategy("net", {"L1": "none"}))
    site = fuse(Site("L1"), BRANCHES, shared=Counted, closed=lambda: Closed(7))
    found = site(torch.randn(2, 3, 4, 5, 6, dtype=torch.bfloat16))
    assert found.shape == (2, 3, 4, 5, 7)
    assert found.dtype == torch.bfloat16
    assert not found.any()


def test_a_template_site_weighs_every_branch_with_its_mask() -> None:
    site = template_fuse(0.3, TEMPERATURE)(Site("L1"), BRANCHES, shared=Counted, closed=lambda: Closed(1))
    assert [(name, branch, made.drop.item()) for name, branch, made, _ in named_gates(site)] == [
        ("L1", "S", pytest.approx(0.3)),
        ("L1", "ST", pytest.approx(0.3)),
    ]
    uniforms = draws(8).view(4, 2)
    set_noise(site, uniforms)
    x = torch.randn(4, 1, 1, 1, 1)
    masks = [direct_mask(math.log(3 / 7), value) for value in uniforms.flatten().tolist()]
    expected = torch.tensor([2 * s + 5 * t for s, t in zip(masks[::2], masks[1::2], strict=True)])
    torch.testing.assert_close(site(x).flatten(), (x.flatten() + 1) * expected)
    assert isinstance(site, Fusion)
    assert site.shared.calls == 1


LATE = {"T": lambda: Times(11.0)}
SEVEN = Site("L1", ("S", "T", "ST"))


def tail(x: Tensor) -> Tensor:
    return 100.0 * x + 1000.0


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("S", 1200.0),
        ("ST", 1500.0),
        ("S+ST", 1700.0),
        ("T", 11.0),
        ("S+T", 1211.0),
        ("T+ST", 1511.0),
        ("S+T+ST", 1711.0),
        ("none", 0.0),
    ],
)
def test_late_branches_join_behind_the_tail_which_the_early_ones_have(unit: str, expected: float) -> None:
    closed = functools.partial(Closed, 1, feeds_tail=False)
    fixed = fixed_fuse(Strategy("net", {"L1": unit}))(SEVEN, BRANCHES, shared=Counted, closed=closed, late=LATE)
    x = torch.zeros(2, 1, 1, 1, 1)
    torch.testing.assert_close(fixed(x, tail), torch.full_like(x, expected))
    has_tail = bool({"S", "ST"} & set(unit.split("+")))
    assert isinstance(behind(fixed, Counted), Counted) == has_tail

    template = template_fuse(0.3, TEMPERATURE)(SEVEN, BRANCHES, shared=Counted, closed=closed, late=LATE)
    assert isinstance(behind(template, Counted), Counted)
    for _, branch, made, _ in named_gates(template):
        with torch.no_grad():
            made.logit.fill_(-1e4 if branch in unit.split("+") else 1e4)
    torch.testing.assert_close(template(x, tail), torch.full_like(x, expected))


def test_a_template_weighs_the_tail_with_the_mask_that_an_early_branch_is_open() -> None:
    template = template_fuse(0.3, TEMPERATURE)(
        SEVEN, BRANCHES, shared=nn.Identity, closed=functools.partial(Closed, 1), late=LATE
    )
    uniforms = torch.tensor([[0.6, 0.8, 0.7]])
    set_noise(template, uniforms)
    s, t, st_ = (direct_mask(math.log(3 / 7), value) for value in uniforms[0].tolist())
    expected = (1 - (1 - s) * (1 - st_)) * (100 * (2 * s + 5 * st_) + 1000) + 11 * t
    assert template(torch.ones(1, 1, 1, 1, 1), tail).item() == pytest.approx(expected, rel=1e-5)


def test_a_closed_sites_zeros_have_the_stride_of_the_tail_that_it_does_without() -> None:
    x = torch.randn(2, 3, 5, 6, 4)
    assert Closed(7, stride=2, feeds_tail=False)(x, tail).shape == (2, 3, 3, 3, 7)
    torch.testing.assert_close(Closed(7)(x, tail), torch.full((2, 3, 5, 6, 7), 1000.0))


def test_masks_drawn_for_all_gates_at_once_are_those_that_every_gate_draws() -> None:
    template = nets.template("densenet_small", 3, tail_sites=True)
    gates = [made for _, _, made, _ in named_gates(template)]
    with torch.no_grad():
        for number, made in enumerate(gates):
            made.logit.fill_(number / 10 - 2)
    uniforms, weight = draws(3 * len(gates)).view(3, -1), draws(3, seed=1)
    uniforms[0, 0], uniforms[1, 0] = 0.0, 1.0
    draw_masks(template, uniforms)
    x = torch.zeros(3, 1, 1, 1, 1)
    torch.stack([made.draw(x) @ weight for made in gates]).sum().backward()
    for column, made in enumerate(gates):
        alone = gate()
        alone.load_state_dict(made.state_dict())
        mask = alone.mask(uniforms[:, column])
        (mask @ weight).backward()
        torch.testing.assert_close(made.draw(x), mask, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(made.logit.grad, alone.logit.grad, rtol=1e-5, atol=1e-7)
    set_masks(template, None)
    assert all(made.given is None for made in gates)
    draw_masks(nets.fixed_net(nets.architecture(template), nets.architecture(template).all_open), torch.rand(3, 0))
