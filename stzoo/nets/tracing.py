"""A plain 2D net for pictures taken apart by torch.fx: its fusion sites, and the parts that it is run in.

A site is the first pointwise convolution of a residual branch: of the two ways into a sum, the one with more
convolutions. A block of the same kind that nothing leads past, since it changes the width or the resolution, has a
site that cannot be closed. What is called a stem has none, nor has a convolution of pooled features, as in squeeze and
excitation. This way of finding sites is ours, not the paper's.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from stzoo.nets.cutting import UntraceableError, cut, is_call, refuse_shared, shape_of
from stzoo.strategies.strategy import Site

_SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")
_ELSEWHERE = {operator.iadd: operator.add, "add_": "add"}
"""Sums are written elsewhere than over what they read, which others may read too."""

_STEM = "stem"


@dataclass(frozen=True, eq=False)
class Plan:
    """How a 2D net is taken apart.

    `sites` has the path of every site's convolution with the site, in network order. `parts` are graphs that follow
    each other, from images to features: what precedes the first site's block, blocks with a site at least, and the
    rest. `smallest_size` is the product of all strides, `head` the path of the classifier. `digest` is the same for
    nets that compute the same of the same weights.
    """

    sites: Mapping[str, Site]
    parts: tuple[fx.Graph, ...]
    smallest_size: int
    head: str
    digest: str


def plan(
    net: nn.Module,
    size: int,
    foldable: Callable[[nn.Module], bool],
    leaves: Sequence[type[nn.Module]] = (),
    functions: Sequence[Callable[..., Any]] = (),
) -> Plan:
    """Takes a net of timm apart, up to what enters its classifier. It is built without memory: nothing is computed.

    `size` is the side of a picture that it takes, `foldable` says which convolutions are nothing but their weights;
    no graph leads into `leaves` and `functions`.

    Raises `UntraceableError` for a net that torch.fx cannot follow or that has no place for a site.
    """
    graph = _traced(net, size, leaves, functions)
    modules = {node.target: net.get_submodule(str(node.target)) for node in graph.nodes if is_call(node)}
    conv_nodes = {node for node in graph.nodes if is_call(node) and isinstance(modules[node.target], nn.Conv2d)}
    pointwise = {node for node in conv_nodes if foldable(conv := modules[node.target]) and _is_entry(node, conv)}
    places = _places(graph, net, conv_nodes, pointwise)
    if not places:
        raise UntraceableError(_why_none(graph, modules))
    sites = _named(places, graph)
    parts = cut(graph, sites, places[-1].end)
    refuse_shared(parts, net)
    least = min(shape[-1] for node in graph.nodes if (shape := shape_of(node)) and len(shape) == 4 and shape[-1] > 1)
    head = next(path for path, module in net.named_modules() if module is net.get_classifier())  # type: ignore[operator]
    return Plan(sites, parts, 2 ** round(math.log2(size / least)), head, _digest(graph, modules))


class _Tracer(fx.Tracer):
    def __init__(self, leaves: Sequence[type[nn.Module]], functions: Sequence[Callable[..., Any]]) -> None:
        super().__init__(autowrap_functions=tuple(functions))
        self._leaves = (nn.Conv2d, nn.BatchNorm2d, *leaves)

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        return isinstance(module, self._leaves) or super().is_leaf_module(module, path)


class _Shapes(fx.Interpreter):
    """Notes the shape of every tensor that a graph makes."""

    def run_node(self, node: fx.Node) -> Any:
        result = super().run_node(node)
        if isinstance(result, Tensor):
            node.meta["shape"] = tuple(result.shape)
        return result


class _Features(nn.Module):
    """What a net of timm makes of pictures before its classifier; it is followed, and never computed."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: fx.Proxy) -> Any:
        return self.net.forward_head(self.net.forward_features(x), pre_logits=True)


def _traced(
    net: nn.Module, size: int, leaves: Sequence[type[nn.Module]], functions: Sequence[Callable[..., Any]]
) -> fx.Graph:
    features = _Features(net)
    try:
        graph = _Tracer(leaves, functions).trace(features)
        with torch.no_grad():
            _Shapes(features, graph=graph).run(torch.empty(2, 3, size, size, device="meta"))
    except Exception as error:  # whatever the code of a stranger's net raises when it is followed
        reason = " ".join(str(error).split())[:200]
        raise UntraceableError(f"torch.fx cannot follow its code ({type(error).__name__}: {reason})") from error
    for node in graph.nodes:
        node.target = _ELSEWHERE.get(node.target, node.target)
        if node.op in ("call_module", "get_attr"):
            node.target = str(node.target).removeprefix("net.")
        stack = [
            path.removeprefix("net").removeprefix(".") for path, _ in node.meta.get("nn_module_stack", {}).values()
        ]
        node.meta["scopes"] = [path for path in stack if path]
    return graph


