from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stzoo.contract import InputContract
from stzoo.errors import TrainingError
from stzoo.inference import video_scores
from stzoo.nets import Architecture, fixed_net
from stzoo.ranks import Ranks
from stzoo.recipe import Compute, Recipe
from stzoo.strategies.strategy import Strategy
from stzoo.training.machine import Machine, machine_of, multiplies_bfloat16, settled, shared_scores

CPU = torch.device("cpu")


@given(st.integers(1, 200), st.integers(0, 40), st.integers(1, 9))
def test_passes_of_all_processes_are_those_of_one(batch: int, micro_batch: int, count: int) -> None:
    samples = np.random.default_rng(0).permutation(batch)
    of_ranks = [
        Machine(CPU, micro_batch=micro_batch, ranks=Ranks(rank, count)).passes(samples) for rank in range(count)
    ]
    of_one = Machine(CPU, micro_batch=micro_batch * count).passes(samples)
    assert len({len(passes) for passes in of_ranks}) == 1
    together = [np.concatenate(parts) for parts in zip(*of_ranks, strict=True)]
    assert [part.tolist() for part in together] == [part.tolist() for part in of_one]
    assert np.concatenate(together).tolist() == samples.tolist()
    sizes = [len(part) for passes in of_ranks for part in passes]
    assert max(sizes) <= (micro_batch or -(-batch // count))
    assert all(max(map(len, parts)) - min(map(len, parts)) <= 1 for parts in zip(*of_ranks, strict=True))


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_processes_share_the_videos_that_a_net_is_scored_on(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five videos some processes get none."""
    contract = InputContract(frames=2, fps=5.0, resize=32, crop=32)
    clips = np.random.default_rng(0).integers(0, 256, (5, 1, 2, 32, 32, 3), dtype=np.uint8)
    architecture = Architecture("densenet_tiny", 3, {})
    net = fixed_net(architecture, architecture.all_open).eval()
    expected = video_scores(net, clips, contract)
    shares: list[np.ndarray] = []

    def of_all(_: Ranks, share: np.ndarray | None) -> list[np.ndarray | None]:
        shares.extend([] if share is None else [share])
        return [None, expected]

    monkeypatch.setattr(Ranks, "of_all", of_all)
    finished: list[int] = []
    for rank in range(count):
        scores = shared_scores(net, clips, contract, Machine(CPU, ranks=Ranks(rank, count)), 2, finished.append)
        np.testing.assert_array_equal(scores, expected)
    np.testing.assert_allclose(np.concatenate(shares), expected, atol=1e-6)
    assert sum(finished) == 5


def test_processes_are_joined_as_the_oldest_torch_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch 2.13 renamed the argument that says whether buffers are sent before every pass, and not the attribute."""

    def joined(module: nn.Module, device_ids: list[torch.device] | None) -> SimpleNamespace:
        return SimpleNamespace(module=module, device_ids=device_ids, broadcast_buffers=True)

    monkeypatch.setattr("stzoo.training.machine.DistributedDataParallel", joined)
    architecture = Architecture("densenet_tiny", 3, {})
    net = fixed_net(architecture, architecture.all_open)
    with Machine(CPU, ranks=Ranks(1, 2)).training(net) as called:
        assert called == SimpleNamespace(module=net, device_ids=None, broadcast_buffers=False)


def test_a_gpu_that_is_not_there_is_refused(smoke: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    compute = smoke.compute.model_copy(update={"device": "cuda:0"})
    with pytest.raises(TrainingError, match="finds no GPU"):
        machine_of(compute)


@pytest.mark.parametrize(
    ("flags", "device", "backbone", "precision"),
    [
        ({"amx_bf16": True}, "cpu", "densenet121", "bfloat16"),
        ({"avx512_bf16": True}, "cpu", "mobilenet_v4_tiny", "bfloat16"),
        ({"avx512_f": True, "avx512_bf16": False}, "cpu", "densenet121", "float32"),
        ({}, "cpu", "densenet121", "float32"),
        ({"amx_bf16": True}, "cuda", "densenet121", "float32"),
        ({"amx_bf16": True}, "cpu", "s3d", "float32"),
        ({"amx_bf16": True}, "cpu", "timm:efficientnet_lite0", "float32"),
    ],
)
def test_a_precision_left_open_is_that_which_the_processor_is_made_for(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], device: str, backbone: str, precision: str
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: flags)
    assert settled(Compute(), backbone, torch.device(device)).precision == precision
    for said in ("float32", "bfloat16", "float16"):
        assert settled(Compute(precision=said), backbone, torch.device(device)).precision == said


def test_what_torch_says_of_this_processor_is_what_linux_says() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists() or "flags" not in (text := cpuinfo.read_text(encoding="utf-8")):
        pytest.skip("no flags of the processor to read")
    assert multiplies_bfloat16() == bool({"amx_bf16", "avx512_bf16"} & set(text.split()))


def test_batch_norms_of_torchvision_train_in_one_process(small_swin: Path) -> None:
    several = Machine(CPU, ranks=Ranks(0, 2))
    with (
        pytest.raises(TrainingError, match="trains in one process, not in 2"),
        several.training(fixed_net(Architecture("mc3_18", 3, {}), Strategy("mc3_18", {}))),
    ):
        pass
    with Machine(CPU).training(fixed_net(Architecture("swin_small", 3, {}), Strategy("swin_small", {}))) as forward:
        assert forward(torch.zeros(1, 3, 4, 32, 32)).shape == (1, 3)
