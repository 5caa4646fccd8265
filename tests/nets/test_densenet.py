from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.errors import UsageError
from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.densenet import DENSENET121, densenet_sites
from stzoo.nets.layers import Conv
from stzoo.strategies.names import named

TINY = Architecture("densenet_tiny", 10, {})


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@functools.cache
def eval_net(backbone: str, unit: str, **options: object) -> nn.Module:
    """A net whose batch norms have seen something, so that no path is trivial."""
    torch.manual_seed(0)
    net = nets.fixed(backbone, Architecture(backbone, 5, options).uniform(unit), 5, **options)
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(4, 3, 8, 32, 32))
    return net.eval()


@pytest.mark.parametrize(
    ("strategy", "classes", "count"),
    [
        ("s", 174, 7_169_838),
        ("s", 400, 7_401_488),
        ("s", 101, 7_095_013),
        ("st", 174, 16_615_214),
        ("st", 400, 16_846_864),
        ("st", 101, 16_540_389),
        ("sst", 174, 21_404_526),
        ("sst", 400, 21_636_176),
        ("sst", 101, 21_329_701),
        ("published:sthv1", 174, 19_616_750),
        ("published:sthv2", 174, 19_773_806),
        ("published:k400", 400, 18_309_584),
        ("published:ucf101", 101, 21_329_701),
        ("published:sthv1-lowtemporal", 174, 18_842_734),
    ],
)
def test_densenet121_has_as_many_parameters_as_the_reference(strategy: str, classes: int, count: int) -> None:
    shape = Architecture("densenet121", classes, {})
    with without_memory():
        net = nets.fixed_net(shape, named(strategy, "densenet121", shape.sites))
    assert parameters(net) == count


IMAGE_NETS = {
    "densenet121": ((6, 12, 24, 16), 7_978_856),
    "densenet169": ((6, 12, 32, 32), 14_149_480),
    "densenet201": ((6, 12, 48, 32), 20_013_928),
}
"""Layers a block, and the parameters of the 2D net with 1000 classes as torchvision publishes them."""


@pytest.mark.parametrize("backbone", IMAGE_NETS)
def test_a_densenet_is_its_2d_namesake_with_time_in_the_stem_and_the_st_branches(backbone: str) -> None:
    """S: four more frames of the stem's kernel. ST: two more taps everywhere. S+ST: both, with one tail and stem."""
    block_layers, flat = IMAGE_NETS[backbone]
    shape = Architecture(backbone, 1000, {})
    assert len(shape.sites) == sum(block_layers) + 3
    branch = {"S": 0, "ST": 0}
    channels = 64
    for block, layers in enumerate(block_layers, start=1):
        for inputs in range(channels, channels + 32 * layers, 32):
            branch["S"] += 2 * inputs + inputs * 128
            branch["ST"] += 2 * inputs + 3 * inputs * 128
        channels += 32 * layers
        if block < 4:
            branch["S"] += 2 * channels + channels * channels // 2
            branch["ST"] += 2 * channels + 3 * channels * channels // 2
            channels //= 2
    spatial = flat + 4 * 64 * 3 * 7 * 7
    for unit, count in (
        ("S", spatial),
        ("ST", spatial + branch["ST"] - branch["S"]),
        ("S+ST", spatial + branch["ST"]),
    ):
        with without_memory():
            net = nets.fixed_net(shape, shape.uniform(unit))
        assert parameters(net) == count, unit


@pytest.mark.parametrize(("options", "scalars"), [({}, 122), ({"tail_sites": True}, 122 + 58)])
def test_a_template_adds_one_number_a_gate(options: dict[str, bool], scalars: int) -> None:
    with without_memory():
        template = nets.template("densenet121", 174, **options)
    assert parameters(template) == 21_404_526 + scalars


def test_densenet121_has_61_sites_in_network_order() -> None:
    sites = densenet_sites(DENSENET121)
    names = [site.name for site in sites]
    layers = [[f"B{block}.L{layer}" for layer in range(1, count + 1)] for block, count in enumerate((6, 12, 24, 16), 1)]
    assert names == [*layers[0], "T1", *layers[1], "T2", *layers[2], "T3", *layers[3]]
    assert len(names) == 61
    assert {site.name for site in sites if not site.closable} == {"T1", "T2", "T3"}
    assert all(site.branches == ("S", "ST") for site in sites)


