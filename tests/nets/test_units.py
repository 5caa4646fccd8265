"""The paper's whole set of units, and the shared norm, on the backbones that have them."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from stzoo import nets
from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.fusion import Fusion
from stzoo.nets.layers import Conv
from stzoo.strategies.strategy import ALL_BRANCHES, Strategy

SEVEN = ("S", "T", "ST", "S+T", "S+ST", "T+ST", "S+T+ST")
FAMILIES = ("densenet_tiny", "resnet_tiny")


def shape_of(backbone: str) -> Architecture:
    return Architecture(backbone, 5, {"branches": ALL_BRANCHES})


@functools.cache
def template_of(backbone: str) -> nn.Module:
    torch.manual_seed(0)
    template = nets.template(backbone, 5, branches=ALL_BRANCHES)
    with torch.no_grad():
        for _ in range(2):
            template(torch.randn(4, 3, 4, 32, 32))
    return template.eval()


@pytest.mark.parametrize("backbone", FAMILIES)
def test_sites_have_seven_units_and_transitions_three(backbone: str) -> None:
    for site in shape_of(backbone).sites:
        assert site.units == (("S", "ST", "S+ST") if site.name.startswith("T") else SEVEN)
    with without_memory():
        seven, three = nets.template(backbone, 5, branches=ALL_BRANCHES), nets.template(backbone, 5)
    further = {key for key in seven.state_dict() if ".branches.T." in key or ".gates.T." in key}
    assert set(seven.state_dict()) - set(three.state_dict()) == further
    assert set(three.state_dict()) < set(seven.state_dict())


@pytest.mark.parametrize("backbone", FAMILIES)
@pytest.mark.parametrize("unit", ["S", "ST", "S+ST"])
def test_without_t_a_net_of_seven_units_is_the_net_of_three(backbone: str, unit: str) -> None:
    seven = nets.prune(template_of(backbone), shape_of(backbone).uniform(unit))
    three = nets.fixed(backbone, Architecture(backbone, 5, {}).uniform(unit), 5).eval()
    three.load_state_dict(seven.state_dict(), strict=True)
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(three(clips), seven(clips))


@pytest.mark.parametrize("backbone", FAMILIES)
def test_t_alone_has_no_convolution_over_positions(backbone: str) -> None:
    net = nets.prune(template_of(backbone), shape_of(backbone).uniform("T"))
    for name, module in net.named_modules():
        if isinstance(module, Conv) and not name.startswith("stem"):
            assert module.weight.shape[3:] == (1, 1), name
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        assert (net(clips) - net(clips.flip(2))).abs().max() > 1e-6


def test_t_costs_a_dense_layer_what_its_docstring_says() -> None:
    counts = {}
    for unit in ("S", "T", "ST", "S+T+ST"):
        with without_memory():
            net = nets.fixed_net(Architecture("densenet121", 174, {"branches": ALL_BRANCHES}), uniform121(unit))
        counts[unit] = sum(parameter.numel() for parameter in net.parameters())
    inputs = [
        first + 32 * layer for first, layers in ((64, 6), (128, 12), (256, 24), (512, 16)) for layer in range(layers)
    ]
    t = sum(2 * width + 3 * width * 32 for width in inputs)
    s = sum(2 * width + width * 128 for width in inputs)
    tails = 58 * (2 * 128 + 9 * 128 * 32)
    transitions = {"S": 0, "T": sum(width * width for width in (256, 512, 1024))}
    assert counts["S"] == 7_169_838
    assert counts["S+T+ST"] == 21_404_526 + t
    assert counts["T"] == counts["S"] - s - tails + t + transitions["T"]


def uniform121(unit: str) -> Strategy:
    return Architecture("densenet121", 174, {"branches": ALL_BRANCHES}).uniform(unit)


@pytest.mark.parametrize(
    ("unit", "transition"), [("T", "ST"), ("S+T", "S+ST"), ("T+ST", "ST"), ("S+T+ST", "S+ST"), ("S", "S")]
)
def test_where_t_and_st_are_the_same_st_stands_for_both(unit: str, transition: str) -> None:
    units = shape_of("densenet_tiny").uniform(unit).units
    assert {units[site] for site in ("T1", "T2", "T3")} == {transition}
    assert units["B1.L1"] == unit


def test_with_a_shared_norm_two_branches_are_one_convolution() -> None:
    torch.manual_seed(0)
    shape = Architecture("densenet_tiny", 5, {"shared_norm": True})
    net = nets.fixed_net(shape, shape.all_open)
    net(torch.randn(2, 3, 4, 32, 32))
    for unit in (module for module in net.eval().modules() if isinstance(module, Fusion)):
        s, st = (unit.branches[name].get_submodule("conv") for name in ("S", "ST"))
        assert isinstance(s, Conv)
        assert isinstance(st, Conv)
        x = torch.randn(1, 4, 3, 3, s.weight.shape[1])
        merged = Conv(s.weight.shape[1], s.weight.shape[0], (3, 1, 1))
        with torch.no_grad():
            merged.weight.copy_(st.weight)
            merged.weight[:, :, 1:2] += s.weight
            torch.testing.assert_close(merged(unit.shared(x)), unit(x), rtol=1e-4, atol=1e-5)


def test_a_shared_norm_saves_a_scale_and_a_shift_a_channel() -> None:
    sizes = {}
    for shared in (False, True):
        shape = Architecture("densenet121", 174, {"shared_norm": shared})
        for unit in ("S", "S+ST"):
            with without_memory():
                net = nets.fixed_net(shape, shape.uniform(unit))
            sizes[shared, unit] = sum(parameter.numel() for parameter in net.parameters())
    widths = sum(first + 32 * n for first, layers in ((64, 6), (128, 12), (256, 24), (512, 16)) for n in range(layers))
    assert sizes[True, "S"] == sizes[False, "S"]
    assert sizes[False, "S+ST"] - sizes[True, "S+ST"] == 2 * (widths + 256 + 512 + 1024)
