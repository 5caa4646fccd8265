from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stzoo.contract import InputContract
from stzoo.data.broken import Cap
from stzoo.data.datasets import Item
from stzoo.errors import DataError
from stzoo.training import batches as module
from stzoo.training.batches import Batch, DecodedClips, Noise, TrainingClips
from stzoo.training.draws import Draws
from stzoo.video.augment import DRAWS, Cut, random_clip, read_random_clip
from tests.conftest import MakeVideo

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
    return list(clips(flip).epoch(Draws(seed, "variational", number), batch_size, Noise(gates)))


def test_frames_are_seen_in_the_order_of_their_sample() -> None:
    given, draws, samples = clips(), Draws(0, "warmup", 3), np.arange(3)
    turned = dataclasses.replace(given, orders=["given", "reversed", "shuffled"] + ["given"] * (VIDEOS - 3))
    plain, seen = given.batch(samples, draws).clips[:, 0], turned.batch(samples, draws).clips[:, 0]
    assert torch.equal(seen[0], plain[0])
    assert torch.equal(seen[1], plain[1].flip(0))
    assert torch.equal(seen[2].sort(dim=0).values, plain[2].sort(dim=0).values)
    mixings = {
        tuple(turned.batch(np.array([2]), Draws(0, "warmup", epoch)).clips.flatten().tolist()) for epoch in range(9)
    }
    assert len(mixings) > 1


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 11), (4, [4, 4, 3]), (5, [4, 4, 3]), (64, [11])])
def test_an_epoch_has_every_clip_once_in_batches_of_nearly_equal_size(batch_size: int, sizes: list[int]) -> None:
    batches = epoch(batch_size)
    assert [len(batch.labels) for batch in batches] == sizes
    assert clips().batches_an_epoch(batch_size) == len(sizes)
    labels = torch.cat([batch.labels for batch in batches])
    assert labels.tolist() == Draws(0, "variational", 0).order(VIDEOS).tolist()
    for batch in batches:
        assert batch.clips.shape[1:] == (1, FRAMES, CROP, CROP, 3)
        assert batch.clips.dtype == torch.uint8
        assert batch.gate_draws.shape[1] == 5
        assert batch.gate_draws.dtype == torch.float32


@pytest.mark.parametrize("flip", [False, True])
def test_a_sample_does_not_depend_on_its_batch(flip: bool) -> None:
    expected = by_sample(epoch(1, flip=flip))
    for batch_size in (2, 3, 64):
        again = by_sample(epoch(batch_size, flip=flip))
        for sample, (clip, draws) in expected.items():
            assert np.array_equal(again[sample][0], clip)
            assert np.array_equal(again[sample][1], draws)
    alone = clips(flip).batch(np.array([7, 2]), Draws(0, "variational", 0), Noise(5))
    assert np.array_equal(alone.clips[0, 0].numpy(), expected[7][0])
    assert np.array_equal(alone.gate_draws[1].numpy(), expected[2][1])


def test_gates_do_not_change_the_clips() -> None:
    without, with_gates = by_sample(epoch(gates=0)), by_sample(epoch(gates=9))
    assert all(np.array_equal(without[sample][0], with_gates[sample][0]) for sample in range(VIDEOS))
    assert without[0][1].shape == (0,)


