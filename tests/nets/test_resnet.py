from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.nets import Architecture
from stzoo.nets.measure import measure
from stzoo.strategies.strategy import Strategy


def opt(backbone: str) -> Strategy:
    """The paper's transfer rule: S+ST in the first half and the last three blocks, ST in the rest."""
    shape = Architecture(backbone, 174, {})
    third = [site.name for site in shape.sites if site.stage == 3]
    temporal = [third[0], *third[10:]] if backbone == "resnext101" else third
    return Strategy(backbone, {**shape.uniform("S+ST").units, **dict.fromkeys(temporal, "ST")})


@pytest.mark.parametrize(
    ("backbone", "unit", "millions", "giga"),
    [
        ("resnet50", "S", "23.902", 72.9),
        ("resnet50", "ST", "32.561", 103.0),
        ("resnet50", "S+ST", "36.891", 118.0),
        ("resnet50", "Opt", "35.449", 112.2),
        ("resnext50", "S", "23.374", 75.2),
        ("resnext50", "ST", "40.692", 135.2),
        ("resnext50", "S+ST", "49.351", 165.2),
        ("resnext50", "Opt", "46.467", 153.7),
        ("resnext101", "S", "87.136", 270),
        ("resnext101", "ST", "157.424", 502),
        ("resnext101", "S+ST", "192.568", 618),
        ("resnext101", "Opt", "178.41", 569),
    ],
)
def test_sizes_and_work_are_those_of_the_reference(backbone: str, unit: str, millions: str, giga: float) -> None:
    shape = Architecture(backbone, 174, {})
    found = measure(shape, opt(backbone) if unit == "Opt" else shape.uniform(unit), frames=16, height=224, width=224)
    assert f"{found.parameters / 1e6:.{len(millions.partition('.')[2])}f}" == millions
    assert found.multiply_adds / 1e9 == pytest.approx(giga, abs=0.5 if giga > 200 else 0.06)


@pytest.mark.parametrize(
    ("backbone", "blocks"), [("resnet50", (3, 4, 6, 3)), ("resnext50", (3, 4, 6, 3)), ("resnext101", (3, 4, 23, 3))]
)
def test_every_block_is_a_site(backbone: str, blocks: tuple[int, ...]) -> None:
    sites = Architecture(backbone, 10, {}).sites
    assert [(site.name, site.stage) for site in sites] == [
        (f"stage{stage}.block{block}", stage)
        for stage, count in enumerate(blocks, start=1)
        for block in range(1, count + 1)
    ]
    assert len(sites) == (33 if backbone == "resnext101" else 16)
    assert all(site.closable and site.branches == ("S", "ST") for site in sites)


def shapes_of(net: nn.Module, names: list[str], clip: Tensor) -> list[list[int]]:
    """Frames, height, width and channels of what the named children give."""
    seen: list[list[int]] = []
    for name in names:
        net.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(list(output.shape[1:])))
    with torch.no_grad():
        net(clip)
    return seen


@pytest.mark.parametrize(("stride", "frames"), [("none", 16), ("x2", 8)])
def test_time_is_shortened_at_the_stem_alone(stride: str, frames: int) -> None:
    shape = Architecture("resnet50", 10, {"temporal_stride": stride})
    with torch.device("meta"):
        net = nets.fixed_net(shape, shape.uniform("S+ST"))
    found = shapes_of(
        net, ["stem", *(f"stage{stage}" for stage in range(1, 5))], torch.empty(1, 3, 16, 224, 224, device="meta")
    )
    assert found == [
        [frames, 112, 112, 64],
        [frames, 56, 56, 256],
        [frames, 28, 28, 512],
        [frames, 14, 14, 1024],
        [frames, 7, 7, 2048],
    ]


@pytest.mark.parametrize("unit", ["S", "ST", "S+ST"])
@pytest.mark.parametrize("name", ["stage1.block1", "stage1.block2", "stage2.block1"])
def test_a_block_is_what_the_reference_has(unit: str, name: str) -> None:
    """Rebuilt of torch's own 3D operations, from the same weights."""
    torch.manual_seed(0)
    shape = Architecture("resnet_tiny", 5, {})
    net = nets.fixed_net(shape, shape.uniform(unit))
    with torch.no_grad():
        for parameter in (parameter for parameter in net.parameters() if parameter.ndim == 1):
            parameter.add_(0.3 * torch.randn_like(parameter))
        for _ in range(3):
            net(torch.randn(4, 3, 4, 32, 32))
    block = net.eval().get_submodule(name)
    state = block.state_dict()
    x = torch.randn(
        2, 4, 7, 6, state["unit.branches.ST.conv.weight" if "ST" in unit else "unit.branches.S.conv.weight"].shape[1]
    )
    y = x.permute(0, 4, 1, 2, 3)
    stride = (1, 2, 2) if name == "stage2.block1" else (1, 1, 1)

    def norm(value: Tensor, key: str) -> Tensor:
        mean, variance = state[f"{key}.running_mean"], state[f"{key}.running_var"]
        return nn.functional.batch_norm(value, mean, variance, state[f"{key}.weight"], state[f"{key}.bias"])

    conv = nn.functional.conv3d
    branches = {
        branch: conv(y, state[f"unit.branches.{branch}.conv.weight"], padding=(int(branch == "ST"), 0, 0))
        for branch in unit.split("+")
    }
    h = norm(sum(branches.values(), torch.zeros(())), "norm1").relu()
    h = norm(conv(h, state["conv2.weight"], stride=stride, padding=(0, 1, 1)), "norm2").relu()
    h = norm(conv(h, state["conv3.weight"]), "norm3")
    if name != "stage1.block2":
        if stride != (1, 1, 1):
            y = nn.AvgPool3d((1, 3, 3), stride, (0, 1, 1), count_include_pad=True)(y)
        y = norm(conv(y, state["shortcut.conv.weight"]), "shortcut.norm")
    torch.testing.assert_close(block(x), (h + y).relu().permute(0, 2, 3, 4, 1), rtol=1e-4, atol=1e-5)
