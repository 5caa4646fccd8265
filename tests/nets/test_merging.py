from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from stzoo import nets
from stzoo.errors import UsageError
from stzoo.nets import merge
from stzoo.nets.densenet import DenseNet3d, DenseNetSizes, densenet_sites
from stzoo.nets.fusion import Closed, Fusion, fixed_fuse
from stzoo.nets.inception import Inception3d, InceptionSizes, MixedSizes, inception_sites
from stzoo.nets.layers import Conv, Size
from stzoo.nets.mobilenet import MobileNet3d, MobileNetSizes, mobilenet_sites
from stzoo.nets.mobilenet_v4 import Bottleneck, MobileNetV4, MobileNetV4Sizes, mobilenet_v4_sites
from stzoo.nets.norm import Affine, BatchNorm, Statistics
from stzoo.nets.resnet import ResNet3d, ResNetSizes, resnet_sites
from stzoo.strategies.strategy import NONE, Site, Strategy

RESIDUAL = ResNetSizes((2, 1), width=8, outputs=12, stem_width=6)
INVERTED = MobileNetSizes(((6, 2, 2), (8, 2, 1)), stem_width=6, first_width=4, head_width=12, expansion=3)
UNIVERSAL = MobileNetV4Sizes(
    ((6, 4, 1),), ((6, (Bottleneck(5, 3, 8), Bottleneck(3, 0, 8))), (8, (Bottleneck(0, 3, 8),))), 6, 8, 12
)
DENSE = DenseNetSizes((2, 2), growth=4, stem_width=6, stem_kernel=(5, 7, 7), pool_kernel=(3, 3, 3), bottleneck=2)
MIXED = InceptionSizes(
    ((MixedSizes(3, 4, 5, 2, 3, 2), MixedSizes(0, 4, 6, 4, 4, 0, "max")),), stem_width=4, stem_outputs=6
)
ALL = ("S", "T", "ST")
KINDS: dict[str, tuple[Callable[..., nn.Module], Callable[..., tuple[Site, ...]], object, dict[str, object]]] = {
    "densenet": (DenseNet3d, densenet_sites, DENSE, {"temporal_stride": "x8"}),
    "densenet-tails": (DenseNet3d, densenet_sites, DENSE, {"tail_sites": True}),
    "densenet-units": (DenseNet3d, densenet_sites, DENSE, {"branches": ALL}),
    "densenet-shared": (DenseNet3d, densenet_sites, DENSE, {"branches": ALL, "shared_norm": True}),
    "resnet": (ResNet3d, resnet_sites, RESIDUAL, {"temporal_stride": "x2"}),
    "resnext": (ResNet3d, resnet_sites, replace(RESIDUAL, groups=4), {}),
    "resnet-units": (ResNet3d, resnet_sites, RESIDUAL, {"branches": ALL}),
    "inception": (Inception3d, inception_sites, MIXED, {}),
    "mobilenet": (MobileNet3d, mobilenet_sites, INVERTED, {}),
    "mobilenet_v4": (MobileNetV4, mobilenet_v4_sites, UNIVERSAL, {}),
}


def sites(kind: str) -> tuple[Site, ...]:
    _, sites_of, sizes, options = KINDS[kind]
    return sites_of(sizes, **options)


def net_of(kind: str, strategy: Strategy, seed: int = 0) -> nn.Module:
    """A fixed net in eval mode in which every number is random: weights, scales, shifts and statistics."""
    torch.manual_seed(seed)
    build, _, sizes, options = KINDS[kind]
    net = build(fixed_fuse(strategy), sizes, 5, **options)
    randomise(net)
    return net.eval()


@torch.no_grad()
def randomise(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, Statistics):
            module.running_mean.normal_(std=0.5)
            module.running_var.uniform_(0.3, 3.0)
        if isinstance(module, Affine | BatchNorm):
            module.weight.normal_()
            module.bias.normal_()


