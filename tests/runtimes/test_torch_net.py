from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.runtimes.torch_net import TorchNet, torch_device

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


def test_the_scores_of_a_video_are_the_mean_over_its_clips() -> None:
    clips = np.random.default_rng(0).integers(0, 256, (5, 2, 8, 8, 3), np.uint8)
    net = TorchNet(Mean(), "cpu")
    scores = net.scores(clips, CONTRACT)
    assert scores.dtype == np.float64
    one_by_one = [net.scores(clip[None], CONTRACT) for clip in clips]
    np.testing.assert_allclose(scores, np.mean(one_by_one, axis=0), atol=1e-12)
    assert scores.sum() == pytest.approx(1)
