from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stzoo import nets
from stzoo.errors import ContractError, StrategyError
from stzoo.nets import Architecture, fixed, template
from stzoo.nets.layers import Conv
from stzoo.nets.measure import measure, measure_latency, measure_training
from stzoo.strategies.names import named
from stzoo.strategies.strategy import Strategy


@pytest.mark.parametrize(
    ("strategy", "stride", "frames", "size", "giga"),
    [
        ("s", "none", 16, 256, 69.07),
        ("st", "none", 16, 256, 130.61),
        ("sst", "none", 16, 256, 161.38),
        ("published:sthv1", "none", 16, 256, 147.48),
        ("sst", "x8", 16, 256, 31.31),
        ("sst", "x8", 128, 256, 250.45),
        ("s", "x8", 16, 224, 12.44),
        ("published:k400", "x8", 128, 256, 225.01),
    ],
)
def test_densenet121_computes_as_much_as_the_reference(
    strategy: str, stride: str, frames: int, size: int, giga: float
) -> None:
    shape = Architecture("densenet121", 174, {"temporal_stride": stride})
    chosen = named(strategy, "densenet121", shape.sites)
    found = measure(shape, chosen, frames=frames, height=size, width=size)
    assert found.multiply_adds / 1e9 == pytest.approx(giga, rel=1e-3)


def test_a_low_temporal_resolution_halves_everything_after_the_stems_pool() -> None:
    whole, halved = (
        measure(shape, shape.uniform("S+ST"), frames=16, height=256, width=256)
        for shape in (Architecture("densenet121", 174, {"temporal_stride": stride}) for stride in ("none", "low"))
    )
    stem = 64 * 3 * 5 * 7 * 7 * 16 * 128 * 128
    head = 1024 * 174
    assert whole.parameters == halved.parameters == 21_404_526
    assert whole.multiply_adds - stem - head == 2 * (halved.multiply_adds - stem - head)


def test_every_convolution_and_the_head_count_as_often_as_they_multiply() -> None:
    """Counted from what a real clip gives, on a height that differs from the width."""
    units = {"B1.L1": "none", "B2.L2": "S", "B3.L1": "ST"}
    shape = Architecture("densenet_tiny", 7, {})
    strategy = Strategy("densenet_tiny", {**shape.uniform("S+ST").units, **units})
    net = nets.fixed_net(shape, strategy).eval()
    expected, activations = 0, 7

    def count(module: Conv, _: object, output: torch.Tensor) -> None:
        nonlocal expected, activations
        expected += module.weight[0].numel() * output.numel()
        activations += output.numel()

    for module in net.modules():
        if isinstance(module, Conv):
            module.register_forward_hook(count)  # type: ignore[arg-type]
    with torch.no_grad():
        net(torch.zeros(1, 3, 3, 45, 34))
    expected += net.get_submodule("head").weight.numel()  # type: ignore[operator, union-attr]
    found = measure(shape, strategy, frames=3, height=45, width=34)
    assert found.multiply_adds == expected
    assert found.activations == activations
    assert found.parameters == sum(parameter.numel() for parameter in net.parameters())


def test_a_flat_resnet50_has_as_many_activations_as_its_2d_namesake() -> None:
    """11.1 million at 224x224: Table 2 of Dollár et al. 2021. Four frames of S are four images."""
    shape = Architecture("resnet50", 1000, {})
    found = measure(shape, shape.uniform("S"), frames=4, height=224, width=224)
    assert (found.activations - 1000) / 4 / 1e6 == pytest.approx(11.1, abs=0.06)


def test_latency_is_measured_with_what_torch_has_here() -> None:
    shape = Architecture("densenet_tiny", 7, {})
    found = measure_latency(shape, shape.uniform("S"), frames=1, height=32, width=32)
    assert 5 <= found.runs <= 50
    assert 0.1 < found.milliseconds < 60_000
    assert found.threads == torch.get_num_threads()
    assert found.torch == torch.__version__


def test_what_cannot_be_measured_is_refused() -> None:
    shape = Architecture("densenet_tiny", 7, {})
    with pytest.raises(StrategyError, match="for densenet121, not for densenet_tiny"):
        measure(shape, Architecture("densenet121", 7, {}).uniform("S"), frames=8, height=64, width=64)
    with pytest.raises(ContractError, match="too small"):
        measure(shape, shape.uniform("S"), frames=8, height=64, width=16)


@pytest.mark.parametrize("backbone", ["densenet_tiny", "resnet_tiny", "mobilenet_v2_tiny"])
@pytest.mark.parametrize("unit", [None, "S", "S+ST"])
def test_training_keeps_what_is_counted_without_computing(backbone: str, unit: str | None) -> None:
    shape = Architecture(backbone, 5, {})
    strategy = None if unit is None else shape.uniform(unit)
    found = measure_training(shape, strategy, frames=4, height=32, width=32)
    net = template(backbone, 5) if strategy is None else fixed(backbone, strategy, 5)
    own = {tensor.data_ptr() for tensor in net.state_dict().values()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net.train()(torch.zeros(1, 3, 4, 32, 32))
    assert found.parameters == sum(parameter.numel() for parameter in net.parameters())
    right = sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own)
    assert found.kept_bytes == pytest.approx(right, rel=0.02)
    alone = measure(shape, strategy or shape.all_open, frames=4, height=32, width=32)
    assert found.multiply_adds == alone.multiply_adds
