from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from stzoo import nets
from stzoo.nets import Architecture
from stzoo.nets.layers import Conv
from stzoo.nets.measure import Measurement, measure
from stzoo.strategies.strategy import Strategy

BLOCKS = (2, 3, 4, 3, 3, 1)


@pytest.mark.parametrize(("unit", "millions"), [("S", "2.450"), ("ST", "3.954"), ("S+ST", "4.720"), ("Opt", "4.499")])
@pytest.mark.parametrize("stride", ["none", "x2"])
def test_sizes_are_those_of_the_reference(unit: str, millions: str, stride: str) -> None:
    """Opt is the paper's rule for Something-Something: ST in the middle, where the widths are 64 and 96."""
    shape = Architecture("mobilenet_v2", 174, {"temporal_stride": stride})
    middle = dict.fromkeys((site.name for site in shape.sites if site.stage in (3, 4)), "ST")
    opt = Strategy("mobilenet_v2", {**shape.uniform("S+ST").units, **middle})
    assert len(middle) == 7
    found = measure(shape, opt if unit == "Opt" else shape.uniform(unit), frames=16, height=224, width=224)
    assert f"{found.parameters / 1e6:.3f}" == millions


@pytest.mark.parametrize("unit", ["S", "ST", "S+ST"])
def test_a_stem_of_single_frames_saves_four_frames_of_its_kernel(unit: str) -> None:
    def counted(**options: int) -> Measurement:
        shape = Architecture("mobilenet_v2", 21, options)
        return measure(shape, shape.uniform(unit), frames=8, height=96, width=96)

    whole, single = counted(), counted(stem_frames=1)
    kernel = 4 * 3 * 3 * 3 * 32
    assert whole.parameters - single.parameters == kernel
    assert whole.multiply_adds - single.multiply_adds == kernel * 8 * 48 * 48
    if unit == "S":
        assert single.parameters == torchvision_parameters(21)


def torchvision_parameters(classes: int) -> int:
    with torch.device("meta"):
        return sum(value.numel() for value in torchvision.models.mobilenet_v2(num_classes=classes).parameters())


def test_every_block_but_the_first_is_a_site() -> None:
    sites = Architecture("mobilenet_v2", 10, {}).sites
    assert [(site.name, site.stage, site.closable) for site in sites] == [
        (f"stage{stage}.block{block}", stage, block > 1)
        for stage, blocks in enumerate(BLOCKS, start=1)
        for block in range(1, blocks + 1)
    ]
    assert len(sites) == 16


@pytest.mark.parametrize(("stride", "frames"), [("none", 16), ("x2", 8)])
def test_time_is_shortened_at_the_stem_alone(stride: str, frames: int) -> None:
    shape = Architecture("mobilenet_v2", 10, {"temporal_stride": stride})
    with torch.device("meta"):
        net = nets.fixed_net(shape, shape.uniform("S+ST"))
    seen: list[list[int]] = []
    for name in ("stem", "first", *(f"stage{stage}" for stage in range(1, 7)), "last"):
        net.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(list(output.shape[1:])))
    net(torch.empty(1, 3, 16, 224, 224, device="meta"))
    sides = (112, 112, 56, 28, 14, 14, 7, 7, 7)
    widths = (32, 16, 24, 32, 64, 96, 160, 320, 1280)
    assert seen == [[frames, side, side, width] for side, width in zip(sides, widths, strict=True)]


def test_convolutions_are_drawn_from_kaimings_distribution() -> None:
    torch.manual_seed(0)
    shape = Architecture("mobilenet_v2", 10, {})
    for name, module in nets.fixed_net(shape, shape.uniform("S+ST")).named_modules():
        if isinstance(module, Conv):
            wanted = (2 / module.weight[0].numel()) ** 0.5
            assert module.weight.std().item() == pytest.approx(wanted, rel=0.15), name


@pytest.mark.parametrize("unit", ["S", "ST", "S+ST"])
@pytest.mark.parametrize("name", ["stage2.block1", "stage2.block2", "stage4.block1"])
def test_a_block_is_what_the_reference_has(unit: str, name: str) -> None:
    """Rebuilt of torch's own 3D operations, from the same weights."""
    torch.manual_seed(0)
    shape = Architecture("mobilenet_v2_tiny", 5, {})
    net = nets.fixed_net(shape, shape.uniform(unit))
    with torch.no_grad():
        for parameter in (parameter for parameter in net.parameters() if parameter.ndim == 1):
            parameter.add_(0.3 * torch.randn_like(parameter))
        for _ in range(3):
            net(torch.randn(4, 3, 4, 32, 32))
    block = net.eval().get_submodule(name)
    state = block.state_dict()
    branches = unit.split("+")
    x = torch.randn(2, 4, 7, 6, state[f"unit.branches.{branches[0]}.conv.weight"].shape[1])
    y = x.permute(0, 4, 1, 2, 3)

    def norm(value: Tensor, key: str) -> Tensor:
        mean, variance = state[f"{key}.running_mean"], state[f"{key}.running_var"]
        return nn.functional.batch_norm(value, mean, variance, state[f"{key}.weight"], state[f"{key}.bias"])

    conv, relu6 = nn.functional.conv3d, nn.functional.relu6
    h = torch.zeros(())
    for branch in branches:
        key = f"unit.branches.{branch}"
        h = h + relu6(norm(conv(y, state[f"{key}.conv.weight"], padding=(int(branch == "ST"), 0, 0)), f"{key}.norm"))
    stride = (1, 2, 2) if name == "stage2.block1" else (1, 1, 1)
    weight = state["depthwise.conv.weight"]
    h = relu6(norm(conv(h, weight, stride=stride, padding=(0, 1, 1), groups=len(weight)), "depthwise.norm"))
    h = norm(conv(h, state["project.conv.weight"]), "project.norm")
    expected = h + y if name == "stage2.block2" else h
    torch.testing.assert_close(block(x), expected.permute(0, 2, 3, 4, 1), rtol=1e-4, atol=1e-5)
