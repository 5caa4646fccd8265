from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stzoo.training.best import Best


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8), st.integers(1, 4))
def test_the_first_of_the_least_is_kept_and_waited_upon(losses: list[float], patience: int) -> None:
    best, net = Best(), nn.Linear(1, 1)
    for epoch, loss in enumerate(losses, 1):
        with torch.no_grad():
            net.weight.fill_(epoch)
        best.see(epoch, loss, net)
        kept = losses.index(min(losses[:epoch])) + 1
        assert (best.epoch, best.cross_entropy, best.tensors["weight"].item()) == (kept, losses[kept - 1], kept)
        assert best.is_final(epoch, patience) == (epoch - kept >= patience)
