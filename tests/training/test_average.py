from __future__ import annotations

import pytest
import torch
from torch import nn

from stzoo.training.average import Average


def test_an_average_forgets_its_start_and_then_follows_slowly() -> None:
    net = nn.BatchNorm1d(1)
    average = Average(net, 0.5)
    expected = 1.0
    for steps in range(1, 30):
        with torch.no_grad():
            net.weight.fill_(float(steps))
        net.num_batches_tracked.fill_(steps)
        average.follow(net, steps)
        decay = min(0.5, (1 + steps) / (10 + steps))
        expected = decay * expected + (1 - decay) * steps
        assert average.tensors["weight"].item() == pytest.approx(expected)
    assert average.tensors["num_batches_tracked"] == 29
    with average.shown(net):
        assert net.weight.item() == pytest.approx(expected)
    assert net.weight.item() == 29.0