def test_a_balanced_epoch_cuts_a_rare_class_anew_each_time(items: list[Item]) -> None:
    draws = Draws(0, "fixed", 1)
    rare = dataclasses.replace(clips(), labels=np.array([1, *[0] * (VIDEOS - 1)]), balance=True)
    batches = list(rare.epoch(draws, 4))
    assert sum(len(batch.labels) for batch in batches) == VIDEOS
    again = np.concatenate([batch.clips.numpy() for batch in batches])[np.concatenate([b.labels for b in batches]) == 1]
    assert len(again) in (VIDEOS // 2, VIDEOS // 2 + 1)
    assert len(np.unique(again.reshape(len(again), -1), axis=0)) > 1
    seen = [int(label) for batch in decoded(items, balance=True).epoch(draws, 2) for label in batch.labels]
    assert len(seen) == len(items)


def test_a_sample_is_its_own_strip_cut_as_its_draws_say() -> None:
    source = clips(flip=True)
    for sample, (clip, draws) in by_sample(epoch(number=3, seed=5, flip=True)).items():
        numbers = Draws(5, "variational", 3).uniforms(sample, DRAWS + 5)
        strip = source.strips[source.rows[sample]]
        assert np.array_equal(clip, random_clip(strip, numbers[:DRAWS], frames=FRAMES, crop=CROP, flip=True))
        assert np.array_equal(draws, numbers[DRAWS:].astype(np.float32))


@pytest.mark.parametrize("passes", [1, 2, 4])
def test_the_next_batch_is_cut_while_one_is_trained_on(passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All passes of it."""
    cut, second = [], threading.Event()

    def noting(strip: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        cut.append(len(cut))
        if len(cut) == 8:
            second.set()
        return random_clip(strip, *args, **kwargs)

    monkeypatch.setattr(module, "random_clip", noting)
    batches = clips().epoch(Draws(0, "variational", 0), 4, divide=lambda batch: np.array_split(batch, passes))
    for _ in range(passes):
        next(batches)
        assert second.wait(timeout=120)
        time.sleep(0.02)
        assert len(cut) == 8, "the third waits until the first is done with"
    batches.close()


def test_what_goes_wrong_in_cutting_is_raised_where_the_clips_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads end with the epoch, however it ends."""
    threads, calls = threading.active_count(), iter(range(99))

    def failing(strip: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        if next(calls) == 9:
            raise OSError("the disk is gone")
        return random_clip(strip, *args, **kwargs)

    monkeypatch.setattr(module, "random_clip", failing)
    batches = clips().epoch(Draws(0, "variational", 0), 4)
    assert [len(next(batches).labels) for _ in range(2)] == [4, 4]
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)
    assert threading.active_count() == threads


def test_epochs_and_seeds_cut_anew() -> None:
    first = by_sample(epoch())
    for other in (epoch(number=1), epoch(seed=1), list(clips().epoch(Draws(0, "warmup", 0), 4, Noise(5)))):
        its_clips = by_sample(other)
        assert sum(np.array_equal(first[sample][0], its_clips[sample][0]) for sample in range(VIDEOS)) < 3
        assert not any(np.array_equal(first[sample][1], its_clips[sample][1]) for sample in range(VIDEOS))


def test_a_mirrored_clip_of_left_is_one_of_right() -> None:
    """Classes 0 and 1 change places, 2 is its own mirror image, 3 must not be mirrored."""
    source = clips(flip=True)
    labels = np.arange(VIDEOS) % 4
    aware = TrainingClips(source.strips, source.rows, labels, FRAMES, CROP, True, mirrored=(1, 0, 2, None))
    plain = TrainingClips(source.strips, source.rows, labels, FRAMES, CROP)
    samples = np.arange(VIDEOS)
    seen, flipped, straight = (one.batch(samples, Draws(1, "warmup", 0)) for one in (aware, source, plain))
    turned = [Draws(1, "warmup", 0).uniforms(sample, DRAWS)[3] < 0.5 for sample in range(VIDEOS)]
    assert set(labels[turned]) == {0, 1, 2, 3}
    assert not all(turned)
    for sample, label in enumerate(labels.tolist()):
        expected = (flipped if label < 3 else straight).clips[sample]
        assert torch.equal(seen.clips[sample], expected)
        assert int(seen.labels[sample]) == ((1, 0, 2, 3)[label] if turned[sample] else label)


CUT = Cut(InputContract(frames=FRAMES, stride_frames=2, resize=16, crop=CROP), (10, 16), flip=True, random_stride=True)


@pytest.fixture
def items(make_video: MakeVideo) -> list[Item]:
    return [Item(make_video(f"{i}.mp4", 8 + i, width=40 + 2 * i), i) for i in range(6)]


def decoded(items: list[Item], **options: object) -> DecodedClips:
    said = options.pop("said", [])
    cap = Cap(options.pop("max_broken", 0.5), len(items))
    return DecodedClips(items, CUT, cap, said.append, **options)


def test_decoded_clips_do_not_depend_on_batches_or_processes(items: list[Item]) -> None:
    expected = by_sample(list(decoded(items).epoch(Draws(3, "fixed", 2), 6, Noise(5))))
    for sample, (clip, gates) in expected.items():
        numbers = Draws(3, "fixed", 2).uniforms(sample, CUT.draws + 5)
        assert np.array_equal(clip, read_random_clip(items[sample].video, CUT, numbers[: CUT.draws]))
        assert np.array_equal(gates, numbers[CUT.draws :].astype(np.float32))
    for workers, batch_size in ((1, 4), (2, 2)):
        source = decoded(items, workers=workers)
        batches = list(source.epoch(Draws(3, "fixed", 2), batch_size, Noise(5)))
        assert torch.cat([batch.labels for batch in batches]).tolist() == Draws(3, "fixed", 2).order(6).tolist()
        assert len(batches) == source.batches_an_epoch(batch_size)
        for sample, (clip, gates) in by_sample(batches).items():
            assert np.array_equal(clip, expected[sample][0])
            assert np.array_equal(gates, expected[sample][1])


def test_batches_of_processes_are_those_of_this_one(items: list[Item], tmp_path: Path) -> None:
    """Also with one left out; each is its own, so that all can be kept."""
    items[4] = Item(tmp_path / "missing.mp4", 4)

    def batches(workers: int) -> list[Batch]:
        source = decoded(items, workers=workers, erase=0.5)
        parts = source.epoch(Draws(1, "fixed", 1), 4, Noise(2, 3), lambda batch: np.array_split(batch, 2))
        return [*parts, source.batch(np.arange(6), Draws(2, "fixed", 0))]

    for one, other in zip(batches(1), batches(2), strict=True):
        for part in dataclasses.fields(Batch):
            assert np.array_equal(getattr(one, part.name), getattr(other, part.name)), part.name


def test_an_epoch_that_is_left_ends_its_threads(items: list[Item]) -> None:
    threads = threading.active_count()
    batches = decoded(items * 4, workers=2).epoch(Draws(0, "fixed", 0), 2)
    next(batches)
    assert threading.active_count() > threads
    with pytest.raises(KeyboardInterrupt):
        batches.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert threading.active_count() == threads


def test_a_video_that_cannot_be_read_is_left_out_and_said_once(items: list[Item], tmp_path: Path) -> None:
    items[2:4] = [Item(tmp_path / "missing.mp4", 2), Item(tmp_path / "gone.mp4", 3)]
    said: list[str] = []
    source = decoded(items, said=said)
    for number in range(2):
        batches = [batch for batch in source.epoch(Draws(0, "fixed", number), 1) if len(batch.labels)]
        assert sorted(int(batch.labels[0]) for batch in batches) == [0, 1, 4, 5]
    assert sorted(said) == [
        f"left out: {tmp_path / name} does not exist; check the path." for name in ("gone.mp4", "missing.mp4")
    ]
    assert len(source.batch(np.array([2, 3]), Draws(0, "fixed", 0)).labels) == 0
    with pytest.raises(DataError, match=r"2 of 6 videos cannot be read, more than 20\.0%"):
        list(decoded(items, max_broken=0.2).epoch(Draws(0, "fixed", 0), 4))


def test_decoded_clips_change_their_class_when_they_are_mirrored(
    items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in for the reader paints a clip with whether it may be mirrored."""
    monkeypatch.setattr(
        module, "clip_or_reason", lambda video, cut, draws: np.full((FRAMES, CROP, CROP, 3), cut.flip, np.uint8)
    )
    mirrored = (1, 0, 2, None, 5, 4)
    batch = decoded(items, mirrored=mirrored).batch(np.arange(6), Draws(1, "fixed", 0))
    assert batch.clips[:, 0, 0, 0, 0, 0].tolist() == [1, 1, 1, 0, 1, 1]
    for sample, label in enumerate(batch.labels.tolist()):
        turned = Draws(1, "fixed", 0).uniforms(sample, CUT.draws)[3] < 0.5
        assert label == (mirrored[sample] if turned and mirrored[sample] is not None else sample)


def test_both_sources_erase_a_part_of_clips_and_leave_their_draws_alone(items: list[Item]) -> None:
    draws, samples = Draws(0, "warmup", 0), np.arange(3)
    for plain in (clips(), decoded(items)):
        erased = dataclasses.replace(plain, erase=0.999)
        before, after = plain.batch(samples, draws), erased.batch(samples, draws)
        assert not torch.equal(before.clips, after.clips)
        assert np.array_equal(before.mixing_draws, after.mixing_draws)
        assert before.mixing_draws.shape == (3, 4)
