"""The nets of many strategies run together: what precedes the first difference of two of them is computed once.

The nets stand in a trie over the parts of their backbone, from clips to logits. Two nets share a part, its batch-norm
statistics included, where they have the same units at all sites of it and of the parts before it. Where they part, what
a site's branches have in common and each of these branches is computed once. Every net computes what it computes alone,
to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stzoo import nets
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import Fusion, sites_in
from stzoo.nets.layout import Activation
from stzoo.strategies.strategy import Strategy

Part = Callable[[Tensor], Tensor]


class Trie(nn.Module):
    """Clips to the logits of the net of each of several different strategies, pruned out of a template, in eval mode.

    `reestimate_batch_norm` gives every net statistics of its own, as it does to a net alone.

    Of n nets at most log2(n) inputs of parts are held besides what one net needs, each with the branches that it went
    into: of the parts that read the same, that which leads to most nets comes last, and gives its input up.
    """

    def __init__(self, template: Classifier, strategies: Sequence[Strategy]) -> None:
        super().__init__()
        pruned = [nets.prune(template, strategy) for strategy in strategies]
        self.nets = nn.ModuleList(pruned)
        self.eval()
        sites = [sites_in(part) for part in template.parts()]
        ways = [
            [
                (part, tuple(strategy.units[site] for site in here))
                for part, here in zip(net.parts(), sites, strict=True)
            ]
            for net, strategy in zip(pruned, strategies, strict=True)
        ]
        self._start = _fork(ways, [here[:1] for here in sites], range(len(ways)), 0)

    def forward(
        self, clips: Float[Tensor, "clips 3 frames height width"], among: Collection[int] | None = None
    ) -> Float[Tensor, "nets clips classes"]:
        """The logits of the nets with these numbers, in rising order; None for all of them."""
        wanted = frozenset(range(len(self.nets)) if among is None else among)
        logits: dict[int, Tensor] = {}
        ahead: list[_Step] = []
        try:
            ahead += self._start.steps(clips, wanted)
            while ahead:
                node, x, spent = ahead.pop()
                x = node.part(x)
                for once in spent:
                    once.kept = None
                if node.then is None:
                    (net,) = node.nets
                    logits[net] = x
                else:
                    ahead += node.then.steps(x, wanted)
        finally:
            for module in self.modules():
                if isinstance(module, _Once):
                    module.kept = None
        return torch.stack([logits[net] for net in sorted(wanted)])


class _Once(nn.Module):
    """A module whose output is computed for the first of several parts and kept for the others."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.kept: Activation | None = None

    def forward(self, x: Activation) -> Activation:
        if self.kept is None:
            self.kept = self.module(x)
        return self.kept


class _Step(NamedTuple):
    """A node whose part is still to be run, what it reads, and what need not be kept after it."""

    node: _Node
    x: Tensor
    spent: tuple[_Once, ...]


@dataclass(frozen=True, eq=False)
class _Node:
    """A part, the numbers of the nets that have it, and where it leads; None behind the last part."""

    part: Part
    nets: frozenset[int]
    then: _Fork | None


@dataclass(frozen=True, eq=False)
class _Fork:
    """The different parts that read the same, and what they have in common."""

    nodes: tuple[_Node, ...]
    common: tuple[_Once, ...]

    def steps(self, x: Tensor, wanted: frozenset[int]) -> list[_Step]:
        """What is to be run for the wanted nets, the last first: it leads to most of them."""
        nodes = [node for node in self.nodes if node.nets & wanted]
        nodes.sort(key=lambda node: len(node.nets & wanted), reverse=True)
        return [_Step(node, x, () if place else self.common) for place, node in enumerate(nodes)]


def _fork(
    ways: Sequence[Sequence[tuple[Part, tuple[str, ...]]]],
    first_sites: Sequence[tuple[str, ...]],
    members: Sequence[int],
    depth: int,
) -> _Fork:
    """The trie from one part on, of the nets that have all parts before it in common.

    A way is a net's parts in order, each with the units at its sites.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for member in members:
        groups.setdefault(ways[member][depth][1], []).append(member)
    parts = [ways[group[0]][depth][0] for group in groups.values()]
    common = _common(parts, first_sites[depth]) if len(parts) > 1 else ()
    nodes = [
        _Node(
            part, frozenset(group), _fork(ways, first_sites, group, depth + 1) if depth + 1 < len(first_sites) else None
        )
        for part, group in zip(parts, groups.values(), strict=True)
    ]
    return _Fork(tuple(nodes), common)


def _common(parts: Sequence[Part], sites: Collection[str]) -> tuple[_Once, ...]:
    """Makes different parts that read the same compute once what several of them do at the first of their sites.

    A further site of a part reads what the first one made, which is not the same.
    """
    common: dict[str, _Once] = {}
    for fusion in (fusion for part in parts for fusion in _fusions(part) if fusion.site in sites):
        fusion.shared = common.setdefault("", _Once(fusion.shared))
        for name, branch in fusion.branches.items():
            fusion.branches[name] = common.setdefault(name, _Once(branch))
    return tuple(common.values())


def _fusions(part: Part) -> list[Fusion]:
    modules = part.modules() if isinstance(part, nn.Module) else ()
    return [module for module in modules if isinstance(module, Fusion)]