def uniform(kind: str, unit: str) -> Strategy:
    return Strategy(kind, {site.name: unit if unit in site.units else site.units[-1] for site in sites(kind)})


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Strategy]:
    """A backbone and a strategy for it, closed sites included."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    choices = {site.name: [*site.units, *([NONE] if site.closable else [])] for site in sites(kind)}
    return kind, Strategy(kind, {name: draw(st.sampled_from(units)) for name, units in choices.items()})


def hash_of(net: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def assert_same(given: Tensor, expected: Tensor, tolerance: float) -> None:
    assert (given - expected).abs().max() <= tolerance * expected.abs().max()


class Operations(TorchDispatchMode):
    """Counts the operations that compute something."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def counted(net: nn.Module, x: Tensor) -> tuple[Tensor, int, int]:
    """What the net gives, and how many operations and multiply-adds that took."""
    with torch.no_grad(), FlopCounterMode(display=False) as flops, Operations() as operations:
        y = net(x)
    return y, operations.count, flops.get_total_flops() // 2


@settings(max_examples=15)
@given(cases(), st.integers(0, 9), st.integers(5, 7), st.integers(16, 19), st.integers(16, 19))
def test_outputs_are_the_same_for_fewer_operations(
    case: tuple[str, Strategy], seed: int, frames: int, height: int, width: int
) -> None:
    net = net_of(*case, seed)
    before = hash_of(net)
    x = torch.randn(1, 3, frames, height, width)
    merged = merge(net)
    given, operations, multiply_adds = counted(merged, x)
    expected, operations_before, multiply_adds_before = counted(net, x)
    assert_same(given, expected, 1e-5)
    assert operations < operations_before
    assert multiply_adds <= multiply_adds_before
    assert not any(isinstance(module, Statistics) for module in merged.modules())
    assert merge(merged) is merged
    assert hash_of(net) == before
    assert not net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    exact = net.double()
    with torch.no_grad():
        assert_same(merge(exact)(x.double()), exact(x.double()), 1e-10)


@pytest.mark.parametrize("kind", ["resnet", "resnext", "resnet-units", "inception", "densenet-shared"])
def test_both_branches_of_one_activation_cost_what_st_costs(kind: str) -> None:
    x = torch.randn(1, 3, 5, 16, 16)
    both, st_alone = net_of(kind, uniform(kind, "S+ST")), net_of(kind, uniform(kind, "ST"))
    merged = merge(both)
    assert counted(merged, x)[1:] == counted(merge(st_alone), x)[1:]
    assert counted(merged, x)[2] == counted(st_alone, x)[2] < counted(both, x)[2]
    assert sum(1 for _ in merged.modules()) < sum(1 for _ in both.modules())


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("densenet", 2 * 5 + 1),  # every branch has a norm before its convolution, and so has the head
        ("densenet-shared", 5 + 1),
        ("resnet", 0),
        ("resnext", 0),
        ("inception", 0),
        ("mobilenet", 0),
        ("mobilenet_v4", 0),
    ],
)
def test_every_norm_that_follows_a_convolution_is_folded_into_it(kind: str, kept: int) -> None:
    merged = merge(net_of(kind, uniform(kind, "S+ST")))
    assert sum(isinstance(module, Affine) for module in merged.modules()) == kept


def test_training_the_net_further_leaves_the_merged_one_alone() -> None:
    net = net_of("resnet", uniform("resnet", "S+ST"))
    merged = merge(net)
    before = hash_of(merged)
    net.train()(torch.randn(2, 3, 5, 16, 16)).sum().backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    assert hash_of(merged) == before


def test_a_merged_net_can_only_be_run() -> None:
    architecture = nets.Architecture("resnet_tiny", 3, {})
    strategy = architecture.uniform("S+ST")
    merged = merge(nets.fixed_net(architecture, strategy).eval())
    assert not any(parameter.requires_grad for parameter in merged.parameters())
    refused: list[Callable[[], object]] = [
        lambda: nets.architecture(merged),
        lambda: nets.grow(merged),
        lambda: nets.prune(merged, strategy),
    ]
    for call in refused:
        with pytest.raises(UsageError, match="a merged net has lost its architecture"):
            call()


