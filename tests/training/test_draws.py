from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stzoo.training.draws import Draws

seeds = st.integers(0, 2**63 - 1)
stages = st.sampled_from(["warmup", "variational", "finetune", "fixed", "selection"])
epochs = st.integers(0, 10_000)
samples = st.integers(0, 2**40)
all_draws = st.builds(Draws, seeds, stages, epochs)


@given(all_draws, st.integers(0, 300))
def test_an_order_visits_everything_once_and_is_always_the_same(draws: Draws, count: int) -> None:
    order = draws.order(count)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(count))
    assert np.array_equal(order, draws.order(count))


@given(all_draws, samples, st.integers(0, 40), st.integers(0, 40))
def test_draws_do_not_depend_on_how_many_are_taken(draws: Draws, sample: int, few: int, more: int) -> None:
    whole = draws.uniforms(sample, few + more)
    assert np.array_equal(whole[:few], draws.uniforms(sample, few))
    assert ((whole >= 0.0) & (whole < 1.0)).all()


@settings(max_examples=50)
@given(seeds.filter(lambda seed: seed < 2**63 - 1), st.integers(0, 1000), st.integers(0, 10**6))
def test_every_seed_stage_epoch_and_sample_draws_anew(seed: int, epoch: int, sample: int) -> None:
    drawn = [
        Draws(one_seed, stage, one_epoch).uniforms(one_sample, 3)
        for one_seed in (seed, seed + 1)
        for stage in ("warmup", "variational", "finetune", "selection")
        for one_epoch in (epoch, epoch + 1)
        for one_sample in (sample, sample + 1)
    ]
    values = np.concatenate(drawn)
    assert len(np.unique(values)) == len(values)


def test_orders_differ_between_epochs_stages_and_seeds() -> None:
    orders = {
        tuple(Draws(seed, stage, epoch).order(20).tolist())  # type: ignore[arg-type]
        for seed, stage, epoch in itertools.product((0, 1), ("warmup", "variational", "finetune"), (0, 1, 2))
    }
    assert len(orders) == 18


def test_a_net_trained_alone_starts_like_a_templates_warm_up() -> None:
    alone, warm_up = Draws(3, "fixed", 1), Draws(3, "warmup", 1)
    assert np.array_equal(alone.order(50), warm_up.order(50))
    assert np.array_equal(alone.uniforms(7, 9), warm_up.uniforms(7, 9))


@given(all_draws, samples)
def test_no_sample_shares_its_draws_with_a_strategy(draws: Draws, sample: int) -> None:
    strategies = np.random.Generator(np.random.Philox(key=np.array([draws.seed, sample], dtype=np.uint64)))
    assert not {*strategies.random(4)} & {*draws.uniforms(sample, 4)}


def test_draws_are_uniform_and_those_of_neighbours_unrelated() -> None:
    drawn = np.stack([Draws(0, "variational", 0).uniforms(sample, 4) for sample in range(4000)])
    assert np.abs(drawn.mean(0) - 0.5).max() < 0.02
    counts = np.histogram(drawn, bins=10, range=(0, 1))[0]
    assert ((counts - 1600) ** 2 / 1600).sum() < 27.9  # one in a thousand with nine degrees of freedom
    assert abs(np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]) < 0.06
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.06


@given(all_draws, st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_a_balanced_epoch_has_every_class_as_often_and_nothing_twice_under_one_number(
    draws: Draws, labels: list[int]
) -> None:
    of_class = np.array(labels)
    drawn = draws.balanced(of_class)
    assert len(drawn) == len(labels)
    assert len(np.unique(drawn)) == len(drawn)
    counts = np.bincount(of_class[drawn % len(labels)])[np.unique(of_class)]
    assert counts.max() - counts.min() <= 1
    assert np.array_equal(drawn, draws.balanced(of_class))


def test_balanced_epochs_differ() -> None:
    labels = np.array([0] * 20 + [1])
    orders = [Draws(0, "fixed", epoch).balanced(labels) for epoch in (1, 2)]
    assert not np.array_equal(*orders)
    assert all((order % 21 == 20).sum() in (10, 11) for order in orders)
