"""The ways between template and fixed net."""

from __future__ import annotations

import copy
import functools
import hashlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import StrategyError, UsageError
from stzoo.inference import video_scores
from stzoo.nets import Architecture
from stzoo.nets.fusion import named_gates
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.strategies.strategy import ALL_BRANCHES, NONE, Strategy

SHUT = 1e4

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("densenet_tiny", {}),
    ("densenet_tiny", {"tail_sites": True}),
    ("densenet_small", {"temporal_stride": "x8"}),
    ("densenet_small", {"temporal_stride": "low", "tail_sites": True}),
    ("densenet_tiny", {"branches": ALL_BRANCHES}),
    ("densenet_small", {"branches": ALL_BRANCHES, "tail_sites": True}),
)


def shape_of(kind: int) -> Architecture:
    backbone, options = KINDS[kind]
    return Architecture(backbone, 5, options)


def clips(count: int = 2, frames: int = 5, side: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, frames, side, side, generator=torch.Generator().manual_seed(seed))


@functools.cache
def template_of(kind: int) -> nn.Module:
    """A template in which every number is random: weights, scales, shifts and statistics."""
    torch.manual_seed(kind)
    shape = shape_of(kind)
    template = nets.template(shape.backbone, shape.classes, **shape.options)
    with torch.no_grad():
        for name, parameter in template.named_parameters():
            if name.endswith(("norm.weight", "norm.bias")):
                parameter.add_(0.3 * torch.randn_like(parameter))
        for _ in range(3):
            template(clips(4))
    return template


def set_gates(template: nn.Module, strategy: Strategy) -> None:
    """Opens the branches of the strategy for certain and closes the others."""
    with torch.no_grad():
        for site, branch, gate, _ in named_gates(template):
            gate.logit.fill_(-SHUT if branch in strategy.units[site].split("+") else SHUT)


