from __future__ import annotations

import copy
import math
from functools import partial
from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stzoo.nets.layers import Conv
from stzoo.nets.norm import Affine, BatchNorm, Statistics
from stzoo.nets.rectify import Activated, Rectifier, has_its_batch, rectified, rectified_by_each

CHANNELS = 5


Norm = TypeVar("Norm", Affine, BatchNorm)


def moved(module: Norm) -> Norm:
    """With scales and shifts that are no two alike."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    return module.double()


def composed(statistics: Statistics, affines: list[Affine], x: Tensor) -> list[Tensor]:
    standardised = statistics(x)
    return [F.relu(affine(standardised)) for affine in affines]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("follows", [True, False])
def test_one_step_is_norm_scale_shift_and_relu(count: int, momentum: float | None, follows: bool) -> None:
    torch.manual_seed(0)
    statistics, affines = Statistics(CHANNELS).double(), [moved(Affine(CHANNELS)) for _ in range(count)]
    statistics.momentum, statistics.follows_batches = momentum, follows
    ours = copy.deepcopy((statistics, affines))
    x = 3 * torch.randn(2, 3, 4, 5, CHANNELS, dtype=torch.float64) + 1
    x[..., 0] = 2.0  # of no variance
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
    outputs, expected = rectified_by_each(*ours, first), composed(statistics, affines, second)
    weights = [torch.randn_like(y) for y in expected]
    for ys in (outputs, expected):
        torch.stack([(y * weight).sum() for y, weight in zip(ys, weights, strict=True)]).sum().backward()
    close = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)
    assert first.grad is not None
    assert second.grad is not None
    close(list(outputs), expected)
    close(first.grad[..., 1:], second.grad[..., 1:])
    for mine, other in zip(ours[1], affines, strict=True):
        close([mine.weight.grad, mine.bias.grad], [other.weight.grad, other.bias.grad])
    for name, buffer in statistics.named_buffers():
        close(ours[0].get_buffer(name), buffer)


@pytest.mark.parametrize("ceiling", [math.inf, 6.0])
@pytest.mark.parametrize("training", [True, False])
def test_a_convolution_norm_and_rectifier_are_those_three(ceiling: float, training: bool) -> None:
    torch.manual_seed(0)
    norm = moved(BatchNorm(CHANNELS))
    norm.weight.data.mul_(10)  # beyond what ReLU6 lets pass
    plain = nn.Sequential(Conv(CHANNELS, CHANNELS).double(), norm, nn.ReLU() if ceiling == math.inf else nn.ReLU6())
    ours = Activated(*copy.deepcopy(list(plain[:2])), Rectifier(ceiling))
    x = torch.randn(2, 3, 4, 5, CHANNELS, dtype=torch.float64)
    outputs = []
    for net in (ours.train(training), plain.train(training)):
        for parameter in net.parameters():
            parameter.grad = None
        clips = x.clone().requires_grad_()
        y = net(clips)
        y.square().sum().backward()
        assert clips.grad is not None
        outputs.append([y, clips.grad, *(parameter.grad for parameter in net.parameters()), *net.buffers()])
    assert (outputs[0][0] == 6).any() == (ceiling == 6)
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-12)


def test_other_parts_are_run_one_after_the_other() -> None:
    """An activation of another kind is not taken for ReLU, and a slice has none."""
    x = torch.randn(2, 3, 4, 5, CHANNELS)
    net = Activated(Conv(CHANNELS, CHANNELS), BatchNorm(CHANNELS), nn.SiLU())
    torch.testing.assert_close(net(x), F.silu(net[1](net[0](x))))
    torch.testing.assert_close(net[:2](x), net[1](net[0](x)))


def test_hooks_on_every_part_see_what_passes_outside_training() -> None:
    net = Activated(Conv(CHANNELS, CHANNELS), BatchNorm(CHANNELS), Rectifier(6.0)).eval()
    seen: list[nn.Module] = []
    for module in net:
        module.register_forward_hook(lambda module, *_: seen.append(module))
    net(torch.randn(2, 3, 4, 5, CHANNELS))
    assert seen == list(net)


@pytest.mark.parametrize("follows", [True, False])
def test_of_norm_and_rectifier_two_activations_are_kept_for_the_way_back(follows: bool) -> None:
    """What the norm reads, and what the rectifier gives."""
    x = torch.randn(2, 3, 4, 5, CHANNELS)
    net = Activated(nn.Identity(), BatchNorm(CHANNELS), Rectifier(6.0))
    net[1].train(follows)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: kept.append(saved) or saved, lambda saved: saved):
        y = net(x.requires_grad_())
    assert {saved.data_ptr() for saved in kept if saved.numel() == x.numel()} == {x.data_ptr(), y.data_ptr()}


def test_no_copies_of_whole_activations_are_behind_a_rectifier() -> None:
    """Autograd's, for what is written in place in a view."""
    net = Activated(Conv(CHANNELS, CHANNELS), BatchNorm(CHANNELS), Rectifier(6.0))
    for follows in (True, False):
        net[1].train(follows)
        y, seen = net(torch.randn(2, 3, 4, 5, CHANNELS)), set()
        steps = [y.grad_fn]
        while steps:
            step = steps.pop()
            if step is not None and step not in seen:
                seen.add(step)
                steps += [before for before, _ in step.next_functions]
        assert not any("CopySlices" in step.name() for step in seen)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    statistics, affines = Statistics(2).double(), [moved(Affine(2)), moved(Affine(2))]
    x = torch.randn(2, 2, 2, 1, 2, dtype=torch.float64, requires_grad=True)
    parameters = [parameter for affine in affines for parameter in affine.parameters()]

    def both(x: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        return rectified_by_each(statistics, affines, x)

    assert torch.autograd.gradcheck(both, (x, *parameters))


def test_outside_training_and_of_several_processes_the_parts_run_one_after_the_other() -> None:
    x = torch.randn(2, 3, 4, 5, CHANNELS)
    norm = moved(BatchNorm(CHANNELS)).float()
    assert has_its_batch(norm, x)
    assert not has_its_batch(norm, x[:1, :1, :1, :1])
    norm.together = lambda *_: torch.zeros(())
    assert not has_its_batch(norm, x)
    norm.eval()
    torch.testing.assert_close(rectified(norm, x), F.relu(norm(x)))
    assert rectified(nn.Identity(), x).min() == 0.0


def test_a_batch_of_one_value_has_no_variance_and_is_standardised_as_outside_training() -> None:
    norm, x = moved(BatchNorm(CHANNELS)).float(), torch.randn(1, 1, 1, 1, CHANNELS)
    seen = norm.running_mean.clone()
    found = rectified(norm.train(), x)
    assert torch.equal(norm.running_mean, seen)
    torch.testing.assert_close(found, rectified(norm.eval(), x))
