from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from stzoo.nets.norm import EPSILON, Affine, BatchNorm, BatchNormOfAll, Statistics, synchronise
from stzoo.nets.pooling import RunningNorm
from stzoo.ranks import ALONE, Ranks

CHANNELS = 5


def batches(count: int) -> list[Tensor]:
    """Activations whose channels differ in mean and spread."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.arange(1, CHANNELS + 1)
    return [
        torch.randn(2, 3, 4, 5, CHANNELS, generator=generator) * spread + 10 * spread * (index + 1)
        for index in range(count)
    ]


def torch_norm(norm: nn.BatchNorm3d, x: Tensor) -> Tensor:
    return norm(x.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)


def torchs(momentum: float | None, seed: int) -> nn.BatchNorm3d:
    """A batch norm of torch's with random scale and shift."""
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm3d(CHANNELS, momentum=momentum)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(CHANNELS, generator=generator))
        norm.bias.copy_(torch.randn(CHANNELS, generator=generator))
    return norm


def assert_same_statistics(norm: Statistics, expected: nn.BatchNorm3d) -> None:
    torch.testing.assert_close(norm.running_mean, expected.running_mean)
    torch.testing.assert_close(norm.running_var, expected.running_var)
    assert torch.equal(norm.num_batches_tracked, expected.num_batches_tracked)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_a_batch_norm_is_torchs_3d_batch_norm(momentum: float | None) -> None:
    expected = torchs(momentum, 1)
    norm = BatchNorm(CHANNELS)
    norm.load_state_dict(expected.state_dict())
    norm.momentum = momentum
    for x in batches(3):
        torch.testing.assert_close(norm(x), torch_norm(expected, x), rtol=1e-4, atol=1e-4)
        assert_same_statistics(norm, expected)
    norm.eval(), expected.eval()
    for x in batches(2):
        torch.testing.assert_close(norm(x), torch_norm(expected, x), rtol=1e-4, atol=1e-4)
        assert_same_statistics(norm, expected)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_two_branches_share_the_statistics_of_two_batch_norms(momentum: float | None) -> None:
    expected = [torchs(momentum, seed) for seed in (1, 2)]
    shared, affines = Statistics(CHANNELS), [Affine(CHANNELS), Affine(CHANNELS)]
    shared.momentum = momentum
    for affine, norm in zip(affines, expected, strict=True):
        affine.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    for training in (True, True, True, False, False):
        shared.train(training)
        x = batches(1)[0].requires_grad_()
        wanted = [torch_norm(norm.train(training), x) for norm in expected]
        standardised = shared(x)
        found = [affine(standardised) for affine in affines]
        for one, other, norm in zip(found, wanted, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
            assert_same_statistics(shared, norm)

        weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
        parameters = [parameter for norm in expected for parameter in (norm.weight, norm.bias)]
        own_parameters = [parameter for affine in affines for parameter in (affine.weight, affine.bias)]
        gradients = torch.autograd.grad((found[0] * weights + found[1].square()).sum(), [x, *own_parameters])
        others = torch.autograd.grad((wanted[0] * weights + wanted[1].square()).sum(), [x, *parameters])
        for gradient, other in zip(gradients, others, strict=True):
            torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-2)


def test_a_momentum_of_none_averages_all_batches_since_the_reset() -> None:
    norm = Statistics(CHANNELS)
    for x in batches(2):
        norm(1000 * x)
    norm.reset()
    assert norm.running_mean.tolist() == [0] * CHANNELS
    assert norm.running_var.tolist() == [1] * CHANNELS
    assert norm.num_batches_tracked == 0
    norm.momentum = None
    for x in batches(3):
        norm(x)
    flat = [x.flatten(0, 3) for x in batches(3)]
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(0) for x in flat]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([x.var(0) for x in flat]).mean(0))


def test_statistics_have_no_parameters_and_branches_no_buffers() -> None:
    assert list(dict(Statistics(2).named_parameters())) == []
    assert list(Statistics(2).state_dict()) == ["running_mean", "running_var", "num_batches_tracked"]
    assert list(Affine(2).state_dict()) == ["weight", "bias"]
    affine = Affine(2)
    assert affine.weight.tolist() == [1, 1]
    assert affine.bias.tolist() == [0, 0]


@pytest.mark.parametrize("training", [True, False])
def test_half_precision_activations_stay_so(training: bool) -> None:
    x = batches(1)[0]
    for module in (nn.Sequential(Statistics(CHANNELS), Affine(CHANNELS)), BatchNorm(CHANNELS)):
        module.train(training)
        found = module(x.bfloat16())
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), module(x), rtol=0.05, atol=0.2)
        assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