def test_a_transition_belongs_to_the_block_that_it_ends() -> None:
    stages = {site.name: site.stage for site in densenet_sites(replace(DENSENET121, block_layers=(1, 2, 1)))}
    assert stages == {"B1.L1": 1, "T1": 1, "B2.L1": 2, "B2.L2": 2, "T2": 2, "B3.L1": 3}


def test_tail_sites_have_one_branch_that_may_be_closed() -> None:
    sites = densenet_sites(replace(DENSENET121, block_layers=(2, 1)), tail_sites=True)
    assert [site.name for site in sites] == ["B1.L1", "B1.L1.tail", "B1.L2", "B1.L2.tail", "T1", "B2.L1", "B2.L1.tail"]
    assert all(site.branches == ("tail",) and site.closable for site in sites if site.name.endswith(".tail"))


def test_densenet_tiny_has_time_in_its_st_branches_alone() -> None:
    net = nets.fixed_net(TINY, TINY.uniform("S+ST"))
    convs = {name: module for name, module in net.named_modules() if isinstance(module, Conv)}
    for name, conv in convs.items():
        assert conv.weight.shape[2] == (3 if ".ST." in name else 1), name
        assert conv.stride[0] == 1
    assert net.pool_kernel[0] == net.pool_stride[0] == 1


def test_unknown_temporal_strides_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="choose none or x8 or low"):
        Architecture("densenet121", 10, {"temporal_stride": "x9"})


def frames_of_stages(net: nn.Module, frames: int) -> list[int]:
    """How many frames reach the stem's norm, every stage and what follows the last one."""
    seen: list[int] = []
    hooks = [
        net.get_submodule(name).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
        for name in ("stem.1", "B1", "T1", "B2", "norm")
    ]
    with torch.no_grad():
        net(torch.randn(1, 3, frames, 32, 32))
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(
    ("stride", "frames", "expected"),
    [
        ("none", 16, [16, 16, 16, 16, 16]),
        ("none", 1, [1, 1, 1, 1, 1]),
        ("x8", 16, [8, 4, 4, 2, 2]),
        ("x8", 32, [16, 8, 8, 4, 4]),
        ("x8", 5, [3, 2, 2, 1, 1]),
        ("low", 16, [16, 8, 8, 8, 8]),
        ("low", 1, [1, 1, 1, 1, 1]),
    ],
)
def test_temporal_strides_stand_where_the_paper_has_them(stride: str, frames: int, expected: list[int]) -> None:
    assert frames_of_stages(eval_net("densenet_small", "S+ST", temporal_stride=stride), frames) == expected


def test_dropout_stands_before_the_head_and_in_training_alone() -> None:
    net = nets.fixed("densenet_tiny", TINY.uniform("S"), 5, dropout=0.75)
    clips = torch.randn(20, 3, 2, 32, 32)
    seen: list[Tensor] = []
    net.get_submodule("head").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        net.get_submodule("norm").bias.fill_(10.0)  # so that no feature is zero by itself
        net(clips)
        net.eval()(clips)
    trained, evaluated = seen
    assert evaluated.all()
    assert (trained == 0).float().mean().item() == pytest.approx(0.75, abs=0.05)
    assert trained.mean().item() == pytest.approx(evaluated.mean().item(), rel=0.2)


@pytest.mark.parametrize("unit", ["S", "ST", "S+ST"])
def test_a_dense_layer_is_what_the_paper_draws(unit: str) -> None:
    """Layer B1.L1 rebuilt of torch's own 3D modules, from the same weights."""
    net = eval_net("densenet_tiny", unit)
    layer = net.get_submodule("B1.L1")
    x = torch.randn(2, 4, 6, 7, 16)
    y = x.permute(0, 4, 1, 2, 3)
    state = layer.state_dict()

    def norm(value: Tensor, statistics: str, affine: str) -> Tensor:
        mean, variance = state[f"{statistics}.running_mean"], state[f"{statistics}.running_var"]
        return nn.functional.batch_norm(
            value, mean, variance, state[f"{affine}.weight"], state[f"{affine}.bias"]
        ).relu()

    branches = [
        nn.functional.conv3d(
            norm(y, "unit.shared", f"unit.branches.{name}.norm"),
            state[f"unit.branches.{name}.conv.weight"],
            padding=(int(name == "ST"), 0, 0),
        )
        for name in unit.split("+")
    ]
    tail = nn.functional.conv3d(norm(sum(branches), "norm", "norm"), state["tail.weight"], padding=(0, 1, 1))
    expected = torch.cat([y, tail], dim=1).permute(0, 2, 3, 4, 1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
