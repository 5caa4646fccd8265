from __future__ import annotations

import numpy as np
import pytest
import torch

from stzoo.training.batches import Batch, TrainingClips
from stzoo.training.draws import order, uniforms
from stzoo.video.augment import DRAWS, random_clip

VIDEOS, FRAMES, CROP = 11, 3, 8


def clips(flip: bool = False) -> TrainingClips:
    """Eleven of twenty strips; the label of each is its own number, so that a batch says whom it holds."""
    strips = np.random.default_rng(0).integers(0, 256, (20, FRAMES + 3, CROP + 4, CROP + 4, 3), dtype=np.uint8)
    rows = np.random.default_rng(1).permutation(20)[:VIDEOS]
    return TrainingClips(strips, rows, np.arange(VIDEOS), FRAMES, CROP, flip)


def by_sample(batches: list[Batch]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Every sample's clip and gate draws."""
    return {
        int(label): (clip[0].numpy(), draws.numpy())
        for batch in batches
        for clip, label, draws in zip(batch.clips, batch.labels, batch.gate_draws, strict=True)
    }


def epoch(batch_size: int = 4, gates: int = 5, number: int = 0, seed: int = 0, flip: bool = False) -> list[Batch]:
    return list(clips(flip).epoch(seed, "variational", number, batch_size, gates))


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 11), (4, [4, 4, 3]), (5, [4, 4, 3]), (64, [11])])
def test_an_epoch_has_every_clip_once_in_batches_of_nearly_equal_size(batch_size: int, sizes: list[int]) -> None:
    batches = epoch(batch_size)
    assert [len(batch.labels) for batch in batches] == sizes
    assert clips().batches_an_epoch(batch_size) == len(sizes)
    labels = torch.cat([batch.labels for batch in batches])
    assert labels.tolist() == order(0, "variational", 0, VIDEOS).tolist()
    for batch in batches:
        assert batch.clips.shape[1:] == (1, FRAMES, CROP, CROP, 3)
        assert batch.clips.dtype == torch.uint8
        assert batch.gate_draws.shape[1] == 5
        assert batch.gate_draws.dtype == torch.float32


@pytest.mark.parametrize("flip", [False, True])
def test_a_sample_does_not_depend_on_its_batch(flip: bool) -> None:
    expected = by_sample(epoch(1, flip=flip))
    for batch_size in (2, 3, 64):
        found = by_sample(epoch(batch_size, flip=flip))
        for sample, (clip, draws) in expected.items():
            assert np.array_equal(found[sample][0], clip)
            assert np.array_equal(found[sample][1], draws)
    alone = clips(flip).batch(np.array([7, 2]), 0, "variational", 0, 5)
    assert np.array_equal(alone.clips[0, 0].numpy(), expected[7][0])
    assert np.array_equal(alone.gate_draws[1].numpy(), expected[2][1])


def test_gates_do_not_change_the_clips() -> None:
    without, with_gates = by_sample(epoch(gates=0)), by_sample(epoch(gates=9))
    assert all(np.array_equal(without[sample][0], with_gates[sample][0]) for sample in range(VIDEOS))
    assert without[0][1].shape == (0,)


def test_a_sample_is_its_own_strip_cut_as_its_draws_say() -> None:
    source = clips(flip=True)
    for sample, (clip, draws) in by_sample(epoch(number=3, seed=5, flip=True)).items():
        numbers = uniforms(5, "variational", 3, sample, DRAWS + 5)
        strip = source.strips[source.rows[sample]]
        assert np.array_equal(clip, random_clip(strip, numbers[:DRAWS], frames=FRAMES, crop=CROP, flip=True))
        assert np.array_equal(draws, numbers[DRAWS:].astype(np.float32))


def test_epochs_and_seeds_cut_anew() -> None:
    first = by_sample(epoch())
    for other in (epoch(number=1), epoch(seed=1), list(clips().epoch(0, "warmup", 0, 4, 5))):
        found = by_sample(other)
        assert sum(np.array_equal(first[sample][0], found[sample][0]) for sample in range(VIDEOS)) < 3
        assert not any(np.array_equal(first[sample][1], found[sample][1]) for sample in range(VIDEOS))
