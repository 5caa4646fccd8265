"""The graph of a net in parts that follow each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from typing import Any

from torch import Tensor, fx, nn


class UntraceableError(Exception):
    """Why a net has no sites that can be found; a sentence's second half."""


def at(net: nn.Module, path: str) -> Any:
    """The module, parameter or buffer at a path."""
    return reduce(getattr, path.split("."), net)


def is_call(node: fx.Node) -> bool:
    """Whether a node runs a module."""
    return node.op == "call_module"


def shape_of(node: object) -> tuple[int, ...]:
    """The shape of what a node makes; empty for what is no tensor."""
    return node.meta.get("shape", ()) if isinstance(node, fx.Node) else ()


def cut(graph: fx.Graph, sites: Collection[str], end: fx.Node) -> tuple[fx.Graph, ...]:
    """The graph wherever a single activation leads on, joined again so that each part but the ends has a site.

    The last site's block ends with the node `end`.
    """
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    order = {node: index for index, node in enumerate(nodes)}
    last_use = [
        max((order.get(user, len(nodes)) for user in node.users), default=index) for index, node in enumerate(nodes)
    ]
    segments: list[list[fx.Node]] = [[]]
    alive = max(order[user] for node in graph.nodes if node.op == "placeholder" for user in node.users)
    for index, node in enumerate(nodes):
        segments[-1].append(node)
        if alive <= index and len(shape_of(node)) == 4 and index + 1 < len(nodes):
            segments.append([])
        alive = max(alive, last_use[index])
    has_site = [any(node.target in sites and is_call(node) for node in segment) for segment in segments]
    first = has_site.index(True)
    last = 1 + next(index for index, segment in enumerate(segments) if end in segment)
    joined: list[list[fx.Node]] = [[node for segment in segments[:first] for node in segment]]
    for segment, starts in zip(segments[first:last], has_site[first:last], strict=True):
        if starts:
            joined.append([])
        joined[-1] += segment
    joined.append([node for segment in segments[last:] for node in segment])
    entry = next(node for node in graph.nodes if node.op == "placeholder")
    (output,) = (node for node in graph.nodes if node.op == "output")
    parts = []
    for part in joined:
        leads_on = output.all_input_nodes[0] if part is joined[-1] else part[-1] if part else entry
        parts.append(_subgraph(part, entry, leads_on))
        entry = leads_on
    return tuple(parts)


def _subgraph(nodes: Sequence[fx.Node], entry: fx.Node, end: fx.Node) -> fx.Graph:
    graph = fx.Graph()
    copies = {entry: graph.placeholder("x")}
    for node in nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[end])
    return graph


def refuse_shared(parts: Sequence[fx.Graph], net: nn.Module) -> None:
    """Refuses weights that two parts use."""
    seen: set[str] = set()
    for part in parts:
        here = {str(node.target) for node in part.nodes if node.op in ("call_module", "get_attr")}
        for path in sorted(here & seen):
            there = at(net, path)
            if isinstance(there, Tensor) or any(True for _ in there.parameters()):
                raise UntraceableError(f"it uses the weights of {path} in two places")
        seen |= here