def hash_of(net: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_re_estimating_a_pruned_nets_batch_norm_leaves_the_template_alone(kind: int) -> None:
    template = template_of(kind).eval()
    before = hash_of(template)
    pruned = nets.prune(template, shape_of(kind).uniform("ST"))
    statistics = {name: buffer.clone() for name, buffer in pruned.named_buffers()}
    reestimate_batch_norm(pruned, [clips(seed=5), clips(seed=6)])
    assert hash_of(template) == before
    means = [name for name, _ in pruned.named_buffers() if name.endswith("running_mean")]
    assert not any(torch.equal(pruned.get_buffer(name), statistics[name]) for name in means)


def test_training_a_deep_copy_of_a_pruned_net_leaves_the_template_alone() -> None:
    template = template_of(0)
    before = hash_of(template)
    pruned = copy.deepcopy(nets.prune(template, shape_of(0).uniform("S"))).train()
    pruned(clips()).square().sum().backward()
    torch.optim.SGD(pruned.parameters(), lr=0.1).step()
    assert hash_of(template) == before


def test_fixed_nets_can_be_pruned_further_but_not_back() -> None:
    shape = shape_of(0)
    net = nets.prune(template_of(0), shape.uniform("S+ST")).eval()
    assert torch.equal(
        nets.prune(net, shape.uniform("S"))(clips()), nets.prune(template_of(0), shape.uniform("S")).eval()(clips())
    )
    with pytest.raises(StrategyError, match=r"lacks B1\.L1\.unit\.branches\.ST"):
        nets.prune(nets.prune(net, shape.uniform("S")), shape.uniform("ST"))


def test_strategies_that_do_not_fit_are_refused() -> None:
    shape = shape_of(0)
    wrong = Strategy("densenet_tiny", {**shape.uniform("S").units, "T1": NONE})
    missing = Strategy("densenet_tiny", {"B1.L1": "S"})
    other = Architecture("densenet121", 5, {}).uniform("S")
    for strategy, sentence in (
        (wrong, "T1 cannot have the unit none"),
        (missing, "lacks the sites B1.L2"),
        (other, "for densenet121, not for densenet_tiny"),
    ):
        with pytest.raises(StrategyError, match=sentence):
            nets.prune(template_of(0), strategy)
        with pytest.raises(StrategyError, match=sentence):
            nets.fixed("densenet_tiny", strategy, 5)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_growing_copies_everything_and_adds_gates_alone(kind: int) -> None:
    shape = shape_of(kind)
    net = nets.prune(copy.deepcopy(template_of(kind)), shape.all_open).eval()
    before = hash_of(net)
    grown = nets.grow(net, initial_drop=0.25, temperature=0.5).eval()
    own, made = net.state_dict(), grown.state_dict()
    assert all(".gates." in key and key.endswith(".logit") for key in set(made) - set(own))
    assert set(own) < set(made)
    for name, value in own.items():
        assert torch.equal(value, made[name]), name
        assert value.untyped_storage().data_ptr() != made[name].untyped_storage().data_ptr(), name
    drops = nets.posterior(grown).drop
    assert {site: set(branches) for site, branches in drops.items()} == {
        site.name: set(site.branches) for site in shape.sites
    }
    assert all(drop == pytest.approx(0.25) for branches in drops.values() for drop in branches.values())
    assert all(gate.temperature == 0.5 for _, _, gate, _ in named_gates(grown))

    set_gates(grown, shape.all_open)
    torch.testing.assert_close(grown(clips()), net(clips()))
    with torch.no_grad():
        for parameter in grown.parameters():
            parameter.zero_()
    assert hash_of(net) == before


def test_a_net_with_closed_branches_does_not_grow() -> None:
    shape = shape_of(0)
    with_none = Strategy(shape.backbone, {**shape.uniform("S+ST").units, "B2.L1": NONE})
    for strategy in (shape.uniform("S"), shape.uniform("ST"), with_none):
        with pytest.raises(StrategyError, match="only a net with every branch open grows"):
            nets.grow(nets.fixed_net(shape, strategy))


def test_the_posterior_is_read_off_the_gates() -> None:
    template = nets.template("densenet_small", 3)
    with torch.no_grad():
        for index, (_, _, gate, _) in enumerate(named_gates(template)):
            gate.logit.fill_(index - 7.0)
    found = nets.posterior(template)
    assert found.backbone == "densenet_small"
    assert list(found.drop) == [site.name for site in nets.architecture(template).sites]
    flat = [drop for branches in found.drop.values() for drop in branches.values()]
    torch.testing.assert_close(torch.tensor(flat), torch.sigmoid(torch.arange(len(flat)) - 7.0))


def test_gates_that_have_closed_for_good_still_give_a_posterior() -> None:
    template = nets.template("densenet_small", 3)
    with torch.no_grad():
        for _, _, gate, _ in named_gates(template):
            gate.logit.fill_(25.0)  # drop is 1 in single precision
    posterior = nets.posterior(template)
    assert posterior.distribution()["T1"] == pytest.approx({"S": 0.5, "ST": 0.5, "S+ST": 0.0}, abs=1e-4)


def test_a_fixed_net_is_deterministic_and_a_template_is_never_scored() -> None:
    template = template_of(0).eval()
    net = nets.prune(template, shape_of(0).uniform("ST"))
    assert torch.equal(net(clips()), net(clips()))
    assert nets.is_template(template)
    with pytest.raises(UsageError, match="a template has random outputs"):
        video_scores(
            template, np.zeros((1, 1, 2, 32, 32, 3), np.uint8), InputContract(frames=2, fps=1.0, resize=32, crop=32)
        )
    with pytest.raises(UsageError, match="fixed nets"):
        reestimate_batch_norm(template, [])


def test_unknown_backbones_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r'Did you mean "densenet_tiny"\?.*densenet121'):
        Architecture("densenet_tini", 5, {})


@pytest.mark.parametrize("unit", ["S", "ST", "S+ST"])
def test_a_fixed_net_has_the_keys_of_a_pruned_one(unit: str) -> None:
    shape = shape_of(0)
    net, pruned = nets.fixed_net(shape, shape.uniform(unit)), nets.prune(template_of(0), shape.uniform(unit))
    assert {name: value.shape for name, value in net.state_dict().items()} == {
        name: value.shape for name, value in pruned.state_dict().items()
    }
    assert all(value.ndim == 5 for name, value in net.state_dict().items() if name.endswith("conv.weight"))
