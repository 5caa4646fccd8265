from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stzoo.nets import Architecture
from stzoo.nets.images import Frames, Images, Portable
from stzoo.nets.layout import ChannelsLast, Volumes, laid_out
from stzoo.nets.norm import keep_statistics
from stzoo.nets.pooling import MEAN, STATISTICS, Pooling, Statistic, is_pooling
from stzoo.nets.pruning import fixed_net

ALL: tuple[Statistic, ...] = STATISTICS
SEEDS = st.integers(0, 2**31)


def pooled(x: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Before the norm that makes statistics equal in size."""
    norm = pooling.norm
    assert norm is not None
    return pooling.eval()(x) * (norm.running_var + norm.epsilon).sqrt() + norm.running_mean


def features(seed: int, frames: int, clips: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(clips, frames, 3))).float()


@given(seed=SEEDS, frames=st.integers(2, 12))
def test_the_statistics_are_those_of_numpy(seed: int, frames: int) -> None:
    x = features(seed, frames)
    clips = x.double().numpy()
    line = [np.polyfit(np.linspace(0, 1, frames), clip, 1)[0] for clip in clips]
    expected = np.concatenate([clips.mean(axis=1), clips.std(axis=1), np.array(line)], axis=1)
    np.testing.assert_allclose(pooled(x, Pooling(ALL, 3)).numpy(), expected, atol=2e-3)
    np.testing.assert_array_equal(Pooling(MEAN, 3)(x), x.mean(dim=1))


@given(seed=SEEDS, frames=st.integers(1, 12))
def test_backwards_only_the_trend_is_another_and_has_the_other_sign(seed: int, frames: int) -> None:
    x = features(seed, frames)
    forward, backward = pooled(x, Pooling(ALL, 3)), pooled(x.flip(1), Pooling(ALL, 3))
    torch.testing.assert_close(backward[:, :6], forward[:, :6])
    torch.testing.assert_close(backward[:, 6:], -forward[:, 6:], atol=1e-5, rtol=1e-5)


def test_what_stands_still_has_a_mean_alone_and_gradients_that_are_finite() -> None:
    x = features(0, 1).expand(2, 5, 3).clone().requires_grad_()
    found = pooled(x, Pooling(ALL, 3))
    torch.testing.assert_close(found[:, :3], x[:, 0])
    assert found[:, 3:].abs().max() < 2e-3
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_every_statistic_comes_to_have_the_same_size_whatever_the_features_have() -> None:
    pooling = Pooling(ALL, 3).train()
    for _ in range(60):
        found = pooling(torch.randn(64, 5, 3) * torch.tensor([2.0, 5.0, 30.0]))
    torch.testing.assert_close(found.std(dim=0, correction=0), torch.ones(9), atol=0.3, rtol=0.0)
    assert not list(pooling.parameters())
    assert not list(Pooling(MEAN, 3).buffers())


@given(seed=SEEDS, size=st.sampled_from([1, 4, 12]))
def test_batches_of_any_size_teach_the_same_statistics_which_are_those_of_all_clips(seed: int, size: int) -> None:
    pooling = Pooling(ALL, 3).train()
    norm = pooling.norm
    assert norm is not None
    norm.momentum = None
    assert not norm.has_learnt
    clips = 5.0 + features(seed, 5, 24)
    for batch in clips.split(size):
        pooling(batch)
    of_all = pooled(clips, pooling)
    torch.testing.assert_close(norm.running_mean, of_all.mean(dim=0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, of_all.var(dim=0, correction=0), atol=1e-4, rtol=1e-3)
    assert norm.has_learnt


def test_what_has_learnt_nothing_yet_is_not_kept() -> None:
    pooling = Pooling(ALL, 3).train()
    keep_statistics(pooling)
    pooling(features(0, 5))
    norm = pooling.norm
    assert norm is not None
    seen = norm.running_mean.clone()
    assert seen.abs().sum() > 0
    keep_statistics(pooling)
    pooling(features(1, 5))
    assert torch.equal(norm.running_mean, seen)


@pytest.mark.parametrize("names", [(), ("mean", "mean"), ("median",), (1,), (["mean"],)])
def test_no_other_pooling_is_one(names: tuple[object, ...]) -> None:
    assert not is_pooling(names)


@pytest.mark.parametrize("backbone", ["densenet_tiny", "resnet_tiny", "mobilenet_v2_tiny", "mobilenet_v4_tiny"])
def test_a_net_gives_the_same_in_every_layout(backbone: str) -> None:
    shape = Architecture(backbone, 5, {"pooling": ["mean", "trend", "deviation"]})
    net = fixed_net(shape, shape.uniform("ST")).eval()
    clips = torch.randn(2, 3, 4, 32, 32)
    found = []
    for layout in (ChannelsLast(), Volumes(), Images(2), Frames(2), Portable(2)):
        with laid_out(layout), torch.inference_mode():
            found.append(net(clips))
    assert net.head.in_features == 3 * fixed_net(Architecture(backbone, 5, {}), shape.all_open).head.in_features
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-4, rtol=1e-4)
