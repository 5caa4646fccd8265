from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from stzoo import nets
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.space.one_shot import pruned
from stzoo.space.trie import Trie
from stzoo.strategies.strategy import NONE, Strategy
from tests.nets.test_backbones import (  # noqa: F401
    SMALL,
    Kind,
    clips_for,
    kinds,
    named_kind,
    of_every_kind,
    small,
    small_backbones,
    strategies,
    template_of,
)
from tests.space.clips import CONTRACT, data, make_template

TINY = next(kind for name in SMALL if name == "densenet_tiny" for kind in kinds(name))


def alone(template: nn.Module, strategy: Strategy, batches: Sequence[Tensor], clips: Tensor) -> Tensor:
    net = nets.prune(template, strategy).eval()
    reestimate_batch_norm(net, batches)
    with torch.inference_mode():
        return net(clips)


@of_every_kind
@settings(max_examples=3)
@given(drawn=st.data())
def test_every_net_says_to_the_bit_what_it_says_alone(kind: Kind, drawn: st.DataObject) -> None:
    some = drawn.draw(st.lists(strategies(small(kind)), min_size=1, max_size=6, unique=True))
    among = drawn.draw(st.sets(st.integers(0, len(some) - 1), min_size=1))
    template, batches, clips = template_of(kind), [clips_for(kind, 3, seed) for seed in (1, 2)], clips_for(kind, 2)
    trie = Trie(template, some)
    reestimate_batch_norm(trie, batches)
    with torch.inference_mode():
        together, fewer = trie(clips), trie(clips, among)
    expected = [alone(template, strategy, batches, clips) for strategy in some]
    for strategy, logits, its_own in zip(some, together, expected, strict=True):
        assert torch.equal(logits, its_own), strategy
    assert torch.equal(fewer, torch.stack([expected[number] for number in sorted(among)]))


def test_answers_of_selection_clips_are_those_of_each_net() -> None:
    template = make_template()
    posterior = nets.posterior(template)
    some = [posterior.sample(0, index) for index in range(5)]
    trie = Trie(template, some)
    reestimate_batch_norm(trie, data().calibration())  # type: ignore[misc]
    together = data(at_once=4).answers(trie)
    for place, strategy in enumerate(some):
        its_own = data(at_once=4).answers(pruned(template, strategy, data()))
        assert (together.likelihoods[place] == its_own.likelihoods).all()
        assert (together.right[place] == its_own.right).all()


def run_parts(monkeypatch: pytest.MonkeyPatch, trie: Trie) -> tuple[list[object], list[int]]:
    """Fills a list with the parts that are run, and one with how many of their inputs are alive then."""
    ran: list[object] = []
    alive: list[int] = []
    inputs: list[Any] = []

    def watch(fork: Any) -> None:
        for node in fork.nodes:
            object.__setattr__(node, "part", watched(node.part))
            if node.then is not None:
                watch(node.then)

    def watched(part: Any) -> Any:
        def run(x: Tensor) -> Tensor:
            ran.append(part)
            if not any(known() is x for known in inputs):
                inputs.append(weakref.ref(x))
            alive.append(sum(known() is not None for known in inputs))
            return part(x)

        return run

    watch(trie._start)
    return ran, alive


@st.composite
def bunches(draw: st.DrawFn) -> list[Strategy]:
    """Strategies that differ at any places, also so that one differs from all before it at every further site."""
    shape = small(TINY)
    if draw(st.booleans()):
        return draw(st.lists(strategies(shape), min_size=1, max_size=9, unique=True))
    names = [site.name for site in shape.sites]
    unit = draw(st.sampled_from(["S", "ST"]))
    every = dict.fromkeys(names, "S+ST")
    some = [Strategy(shape.backbone, {**every, name: unit}) for name in names]
    return draw(st.permutations([Strategy(shape.backbone, every), *some]))


@settings(max_examples=20)
@given(bunches())
def test_few_inputs_are_held_and_no_part_is_run_twice(some: list[Strategy]) -> None:
    trie = Trie(template_of(TINY), some)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        ran, alive = run_parts(patch, trie)
        trie(clips_for(TINY))
    assert len({id(part) for part in ran}) == len(ran)
    assert max(alive) <= 1 + math.log2(len(some)) + 1  # the clips themselves, which the caller holds
    assert len(ran) <= sum(len(net.parts()) for net in trie.nets)  # type: ignore[operator,misc]


def test_an_interrupted_pass_leaves_nothing_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    template = make_template()
    every = nets.architecture(template).all_open
    some = [every, Strategy(every.backbone, {**every.units, "B1.L1": "S"})]
    trie, clips = Trie(template, some), torch.rand(2, 3, CONTRACT.frames, 32, 32)
    with torch.inference_mode():
        expected = trie(clips)
        with monkeypatch.context() as patch:
            patch.setattr(torch, "addcmul", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                trie(clips + 1)
        assert torch.equal(trie(clips), expected)


def test_the_template_is_left_as_it_was() -> None:
    template = make_template()
    before = {name: value.clone() for name, value in template.state_dict().items()}
    every = nets.architecture(template).all_open
    closed = Strategy(every.backbone, {**every.units, "B1.L1": NONE})
    trie = Trie(template, [every, closed])
    reestimate_batch_norm(trie, data().calibration())  # type: ignore[misc]
    data().answers(trie)
    assert not trie.training
    assert not template.training
    assert all(torch.equal(value, before[name]) for name, value in template.state_dict().items())
