from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stzoo.contract import InputContract
from stzoo.errors import BundleError
from stzoo.prediction.predictor import Predictor
from stzoo.serving.batching import Batcher

CONTRACT = InputContract(frames=2, fps=5.0, clips=2, resize=8, crop=8)


class Held(nn.Module):
    """The mean of a clip, once it may begin."""

    def __init__(self) -> None:
        super().__init__()
        self.may_begin = threading.Event()

    def forward(self, clips: Tensor) -> Tensor:
        assert self.may_begin.wait(30)
        mean = clips.mean(dim=(1, 2, 3, 4))
        return torch.stack([mean, torch.where(mean > 2, torch.nan, 0.0)], dim=1)


def clips(grey: int) -> np.ndarray:
    return np.full((2, 2, 8, 8, 3), grey, np.uint8)


def test_videos_that_wait_are_run_together_and_each_gets_its_own_answer() -> None:
    net = Held()
    predictor = Predictor(net, CONTRACT, ("a", "b"), "held", "cpu")
    sizes: list[int] = []
    batcher = Batcher(predictor, 3, sizes.append)
    began = time.perf_counter()
    asked = [batcher.ask(clips(20 * number)) for number in range(6)]
    assert asked[5].cancel()
    net.may_begin.set()
    answers = [one.result(30) for one in asked[:5]]
    batcher.close()
    # What waited for the first three to be run has not run meanwhile.
    assert answers[0].seconds + answers[4].seconds <= time.perf_counter() - began
    for number, answer in enumerate(answers):
        np.testing.assert_allclose(answer.scores, predictor.scores_of_each_net(clips(20 * number)), atol=1e-6)
    assert sum(sizes) == 5
    assert max(sizes) == 3


def test_an_answer_that_is_none_reaches_who_asked_and_the_next_is_served() -> None:
    net = Held()
    net.may_begin.set()
    batcher = Batcher(Predictor(net, CONTRACT, ("a", "b"), "held", "cpu"), 1)
    with pytest.raises(BundleError, match="the net held answers with numbers that are not finite"):
        batcher.ask(clips(255)).result(30)
    assert batcher.ask(clips(0)).result(30).scores.shape == (1, 2)
    batcher.close()
