from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stzoo.training.mixing import Mixed, Mixing

CLIPS, CLASSES = 5, 4

draws = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((CLIPS, 4)))
amounts = st.floats(0.1, 10)


def inputs() -> Tensor:
    """Clips whose every value is their own number."""
    return torch.arange(CLIPS, dtype=torch.float32)[:, None, None, None, None].expand(CLIPS, 3, 2, 8, 6).clone()


@given(draws, amounts)
def test_mixup_blends_a_clip_with_the_next_one_by_its_share(drawn: np.ndarray, amount: float) -> None:
    mixed = Mixing(mixup=amount)(inputs(), drawn)
    own = inputs()
    share = mixed.shares[:, None, None, None, None]
    assert torch.allclose(mixed.inputs, share * own + (1 - share) * own.roll(-1, 0), atol=1e-5)


@given(draws, amounts)
def test_cutmix_takes_one_rectangle_for_all_frames_and_counts_its_pixels(drawn: np.ndarray, amount: float) -> None:
    mixed = Mixing(cutmix=amount)(inputs(), drawn)
    is_own = mixed.inputs == inputs()
    is_other = mixed.inputs == inputs().roll(-1, 0)
    assert bool((is_own | is_other).all())
    assert torch.equal(is_own, is_own[:, :1, :1].expand_as(is_own))
    assert torch.allclose(is_own.float().mean((1, 2, 3, 4)), mixed.shares, atol=1e-6)
    for clip in is_other[:, 0, 0]:
        rows, columns = clip.any(1), clip.any(0)
        assert torch.equal(clip, rows[:, None] & columns[None])


@given(draws)
def test_of_both_each_clip_takes_one(drawn: np.ndarray) -> None:
    mixed = Mixing(mixup=0.7, cutmix=0.9)(inputs(), drawn)
    cut, blended = Mixing(cutmix=0.9)(inputs(), drawn), Mixing(mixup=0.7)(inputs(), drawn)
    by_rectangle = torch.from_numpy(drawn[:, 0] < 0.5)
    assert torch.equal(mixed.shares, torch.where(by_rectangle, cut.shares, blended.shares))
    assert torch.equal(mixed.inputs[by_rectangle], cut.inputs[by_rectangle])
    assert torch.equal(mixed.inputs[~by_rectangle], blended.inputs[~by_rectangle])


def test_shares_are_drawn_from_the_beta_distribution() -> None:
    drawn = np.random.default_rng(0).random((4000, 4))
    shares = Mixing(mixup=0.4)(torch.zeros(4000, 3, 1, 1, 1), drawn).shares
    assert shares.mean().item() == pytest.approx(0.5, abs=0.02)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.05)


def test_without_mixing_clips_and_loss_are_the_plain_ones() -> None:
    mixed = Mixing()(inputs(), np.random.default_rng(0).random((CLIPS, 4)))
    assert torch.equal(mixed.inputs, inputs())
    assert mixed.shares is None
    logits, labels = torch.randn(CLIPS, CLASSES, generator=torch.Generator().manual_seed(0)), torch.arange(CLIPS) % 4
    plain = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=0.1)
    assert mixed.cross_entropy(logits, labels, 0.1).item() == pytest.approx(plain.item(), rel=1e-6)


@given(draws)
def test_the_loss_is_that_of_mixed_targets(drawn: np.ndarray) -> None:
    shares = torch.from_numpy(drawn[:, 0]).float()
    logits, labels = torch.from_numpy(drawn @ np.ones((4, CLASSES)) * drawn).float(), torch.arange(CLIPS) % CLASSES
    hot = torch.eye(CLASSES)[labels]
    targets = shares[:, None] * hot + (1 - shares[:, None]) * hot.roll(-1, 0)
    expected = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=0.1)
    assert Mixed(inputs(), shares).cross_entropy(logits, labels, 0.1).item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("clips", [0, 1])
def test_a_pass_without_a_second_clip_stays_as_it_is(clips: int) -> None:
    drawn = np.full((clips, 4), 0.3)
    for mixing in (Mixing(mixup=1.0), Mixing(cutmix=1.0)):
        mixed = mixing(inputs()[:clips], drawn)
        assert torch.allclose(mixed.inputs, inputs()[:clips])
        assert len(mixed.shares) == clips
