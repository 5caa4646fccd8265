from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.runtimes.torch_net import TorchNet, torch_device

ROOT = Path(__file__).parents[2]
CONTRACT = InputContract(frames=2, stride_frames=1, resize=8, crop=8)


class Mean(nn.Module):
    """Logits that say how bright each colour is."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips.mean(dim=(2, 3, 4))


def test_a_device_is_the_one_asked_for_or_there_is_none() -> None:
    assert torch_device("cpu") == torch.device("cpu")
    assert torch_device(None) == torch_device("auto")
    with pytest.raises(UsageError, match='no device "gpu"; choose auto, cpu or cuda'):
        torch_device("gpu")
    with pytest.raises(UsageError, match="no such GPU here"):
        torch_device(f"cuda:{torch.cuda.device_count()}")


@pytest.mark.parametrize("device", ["meta", "mps", "xpu", "hpu", "vulkan"])
def test_a_device_that_this_torch_cannot_use_is_refused(device: str) -> None:
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("it can")
    with pytest.raises(UsageError, match=f"torch cannot use the device {device} here; choose auto, cpu or cuda"):
        torch_device(device)


FORKED = """
import multiprocessing, numpy, torch
from stzoo.errors import UsageError
from tests.runtimes.test_torch_net import CONTRACT, Mean, TorchNet

torch.set_num_threads(2)
net, clips = TorchNet(Mean(), "cpu"), numpy.zeros((1, 2, 8, 8, 3), numpy.uint8)

def predict(threads):
    torch.set_num_threads(threads)
    try:
        return net.scores(clips, CONTRACT).shape
    except UsageError as error:
        return str(error)

fork = multiprocessing.get_context("fork")
for uses in (0, 1):
    if uses:
        net.scores(clips, CONTRACT)
    with fork.Pool(1) as pool:
        print([pool.apply_async(predict, (threads,)).get(60) for threads in (1, 2)[uses:]])
    with fork.Pool(1) as pool:
        print(pool.apply_async(predict, (1,)).get(60))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_net_that_was_used_before_a_fork_says_so_and_does_not_hang() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=300, check=True, cwd=ROOT
    )
    unused, alone, used, one_thread = done.stdout.splitlines()
    assert unused == "[(3,), (3,)]"
    assert alone == one_thread == "(3,)"
    assert 'would wait for its threads for ever; start it with "spawn"' in used


def test_the_scores_of_a_video_are_the_mean_over_its_clips() -> None:
    clips = np.random.default_rng(0).integers(0, 256, (5, 2, 8, 8, 3), np.uint8)
    net = TorchNet(Mean(), "cpu")
    scores = net.scores(clips, CONTRACT)
    assert scores.dtype == np.float64
    one_by_one = [net.scores(clip[None], CONTRACT) for clip in clips]
    np.testing.assert_allclose(scores, np.mean(one_by_one, axis=0), atol=1e-12)
    assert scores.sum() == pytest.approx(1)
