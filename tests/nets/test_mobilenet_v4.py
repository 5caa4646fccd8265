"""MobileNetV4 conv small against timm's 2D net: from fixed numbers, and from timm itself where it is installed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.inflate import counterparts, inflate
from stzoo.nets.measure import measure
from stzoo.strategies.strategy import NONE, Strategy


@pytest.mark.parametrize(
    ("unit", "parameters", "multiply_adds"),
    [("S", 3_774_024, 2_956_889_088), ("ST", 4_752_968, 4_793_732_096), ("S+ST", 5_251_144, 5_712_153_600)],
)
def test_sizes_with_s_everywhere_are_timms(unit: str, parameters: int, multiply_adds: int) -> None:
    """timm counts 3,774,024 parameters; ST adds two taps to every site's convolution."""
    shape = Architecture("mobilenet_v4", 1000, {})
    found = measure(shape, shape.uniform(unit), frames=16, height=224, width=224)
    assert (found.parameters, found.multiply_adds) == (parameters, multiply_adds)


@pytest.mark.parametrize(
    ("unit", "parameters", "multiply_adds"),
    [("S", 109_734, 44_754_816), ("ST", 156_326, 73_328_512), ("S+ST", 181_094, 87_615_360)],
)
def test_sizes_of_the_tiny_one(unit: str, parameters: int, multiply_adds: int) -> None:
    """Those of docs/results/backbones.md, for a clip of camera-motion."""
    shape = Architecture("mobilenet_v4_tiny", 10, {})
    found = measure(shape, shape.uniform(unit), frames=8, height=64, width=64)
    assert (found.parameters, found.multiply_adds) == (parameters, multiply_adds)


def test_every_bottleneck_is_a_site_and_those_without_a_shortcut_stay_open() -> None:
    sites = Architecture("mobilenet_v4", 10, {}).sites
    assert [(site.name, site.stage, site.closable) for site in sites] == [
        (f"stage{stage}.block{block}", stage, block > 1) for stage in (1, 2) for block in range(1, 7)
    ]


def test_a_closed_site_has_no_depthwise_convolution_before_it() -> None:
    shape = Architecture("mobilenet_v4_tiny", 3, {})
    strategy = Strategy("mobilenet_v4_tiny", {**shape.uniform("S").units, "stage1.block3": NONE})
    block = nets.fixed_net(shape, strategy).get_submodule("stage1.block3")
    assert [name for name, _ in block.named_parameters()] == [
        "project.conv.weight",
        "project.norm.weight",
        "project.norm.bias",
    ]


def test_frames_are_neither_left_out_nor_mixed_by_s() -> None:
    """The features of a clip are the mean of its frames' own."""
    torch.manual_seed(0)
    shape = Architecture("mobilenet_v4_tiny", 4, {})
    net = nets.fixed_net(shape, shape.uniform("S")).eval()
    clip = torch.randn(2, 3, 3, 48, 32)
    with torch.no_grad():
        single = torch.stack([net(clip[:, :, [frame]]) for frame in range(3)])
        torch.testing.assert_close(net(clip), single.mean(dim=0), rtol=1e-4, atol=1e-6)


def names_of_timm() -> dict[str, tuple[int, ...]]:
    """What timm 1.0 calls the tensors of mobilenetv4_conv_small, and their shapes."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, norm: str, outputs: int, inputs: int, side: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, side, side)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (outputs,)

    conv("conv_stem", "bn1", 32, 3, 3)
    for stage, (inputs, inner, outputs) in enumerate(((32, 32, 32), (32, 96, 64))):
        conv(f"blocks.{stage}.0.conv", f"blocks.{stage}.0.bn1", inner, inputs, 3)
        conv(f"blocks.{stage}.1.conv", f"blocks.{stage}.1.bn1", outputs, inner, 1)
    blocks = {
        2: ((5, 5, 192), (0, 3, 192), (0, 3, 192), (0, 3, 192), (0, 3, 192), (3, 0, 384)),
        3: ((3, 3, 576), (5, 5, 512), (0, 5, 512), (0, 5, 384), (0, 3, 512), (0, 3, 512)),
    }
    inputs = 64
    for stage, outputs in ((2, 96), (3, 128)):
        for number, (start, middle, inner) in enumerate(blocks[stage]):
            at = f"blocks.{stage}.{number}"
            if start:
                conv(f"{at}.dw_start.conv", f"{at}.dw_start.bn", inputs, 1, start)
            conv(f"{at}.pw_exp.conv", f"{at}.pw_exp.bn", inner, inputs, 1)
            if middle:
                conv(f"{at}.dw_mid.conv", f"{at}.dw_mid.bn", inner, 1, middle)
            conv(f"{at}.pw_proj.conv", f"{at}.pw_proj.bn", outputs, inner, 1)
            inputs = outputs
    conv("blocks.4.0.conv", "blocks.4.0.bn1", 960, 128, 1)
    conv("conv_head", "norm_head", 1280, 960, 1)
    shapes["classifier.weight"], shapes["classifier.bias"] = (1000, 1280), (1000,)
    return shapes


def test_the_template_takes_every_tensor_of_timms_weights() -> None:
    shapes = names_of_timm()
    with without_memory():
        template = nets.template("mobilenet_v4", 1000)
    found = counterparts(template, shapes, keep_head=True)
    assert set(found.values()) == set(shapes)
    taken = {key for key in template.state_dict() if ".gates." not in key and not key.endswith("num_batches_tracked")}
    assert taken == set(found)


def timms_net(classes: int) -> nn.Module:
    """With random kernels, and statistics, scales and shifts like those of a trained net."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    flat = timm.create_model("mobilenetv4_conv_small", num_classes=classes)
    for module in flat.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    with torch.no_grad():
        flat.train()(torch.randn(8, 3, 96, 96))
    return flat.eval()


def test_names_and_shapes_are_those_of_timm() -> None:
    state = timms_net(1000).state_dict()
    there = {name: tuple(value.shape) for name, value in state.items() if not name.endswith("num_batches_tracked")}
    assert there == names_of_timm()


def test_the_inflated_net_is_timms_on_a_clip_that_stands_still() -> None:
    flat = timms_net(5)
    shape = Architecture("mobilenet_v4", 5, {})
    net = nets.fixed_net(shape, shape.uniform("S")).eval()
    inflate(net, flat.state_dict(), keep_head=True)
    picture = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        wanted: Tensor = flat(picture)
        found = net(picture.unsqueeze(2).expand(-1, -1, 3, -1, -1))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