@dataclass(frozen=True)
class Threads(Ranks):
    """Ranks that are threads of one process."""

    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(2))
    brought: dict[int, Tensor] = field(default_factory=dict)

    def gathered(self, tensor: Tensor) -> Tensor:
        self.brought[self.rank] = tensor
        self.meeting.wait(timeout=60)
        rows = torch.stack([self.brought[rank] for rank in range(self.count)])
        self.meeting.wait(timeout=60)
        return rows

    def total(self, tensor: Tensor) -> Tensor:
        return self.gathered(tensor).sum(dim=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("sizes", [[3, 2], [5, 0]])
@pytest.mark.parametrize("kind", [BatchNorm, Statistics])
def test_two_processes_normalise_their_clips_as_one_does(
    sizes: list[int], kind: type[Statistics], dtype: torch.dtype
) -> None:
    """Outputs, gradients and running statistics, also where one of them has no clip."""
    precision = torch.promote_types(dtype, torch.float32)
    draw = torch.Generator().manual_seed(0)
    x = (torch.randn(5, 2, 4, 3, CHANNELS, generator=draw, dtype=torch.float64) * 3 + 7).to(dtype)
    gradient = torch.randn(x.shape, generator=draw, dtype=torch.float64).to(dtype)

    def passed(norm: Statistics, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Statistics]:
        x = x.clone().requires_grad_()
        y = norm(x)
        y.backward(gradient)
        assert x.grad is not None
        return y.detach(), x.grad, norm

    def made(ranks: Ranks) -> Statistics:
        norm = kind(CHANNELS).to(precision)
        synchronise(norm, ranks)
        return norm

    expected, of_x, norm = passed(made(ALONE), x, gradient)
    found: dict[int, tuple[Tensor, Tensor, Statistics]] = {}
    leader = Threads(0, 2, 2)
    both = [leader, Threads(1, 2, 2, leader.meeting, leader.brought)]

    def run(ranks: Threads) -> None:
        parts = (whole.split(sizes)[ranks.rank] for whole in (x, gradient))
        found[ranks.rank] = passed(made(ranks), *parts)

    threads = [threading.Thread(target=run, args=(ranks,)) for ranks in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    close = {"rtol": 1e-9, "atol": 1e-11} if dtype == torch.float64 else {"rtol": 2e-2, "atol": 3e-2}
    torch.testing.assert_close(torch.cat([found[0][0], found[1][0]]), expected, **close)
    torch.testing.assert_close(torch.cat([found[0][1], found[1][1]]), of_x, **close)
    for name, buffer in norm.named_buffers():
        for rank in (0, 1):
            torch.testing.assert_close(found[rank][2].get_buffer(name), buffer, rtol=1e-5, atol=1e-6)
    for name, parameter in norm.named_parameters():
        summed = sum(found[rank][2].get_parameter(name).grad for rank in (0, 1))
        close_sum = close if dtype == torch.float64 else {"rtol": 2e-2, "atol": 2e-1}
        torch.testing.assert_close(summed, parameter.grad, **close_sum)


class Watched(TorchDispatchMode):
    """Keeps the arguments of every backward pass of a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.native_batch_norm_backward.default:
            self.seen.append(args)
        return function(*args, **(kwargs or {}))


def test_the_way_back_is_given_the_statistics_that_a_gpu_reads() -> None:
    """With channels last, CUDA reads those of the forward pass, where a CPU reads the running ones."""
    x = batches(1)[0].flatten(0, 1).permute(0, 3, 1, 2).requires_grad_()
    with Watched() as watched:
        y, mean, variance, _ = BatchNormOfAll.apply(x, torch.ones(CHANNELS), torch.zeros(CHANNELS), ALONE, EPSILON)
        y.square().sum().backward()
    ((*_, saved_mean, saved_deviation, training, _, _),) = watched.seen
    assert not training
    assert torch.equal(saved_mean, mean)
    torch.testing.assert_close(saved_deviation, (variance + EPSILON).rsqrt())


@pytest.mark.parametrize("shape", [(1, 1, 1, 1, CHANNELS), (5, CHANNELS)])
def test_what_two_processes_see_together_leaves_finite_statistics(shape: tuple[int, ...]) -> None:
    """A single value of every channel teaches a batch norm nothing; pooled features learn as in one process."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found: dict[int, Statistics] = {}

    def made() -> Statistics:
        return (BatchNorm(CHANNELS) if x.ndim == 5 else RunningNorm(CHANNELS)).train()

    def run(ranks: Threads) -> None:
        found[ranks.rank] = made()
        synchronise(found[ranks.rank], ranks)
        found[ranks.rank](x if ranks.leads else x[:0])

    meeting, brought = threading.Barrier(2), dict[int, Tensor]()
    threads = [threading.Thread(target=run, args=(Threads(rank, 2, 2, meeting, brought),)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = made()
    alone(x)
    for norm in found.values():
        torch.testing.assert_close(norm.running_mean, alone.running_mean)
        torch.testing.assert_close(norm.running_var, alone.running_var)
