from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stzoo import nets
from stzoo.inference import to_input
from stzoo.nets.fusion import named_gates
from stzoo.space.evidence import Evidence, evidence
from stzoo.space.one_shot import SelectionClips
from tests.space.clips import CONTRACT, make_small_template, small_backbone  # noqa: F401

TRAINING, HELD_OUT = 96, 96

pytestmark = pytest.mark.usefixtures("small_backbone")


def clips(count: int, seed: int) -> SelectionClips:
    """Noise that is dark, middling or bright, which is the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    noise = rng.integers(0, 120, (count, 1, 2, 32, 32, 3))
    return SelectionClips(
        (noise + 60 * labels[:, None, None, None, None, None]).astype(np.uint8),
        labels,
        CONTRACT,
        torch.device("cpu"),
        None,
    )


def shuffled(data: SelectionClips, seed: int) -> SelectionClips:
    return replace(data, labels=np.random.default_rng(seed).permutation(data.labels))


def trained(data: SelectionClips, steps: int = 40) -> nn.Module:
    """A template that has fitted the clips, whatever their labels."""
    template = make_small_template()
    template.train()
    inputs = to_input(torch.from_numpy(data.clips[:, 0]), data.contract)
    labels = torch.from_numpy(data.labels)
    optimiser = torch.optim.Adam(template.parameters(), lr=0.01)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for step in range(steps):
            rows = torch.arange(step * 32, (step + 1) * 32) % len(labels)
            optimiser.zero_grad()
            F.cross_entropy(template(inputs[rows]), labels[rows]).backward()
            optimiser.step()
    return template.eval()


def test_the_data_speak_for_gates_of_a_template_that_has_learnt() -> None:
    template = trained(clips(TRAINING, 0))
    before = {name: value.clone() for name, value in template.state_dict().items()}
    found = evidence(template, clips(HELD_OUT, 1))
    assert found.is_enough
    assert found.heard
    assert [(gate.site, gate.branch) for gate in found.gates] == [gate[:2] for gate in named_gates(template)]
    assert all(torch.equal(value, before[name]) for name, value in template.state_dict().items())
    assert all(gate.given is None for _, _, gate, _ in named_gates(template))
    assert evidence(template, clips(HELD_OUT, 1)) == found
    assert Evidence.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_how_many_videos_are_asked_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    template, data = trained(clips(TRAINING, 0), steps=4), clips(10, 1)
    found = {}
    for at_once in (3, 10):
        monkeypatch.setattr("stzoo.space.evidence._AT_ONCE", at_once)
        found[at_once] = [gate.gradient for gate in evidence(template, data).gates]
    assert found[3] == pytest.approx(found[10], rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_a_template_of_shuffled_labels_is_called_not_learnt(seed: int) -> None:
    template = trained(shuffled(clips(TRAINING, seed), seed))
    found = evidence(template, shuffled(clips(HELD_OUT, 100 + seed), seed))
    assert found.is_enough
    assert not found.heard


def test_copies_of_one_recording_tell_no_more_than_one() -> None:
    template = trained(clips(TRAINING, 0), steps=20)
    few = clips(7, 1)
    many = replace(few, clips=np.repeat(few.clips, 8, axis=0), labels=np.repeat(few.labels, 8))
    found = evidence(template, replace(many, sources=[str(row // 8) for row in range(56)]))
    assert (found.videos, found.sources, found.is_enough) == (56, 7, False)
    alone = evidence(template, many)
    assert alone.is_enough
    pairs = list(zip(found.gates, alone.gates, strict=True))
    assert all(one.gradient == other.gradient for one, other in pairs)
    assert sum(one.error > other.error for one, other in pairs) > 0.8 * len(pairs)


def test_gates_are_read_from_hard_masks_and_not_from_where_their_logits_rest() -> None:
    """A gate that the data have pulled open for good is still heard, though its logit has no gradient left."""
    template = trained(clips(TRAINING, 0))
    with torch.no_grad():
        for _, _, gate, _ in named_gates(template):
            gate.logit.fill_(-30.0)
    assert evidence(template, clips(HELD_OUT, 1)).heard
    assert nets.posterior(template).drop["B1.L1"]["S"] < 1e-12