def _is_entry(node: fx.Node, conv: nn.Module) -> bool:
    """Whether a convolution mixes the channels of every position, and there is more than one."""
    assert isinstance(conv, nn.Conv2d)
    plain = conv.kernel_size == (1, 1) and conv.groups == 1 and conv.padding in ((0, 0), "same", "valid")
    shape = shape_of(node.args[0])
    return plain and conv.stride[0] == conv.stride[1] and len(shape) == 4 and shape[2] * shape[3] > 1


def _scopes(node: fx.Node) -> list[str]:
    """The paths of the modules that a node is computed in, the outermost first."""
    scopes: list[str] = node.meta["scopes"]
    return scopes


def _scope(node: fx.Node) -> str:
    """The path of the innermost one that is no leaf."""
    return next((path for path in reversed(_scopes(node)) if not (is_call(node) and path == node.target)), "")


def _in_stem(path: str) -> bool:
    return any(_STEM in part for part in path.split("."))


@dataclass(frozen=True)
class _Place:
    """A site before it has a name: its convolution, the module that it belongs to, and where its block ends."""

    conv: fx.Node
    scope: str
    end: fx.Node
    closable: bool


def _places(graph: fx.Graph, net: nn.Module, convs: set[fx.Node], pointwise: set[fx.Node]) -> list[_Place]:
    places: dict[fx.Node, _Place] = {}
    order = {node: index for index, node in enumerate(graph.nodes)}
    blocks: set[type[nn.Module]] = set()
    with_sums: set[str] = set()
    for total, branch in _branches(graph, convs):
        scope = _scope(total)
        with_sums.add(scope)
        entries = [node for node in branch if node in pointwise and not _in_stem(str(node.target))]
        if entries and entries[0] not in places:
            places[entries[0]] = _Place(entries[0], scope, total, True)
            if scope:
                blocks.add(type(net.get_submodule(scope)))
    for path, module in net.named_modules():
        inside = [node for node in graph.nodes if path in _scopes(node)]
        entries = [node for node in inside if node in pointwise]
        if type(module) not in blocks or path in with_sums or not entries or _in_stem(path) or entries[0] in places:
            continue
        places[entries[0]] = _Place(entries[0], path, inside[-1], False)
    return sorted(places.values(), key=lambda place: order[place.conv])


def _branches(graph: fx.Graph, convs: set[fx.Node]) -> Iterable[tuple[fx.Node, list[fx.Node]]]:
    """Every sum of two activations with that one of its two sides that has more convolutions, in network order."""
    ancestors: dict[fx.Node, set[fx.Node]] = {}
    for node in graph.nodes:
        ancestors[node] = {node}.union(*(ancestors[other] for other in node.all_input_nodes))
        sides = node.all_input_nodes
        shapes = {shape_of(side) for side in sides}
        if node.target not in _SUMS or len(sides) != 2 or len(shapes) != 1 or len(shapes.pop()) != 4:
            continue
        common = ancestors[sides[0]] & ancestors[sides[1]]
        start = next((other for other in reversed(list(graph.nodes)) if other in common), None)
        ways = [
            [
                other
                for other in graph.nodes
                if other in ancestors[side] and other not in common and start in ancestors[other]
            ]
            for side in sides
        ]
        yield node, max(ways, key=lambda way: sum(other in convs for other in way))


def _why_none(graph: fx.Graph, modules: Mapping[Any, nn.Module]) -> str:
    sums = [node for node in graph.nodes if node.target in _SUMS and len(shape_of(node)) >= 3]
    if not sums:
        return "it has no residual sums, so it has no branches with sites"
    if any(isinstance(module, nn.Linear) for module in modules.values()):
        return "no residual branch has a pointwise convolution, where S and ST part: its pointwise layers are linear"
    return "no residual branch has a plain pointwise convolution, where S and ST part"


def _named(places: Sequence[_Place], graph: fx.Graph) -> dict[str, Site]:
    """Sites by the paths of their convolutions, called after their blocks, or after these where two share one."""
    shared = Counter(place.scope for place in places)
    sizes = sorted({shape_of(place.end)[-1] for place in places}, reverse=True)
    return {
        str(place.conv.target): Site(
            place.scope if place.scope and shared[place.scope] == 1 else str(place.conv.target),
            closable=place.closable,
            stage=sizes.index(shape_of(place.end)[-1]) + 1,
        )
        for place in places
    }


def _digest(graph: fx.Graph, modules: Mapping[Any, nn.Module]) -> str:
    lines = []
    for node in graph.nodes:
        target = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        module = modules.get(node.target) if is_call(node) else None
        kind = "" if module is None else f"{type(module).__name__}({module.extra_repr()})"
        lines.append(f"{node.name} {node.op} {target} {node.args} {dict(node.kwargs)} {kind} {shape_of(node)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
