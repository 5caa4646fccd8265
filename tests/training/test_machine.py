from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stzoo.nets import Architecture, fixed_net
from stzoo.ranks import Ranks
from stzoo.training.machine import Machine

CPU = torch.device("cpu")


@given(st.integers(1, 200), st.integers(0, 40), st.integers(1, 9))
def test_passes_of_all_processes_are_those_of_one(batch: int, micro_batch: int, count: int) -> None:
    chosen = np.random.default_rng(0).permutation(batch)
    of_ranks = [Machine(CPU, micro_batch=micro_batch, ranks=Ranks(rank, count)).passes(chosen) for rank in range(count)]
    of_one = Machine(CPU, micro_batch=micro_batch * count).passes(chosen)
    assert len({len(passes) for passes in of_ranks}) == 1
    together = [np.concatenate(parts) for parts in zip(*of_ranks, strict=True)]
    assert [part.tolist() for part in together] == [part.tolist() for part in of_one]
    assert np.concatenate(together).tolist() == chosen.tolist()
    sizes = [len(part) for passes in of_ranks for part in passes]
    assert max(sizes) <= (micro_batch or -(-batch // count))
    assert all(max(map(len, parts)) - min(map(len, parts)) <= 1 for parts in zip(*of_ranks, strict=True))


def test_processes_are_joined_as_the_oldest_torch_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch 2.13 renamed the argument that says whether buffers are sent before every pass."""

    def joined(module: nn.Module, device_ids: list[torch.device] | None) -> list[object]:
        return [module, device_ids]

    monkeypatch.setattr("stzoo.training.machine.DistributedDataParallel", joined)
    architecture = Architecture("densenet_tiny", 3, {})
    net = fixed_net(architecture, architecture.all_open)
    with Machine(CPU, ranks=Ranks(1, 2)).training(net) as called:
        assert called == [net, None]