def test_only_fixed_nets_in_eval_mode_are_merged() -> None:
    with pytest.raises(UsageError, match="a template has random outputs and cannot be merged; prune"):
        merge(nets.template("resnet_tiny", 3).eval())
    with pytest.raises(UsageError, match=r"in training mode.*call eval\(\) first"):
        merge(net_of("resnet", uniform("resnet", "S")).train())


def test_a_net_without_norms_of_ours_is_returned_itself() -> None:
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4))
    assert merge(net) is net


def site_of(convs: dict[str, Conv], shared: nn.Module | None = None) -> nn.Sequential:
    """A site whose branches are convolutions and nothing else, and the norm of their sum."""
    net = nn.Sequential(Fusion("L1", convs, shared or nn.Identity()), BatchNorm(6))
    randomise(net)
    return net.eval()


def convs_in(net: nn.Module) -> list[Size]:
    return [tuple(module.weight.shape[2:]) for module in net.modules() if isinstance(module, Conv)]  # type: ignore[misc]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("kernels", "stride", "expected"),
    [
        ([(1, 1, 1), (3, 1, 1)], (1, 1, 1), [(3, 1, 1)]),
        ([(3, 1, 1), (1, 1, 1)], (2, 1, 1), [(3, 1, 1)]),
        ([(1, 1, 1), (1, 1, 1)], (1, 1, 1), [(1, 1, 1)]),
        ([(1, 3, 3), (5, 5, 3), (3, 1, 1)], (1, 2, 2), [(5, 5, 3)]),
        ([(3, 1, 1), (1, 3, 3)], (1, 1, 1), [(3, 1, 1), (1, 3, 3)]),  # one kernel of both would be 3x3x3
    ],
)
def test_convolutions_are_summed_where_one_kernel_holds_the_others(
    kernels: list[Size], stride: Size, expected: list[Size], groups: int
) -> None:
    net = site_of({str(index): Conv(4, 6, kernel, stride, groups) for index, kernel in enumerate(kernels)})
    merged = merge(net)
    assert convs_in(merged) == expected
    x = torch.randn(2, 5, 6, 7, 4)
    torch.testing.assert_close(merged(x), net(x), rtol=1e-4, atol=1e-5)


def test_a_norm_and_activation_before_both_branches_leave_one_convolution() -> None:
    shared = nn.Sequential(BatchNorm(4), nn.ReLU(inplace=True))
    net = site_of({"S": Conv(4, 6), "ST": Conv(4, 6, (3, 1, 1))}, shared)
    merged = merge(net)
    assert convs_in(merged) == [(3, 1, 1)]
    x = torch.randn(2, 5, 6, 7, 4)
    torch.testing.assert_close(merged(x), net(x), rtol=1e-4, atol=1e-5)


def test_a_norm_is_not_folded_into_what_ends_in_no_convolution() -> None:
    net = nn.Sequential(Conv(4, 4), nn.ReLU(), BatchNorm(4), Conv(4, 4, (1, 3, 3)))
    randomise(net)
    merged = merge(net.eval())
    assert [type(module) for module in merged] == [Conv, nn.ReLU, Affine, Conv]
    x = torch.randn(1, 2, 5, 5, 4)
    torch.testing.assert_close(merged(x), net(x), rtol=1e-4, atol=1e-5)


def test_a_closed_site_and_its_norm_are_a_constant() -> None:
    net = nn.Sequential(Closed(3), BatchNorm(3), nn.ReLU(inplace=True))
    randomise(net)
    x = torch.randn(2, 2, 4, 4, 5)
    merged = merge(net.eval())
    torch.testing.assert_close(merged(x), net(x))
    assert counted(merged, x)[1] < counted(net, x)[1]
