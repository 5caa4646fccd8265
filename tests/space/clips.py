"""A template with uneven gates, and clips of noise to compare its strategies on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.inference import to_input
from stzoo.nets.densenet import DENSENET_TINY
from stzoo.nets.fusion import named_gates
from stzoo.space.one_shot import SelectionClips

CONTRACT = InputContract(frames=2, fps=5.0, resize=32, crop=32)
VIDEOS, CLASSES = 7, 3


def make_template(shift: float = 0.0, certain: bool = False) -> nn.Module:
    """Gates with drop rates around one half, or the same two strategies again and again."""
    torch.manual_seed(0)
    template = nets.template("densenet_tiny", CLASSES)
    with torch.no_grad():
        for index, (site, _, gate, _) in enumerate(named_gates(template)):
            gate.logit.fill_(0.2 * (index % 7) - 0.6 + shift)
            if certain and site != "B1.L1":
                gate.logit.fill_(-30.0)
    return template.eval()


def data(calibrated: bool = True, videos: int = VIDEOS, at_once: int = 64) -> SelectionClips:
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (videos, 1, 2, 32, 32, 3), dtype=np.uint8)
    training = torch.from_numpy(rng.integers(0, 256, (8, 2, 32, 32, 3), dtype=np.uint8))

    def calibration() -> Iterator[Tensor]:
        for part in training.split(4):
            yield to_input(part, CONTRACT)

    labels = np.arange(videos) % CLASSES
    device = torch.device("cpu")
    return SelectionClips(clips, labels, CONTRACT, device, calibration if calibrated else None, at_once)


@contextlib.contextmanager
def with_small_backbone() -> Iterator[None]:
    """Within it there is a backbone `densenet_small` of three sites: a dense layer, a transition, a dense layer."""
    sizes = replace(DENSENET_TINY, block_layers=(1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(nets.BACKBONES, "densenet_small", replace(nets.BACKBONES["densenet_tiny"], sizes=sizes))
        yield


@pytest.fixture(scope="module")
def small_backbone() -> Iterator[None]:
    with with_small_backbone():
        yield


def make_small_template() -> nn.Module:
    """A template of `densenet_small`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nets.template("densenet_small", CLASSES, initial_drop=0.3).eval()
