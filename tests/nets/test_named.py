from __future__ import annotations

import pytest
import torch

import stzoo
from stzoo import nets
from stzoo.errors import StrategyError, UsageError


def test_create_gives_a_net_with_the_branches_of_its_strategy() -> None:
    net = stzoo.create("densenet_tiny", "st", 3)
    assert net(torch.zeros(2, 3, 4, 32, 32)).shape == (2, 3)
    st = nets.Architecture("densenet_tiny", 3, {}).uniform("ST")
    assert net.state_dict().keys() == nets.fixed("densenet_tiny", st, 3).state_dict().keys()
    torch.manual_seed(0)
    first = stzoo.create("densenet_tiny", st, 3).head.weight
    torch.manual_seed(0)
    assert torch.equal(first, stzoo.create("densenet_tiny", "st", 3).head.weight)
    wide = stzoo.create("densenet_tiny", "s+t+st", 5, branches=["S", "T", "ST"]).state_dict().keys()
    assert {"S", "T", "ST"} <= {part for key in wide for part in key.split(".")}


def test_measure_counts_what_create_gives() -> None:
    net = stzoo.create("resnet_tiny", "mc3", 7)
    found = stzoo.measure("resnet_tiny", "mc3", 7, frames=4, size=32, latency=True)
    assert found["parameters"] == sum(parameter.numel() for parameter in net.parameters())
    assert set(found) == {"parameters", "multiply_adds", "activations", "latency"}
    assert set(found["latency"]) == {"milliseconds", "runs", "threads", "torch"}


@pytest.mark.parametrize("classes", [0, -1])
def test_classes_are_a_number(classes: int) -> None:
    with pytest.raises(UsageError, match="classes is how many there are"):
        stzoo.measure("densenet_tiny", classes=classes)


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match='no backbone is called "resnet5"'):
        stzoo.create("resnet5")
    with pytest.raises(UsageError, match="densenet_tiny has no option colour"):
        stzoo.create("densenet_tiny", colour=1)
    with pytest.raises(StrategyError, match="odd"):
        stzoo.create("densenet_tiny", "odd")


def test_a_new_head_has_other_classes_and_the_rest_stays() -> None:
    net = stzoo.create("densenet_tiny", "st", 3)
    net.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    nets.renew_head(net, 5)
    assert net(torch.zeros(1, 3, 4, 32, 32)).shape == (1, 5)
    assert nets.architecture(net).classes == 5
    after = net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("head."))
