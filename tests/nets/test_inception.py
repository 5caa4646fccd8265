from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stzoo import nets
from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.fusion import fixed_fuse
from stzoo.nets.inception import InceptionSizes, Mixed, MixedSizes, inception_sites
from stzoo.nets.norm import EPSILON
from stzoo.strategies.strategy import Site, Strategy

RELEASED = 11_295_240
"""Parameters of the released 2D network with 1000 classes, the biases of its convolutions included."""

RELEASED_BIASES = 10_016
"""One for every channel that a convolution of it has."""

REDUCED = [(192, 128), (256, 128), (320, 192), (576, 160), (576, 192), (576, 256), (608, 288), (608, 320)]
REDUCED += [(1056, 352), (1024, 384)]
"""Inputs and outputs of the ten units."""


@pytest.mark.parametrize("unit", ["S", "ST", "S+ST"])
@pytest.mark.parametrize("classes", [174, 1000])
def test_inception_is_its_2d_namesake_with_time_in_the_stem_and_the_st_branches(unit: str, classes: int) -> None:
    shape = Architecture("inception", classes, {})
    with without_memory():
        net = nets.fixed_net(shape, shape.uniform(unit))
    flat = RELEASED - RELEASED_BIASES - (1024 + 1) * (1000 - classes)
    stem = 4 * 64 * 3 * 7 * 7
    one = sum(inputs * outputs for inputs, outputs in REDUCED)
    assert (
        sum(parameter.numel() for parameter in net.parameters())
        == flat + stem + {"S": 0, "ST": 2, "S+ST": 3}[unit] * one
    )


def test_sites_are_named_as_in_the_papers_table() -> None:
    sites = Architecture("inception", 10, {}).sites
    assert " ".join(site.name for site in sites) == (
        "mixed3a mixed3b mixed3c mixed4a mixed4b mixed4c mixed4d mixed4e mixed5a mixed5b"
    )
    assert [site.stage for site in sites] == [1] * 3 + [2] * 5 + [3] * 2
    assert all(site.closable for site in sites)


def test_a_second_site_list_has_the_names_of_its_own_modules() -> None:
    one = MixedSizes(1, 1, 1, 1, 1, 1)
    sites = inception_sites(InceptionSizes(((one, one), (one,))))
    assert [site.name for site in sites] == ["mixed3a", "mixed3b", "mixed4a"]


@pytest.mark.parametrize(
    "sizes", [MixedSizes(4, 5, 6, 3, 7, 2), MixedSizes(4, 5, 6, 3, 7, 2, "max"), MixedSizes(0, 5, 6, 3, 7, 0, "max")]
)
@pytest.mark.parametrize("unit", ["S", "ST", "S+ST"])
def test_a_module_is_four_paths_with_two_reductions_of_their_own(sizes: MixedSizes, unit: str) -> None:
    """A module rebuilt of torch's own 3D functions, every path with its own part of the unit."""
    torch.manual_seed(0)
    site = Site("mixed3a")
    module = Mixed(fixed_fuse(Strategy("toy", {site.name: unit})), site, 8, sizes)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if "norm" in name and value.is_floating_point():
                value.copy_(1.0 + 0.3 * torch.rand_like(value))
    state = module.eval().state_dict()
    stride = (1, 2, 2) if sizes.halves else 1
    x = torch.randn(2, 3, 6, 7, 8)
    y = x.permute(0, 4, 1, 2, 3)

    def normed(value: Tensor, name: str, channels: slice = slice(None)) -> Tensor:
        parts = (state[f"{name}.{part}"][channels] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.relu(F.batch_norm(value, *parts, eps=EPSILON))

    def activated(value: Tensor, name: str, step: tuple[int, int, int] | int = 1) -> Tensor:
        weight = state[f"{name}.conv.weight"]
        padding = (0, weight.shape[3] // 2, weight.shape[4] // 2)
        return normed(F.conv3d(value, weight, stride=step, padding=padding), f"{name}.norm")

    def reduced(channels: slice) -> Tensor:
        total = sum(
            F.conv3d(y, state[f"unit.branches.{name}.conv.weight"][channels], padding=(int(name == "ST"), 0, 0))
            for name in unit.split("+")
        )
        return normed(total, "norm", channels)

    three = activated(reduced(slice(0, 5)), "three", stride)
    twice = activated(activated(reduced(slice(5, 8)), "twice.0"), "twice.1", stride)
    pool = F.avg_pool3d if sizes.pool == "average" else F.max_pool3d
    pooled = pool(y, (1, 3, 3), stride, (0, 1, 1))
    paths = [three, twice, pooled] if sizes.halves else [activated(y, "one"), three, twice]
    paths += [] if sizes.halves else [activated(pooled, "projection")]
    with torch.no_grad():
        found = module(x)
    torch.testing.assert_close(found, torch.cat(paths, dim=1).permute(0, 2, 3, 4, 1), rtol=1e-4, atol=1e-5)
    assert found.shape[-1] == sizes.outputs(8)
