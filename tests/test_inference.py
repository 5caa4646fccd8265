from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.inference import to_input, video_scores
from stzoo.nets import Architecture
from stzoo.video.frames import normalise

CONTRACT = InputContract(frames=2, fps=5.0, resize=32, crop=32, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))


def videos(count: int = 5, clips: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, clips, 2, 32, 32, 3), dtype=np.uint8)


def net() -> nn.Module:
    torch.manual_seed(0)
    shape = Architecture("densenet_tiny", 4, {})
    return nets.fixed_net(shape, shape.uniform("S+ST"))


def test_input_is_pixels_normalised_by_colour_with_channels_first() -> None:
    clips = videos(1)[0]
    volumes = to_input(torch.from_numpy(clips), CONTRACT)
    assert volumes.shape == (3, 3, 2, 32, 32)
    assert volumes.dtype == torch.float32
    expected = (clips / 255.0 - np.array(CONTRACT.mean)) / np.array(CONTRACT.std)
    np.testing.assert_allclose(volumes.numpy(), expected.transpose(0, 4, 1, 2, 3), atol=1e-5)
    np.testing.assert_allclose(volumes.numpy(), normalise(clips, CONTRACT), atol=1e-6)


def test_scores_are_the_mean_over_clips_of_the_softmax() -> None:
    fixed_net, clips = net().eval(), videos()
    scores = video_scores(fixed_net, clips, CONTRACT)
    assert scores.shape == (5, 4)
    assert scores.dtype == np.float32
    with torch.no_grad():
        logits = torch.stack([fixed_net(to_input(torch.from_numpy(video), CONTRACT)) for video in clips])
    expected = (logits.exp() / logits.exp().sum(-1, keepdim=True)).mean(1)
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(scores.sum(1), 1.0, atol=1e-5)


@pytest.mark.parametrize(("at_once", "steps"), [(1, [1] * 5), (2, [1] * 5), (7, [2, 2, 1]), (64, [5])])
def test_scores_do_not_depend_on_how_many_clips_fit(at_once: int, steps: list[int]) -> None:
    """Videos of three clips."""
    fixed_net, finished, seen = net().eval(), [], []

    def counted(clips: Tensor) -> Tensor:
        seen.append(len(clips))
        return fixed_net(clips)

    scores = video_scores(counted, videos(), CONTRACT, at_once=at_once, advance=finished.append)
    np.testing.assert_allclose(scores, video_scores(fixed_net, videos(), CONTRACT), atol=1e-6)
    assert finished == steps
    assert max(seen) <= at_once
    assert sum(seen) == 15


def test_any_function_of_clips_is_scored() -> None:
    seen: list[tuple[int, ...]] = []

    def constant(clips: Tensor) -> Tensor:
        seen.append(tuple(clips.shape))
        return torch.tensor([0.0, 2.0]).repeat(len(clips), 1).half()

    scores = video_scores(constant, videos(), CONTRACT, at_once=12)
    np.testing.assert_allclose(scores, np.tile([[0.1192, 0.8808]], (5, 1)), atol=1e-4)
    assert seen == [(12, 3, 2, 32, 32), (3, 3, 2, 32, 32)]


def test_read_only_clips_can_be_scored() -> None:
    clips = videos()
    clips.flags.writeable = False
    assert video_scores(net().eval(), clips, CONTRACT).shape == (5, 4)


def test_a_template_and_a_net_in_training_are_refused() -> None:
    with pytest.raises(UsageError, match="a template has random outputs and cannot be evaluated; prune"):
        video_scores(nets.template("densenet_tiny", 4).eval(), videos(), CONTRACT)
    fixed_net = net()
    before = copy.deepcopy(fixed_net.state_dict())
    with pytest.raises(UsageError, match="training mode"):
        video_scores(fixed_net.train(), videos(), CONTRACT)
    assert all(torch.equal(value, before[name]) for name, value in fixed_net.state_dict().items())
