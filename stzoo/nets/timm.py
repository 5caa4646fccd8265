"""Nets of timm for pictures as backbones: any whose residual branches begin with a pointwise convolution.

Every frame passes timm's own layers as a picture; at the sites S and ST stand in place of the pointwise convolution,
and the features of all frames are averaged before the classifier. With S everywhere it is timm's net, averaged over
frames. This is ours, not the paper's, and experimental.
"""

from __future__ import annotations

import functools
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from stzoo.nets.classifier import StagedClassifier
from stzoo.nets.cutting import at
from stzoo.nets.fusion import KERNELS, Closed, Fuse
from stzoo.nets.images import of_images
from stzoo.nets.layers import Conv
from stzoo.nets.layout import Activation, laid_out, layout
from stzoo.nets.norm import BatchNorm
from stzoo.nets.pooling import MEAN, Pooling
from stzoo.nets.timm_library import flat_net, is_plain, planned, timm_sites
from stzoo.strategies.strategy import Site

_ACTIVATION = "_act"
"""What is behind a norm of timm's that has an activation function inside, after the path of the norm."""

_OURS = re.compile(r"^\w+\.|\.branches\.\w+\.conv")
"""What is in our names of tensors and not in timm's: the part, and the branch of a site."""


class Part(nn.Module):
    """A part of a 2D net, whose modules stand at the paths that they have there, on activations of the current layout.

    `follows` says what every norm comes after, for `stzoo.nets.merging`.
    """

    def __init__(self, graph: fx.Graph, parts: Mapping[str, nn.Module | Tensor]) -> None:
        super().__init__()
        self.graph = graph
        for path, part in parts.items():
            *above, name = path.split(".")
            home: nn.Module = self
            for step in above:
                if step not in home._modules:
                    home.add_module(step, nn.Module())
                home = home.get_submodule(step)
            if isinstance(part, nn.Module):
                home.add_module(name, part)
            elif isinstance(part, nn.Parameter):
                home.register_parameter(name, part)
            else:
                home.register_buffer(name, part)
        self.follows = _follows(graph, parts)

    def forward(self, x: Activation) -> Activation:
        images = layout().images(x)
        with laid_out(of_images(x)):
            y = fx.Interpreter(self, graph=self.graph).run(images)
        return layout().from_images(y[:, :, None, None] if y.ndim == 2 else y, x)


def _follows(graph: fx.Graph, parts: Mapping[str, nn.Module | Tensor]) -> dict[str, tuple[str, ...]]:
    """The norms that come after something that they can be folded into, which nothing else reads."""
    found: dict[str, tuple[str, ...]] = {}
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    for node in graph.nodes:
        if node.op != "call_module" or type(parts[node.target]) is not BatchNorm:
            continue
        (before,) = node.all_input_nodes
        alone = before.op == "call_module" and len(before.users) == 1
        if not alone or calls.count(before.target) != 1 or calls.count(node.target) != 1:
            continue
        if not isinstance(parts[before.target], nn.Conv2d) or is_plain(parts[before.target]):
            found[node.target] = (before.target, f"{before.target} late")
    return found


class TimmNet(StagedClassifier):
    """Clips to logits: a net of timm by its `name`, in parts, with S and ST in place of its sites' convolutions.

    `timm` and `graph` are as `timm_sites` takes them.

    Nothing is done to time but at the sites. In training nothing is drawn but the dropout before the head.
    """

    def __init__(
        self,
        fuse: Fuse,
        name: str,
        classes: int,
        dropout: float = 0.0,
        timm: str | None = None,
        graph: str | None = None,
    ) -> None:
        timm_sites(name, timm, graph)
        plan = planned(name)
        super().__init__(plan.smallest_size, fewest_frames=1, dropout=dropout)
        self.name = name
        flat = flat_net(name, classes)
        stem, *blocks, last = (_part(graph, flat, plan.sites, fuse) for graph in plan.parts)
        self.stem = stem
        for number, block in enumerate(blocks, start=1):
            self.add_stage(f"block{number}", block)
        self.last = last
        self.head = _linear(flat.get_classifier())  # type: ignore[operator]
        self.pooling = Pooling(MEAN, self.head.in_features)

    def before_stages(self, x: Activation) -> Activation:
        return self.stem(x)

    def after_stages(self, x: Activation) -> Activation:
        return self.last(x)


def _linear(there: nn.Linear) -> nn.Linear:
    """Torch's own layer in place of timm's, which has the same weights."""
    head = nn.Linear(there.in_features, there.out_features, device=there.weight.device)
    head.load_state_dict(there.state_dict())
    return head


def _part(graph: fx.Graph, flat: nn.Module, sites: Mapping[str, Site], fuse: Fuse) -> Part:
    ours = fx.Graph()
    copies: dict[fx.Node, Any] = {}
    parts: dict[str, nn.Module | Tensor] = {}
    for node in graph.nodes:
        copies[node] = ours.node_copy(node, copies.__getitem__)
        if node.op not in ("call_module", "get_attr"):
            continue
        path = str(node.target)
        if path not in parts:
            there = at(flat, path)
            if path in sites:
                there = _site(fuse, sites[path], there)
            elif isinstance(there, nn.BatchNorm2d) and there.affine and there.track_running_stats:
                if not isinstance(activation := getattr(there, "act", nn.Identity()), nn.Identity):
                    parts[path + _ACTIVATION] = activation
                there = _norm(there)
            parts[path] = there
        if path + _ACTIVATION in parts:
            copies[node] = ours.call_module(path + _ACTIVATION, (copies[node],))
    return Part(ours, parts)


def _norm(there: nn.BatchNorm2d) -> BatchNorm:
    norm = BatchNorm(there.num_features, there.eps)
    norm.momentum = there.momentum
    return norm


def _site(fuse: Fuse, site: Site, there: nn.Conv2d) -> nn.Module:
    """S has the weights that timm's convolution begins with, ST its own."""
    stride, biased = there.stride[0], there.bias is not None

    def conv(branch: str) -> nn.Module:
        ours = Conv(there.in_channels, there.out_channels, KERNELS[branch], (1, stride, stride), biased=biased)
        if branch == "S":
            with torch.no_grad():
                ours.weight.copy_(there.weight.unsqueeze(2))
                if ours.bias is not None and there.bias is not None:
                    ours.bias.copy_(there.bias)
        return nn.Sequential(OrderedDict(conv=ours))

    return fuse(
        site,
        {branch: functools.partial(conv, branch) for branch in site.branches},
        shared=nn.Identity,
        closed=lambda: Closed(there.out_channels, stride),
    )


def flat_names(net: TimmNet, tensors: Iterable[str]) -> dict[str, str]:
    """What each of the tensors of a net is called in timm's own, as `flat_weights` has them."""
    head = planned(net.name).head
    return {
        name: f"{head}.{name.removeprefix('head.')}" if name.startswith("head.") else _OURS.sub("", name)
        for name in tensors
    }
