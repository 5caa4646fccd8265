"""Nets of timm for pictures as backbones: any whose residual branches begin with a pointwise convolution.

Every frame passes timm's own layers as a picture; at the sites S and ST stand in place of the pointwise convolution,
and the features of all frames are averaged before the classifier. With S everywhere it is timm's net, averaged over
frames. This is ours, not the paper's, and experimental.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from stzoo.errors import MissingPackageError, UsageError, WeightsError, did_you_mean
from stzoo.nets.blank import without_memory
from stzoo.nets.classifier import StagedClassifier
from stzoo.nets.fusion import KERNELS, Closed, Fuse
from stzoo.nets.images import of_images
from stzoo.nets.layers import Conv
from stzoo.nets.layout import Activation, laid_out, layout
from stzoo.nets.norm import BatchNorm
from stzoo.strategies.strategy import TIMM, Site
from stzoo.validation import shortened

if TYPE_CHECKING:
    from stzoo.nets.tracing import Plan

_ACTIVATION = "_act"
"""What is behind a norm of timm's that has an activation function inside, after the path of the norm."""

_OURS = re.compile(r"^\w+\.|\.branches\.\w+\.conv")
"""What is in our names of tensors and not in timm's: the part, and the branch of a site."""

_TINY = 1e-3
"""Scales that begin smaller are made ones: a branch that is multiplied by next to nothing gives its gates no gradient."""


def is_timm(backbone: str) -> bool:
    """Whether a backbone's name means a net of timm."""
    return backbone.startswith(TIMM)


def timm_name(backbone: str) -> str:
    """The name in timm of a backbone `timm:NAME`.

    Raises `MissingPackageError` where there is no timm, `UsageError` for a name that timm does not have.
    """
    if importlib.util.find_spec("timm") is None:
        raise MissingPackageError(
            f"timm is not installed here, and {shortened(backbone)} is one of its nets; install it with "
            "`pip install 'stzoo[timm]'`"
        )
    import timm

    name = backbone.removeprefix(TIMM)
    if not re.fullmatch(r"\w+", name, re.ASCII) or not timm.is_model(name):
        untagged = name.partition(".")[0]
        hint = f' Did you mean "{TIMM}{untagged}"?' if timm.is_model(untagged) else did_you_mean(name, timm.list_models())
        raise UsageError(f'timm {timm.__version__} has no net called "{name[:60]}".{hint}')
    return name


@functools.lru_cache(maxsize=64)
def planned(name: str) -> Plan:
    """How a net of timm is taken apart. Raises `UsageError` for one that cannot be a backbone, with the reason."""
    from timm.layers import Conv2dSame
    from timm.layers._fx import get_notrace_functions, get_notrace_modules

    from stzoo.nets.tracing import UntraceableError, plan

    with without_memory():
        net = flat_net(name, 2).eval()
    try:
        if not isinstance(net.get_classifier(), nn.Linear):  # type: ignore[operator]
            raise UntraceableError("its classifier is no linear layer")
        return plan(
            net,
            net.default_cfg["input_size"][-1],  # type: ignore[index, arg-type]
            lambda module: type(module) in (nn.Conv2d, Conv2dSame),
            get_notrace_modules(),
            get_notrace_functions(),
        )
    except UntraceableError as error:
        raise UsageError(f"{TIMM}{name} cannot be a backbone: {error}") from error


def timm_sites(name: str, timm: str | None = None, graph: str | None = None, **_: object) -> tuple[Site, ...]:
    """The sites of a net of timm in network order, called after its blocks.

    `timm` is the version that a net was made with, `graph` the digest of what it was then. Raises `UsageError` as
    `planned` does, and where the installed timm builds another net by that name.
    """
    plan = planned(name)
    if graph is not None and graph != plan.digest:
        here = importlib.metadata.version("timm")
        raise UsageError(
            f"timm {here} builds another {name} than this net is, which was made with timm {shortened(str(timm))}; "
            "install that one"
        )
    return tuple(plan.sites.values())


def timm_record(name: str) -> dict[str, str]:
    """The options by which `timm_sites` finds out whether a net is still built as it is here."""
    return {"timm": importlib.metadata.version("timm"), "graph": planned(name).digest}


def pretrained_file(name: str) -> Path:
    """The file with timm's own weights of a net, fetched from the Hub where it is not in its cache.

    Raises `WeightsError` when there is none or it cannot be fetched.
    """
    import timm
    from huggingface_hub import hf_hub_download

    known = timm.get_pretrained_cfg(name)
    if known is None or not known.hf_hub_id:
        raise WeightsError(f"timm publishes no weights of {name}; name a local file in place of imagenet")
    place = f"https://huggingface.co/{known.hf_hub_id}"
    try:
        return Path(hf_hub_download(known.hf_hub_id, "model.safetensors"))
    except Exception as error:
        raise WeightsError(
            f"the weights of timm's {name} cannot be fetched ({shortened(str(error))}); fetch model.safetensors from "
            f"{place} elsewhere, and name that file in place of imagenet"
        ) from error


def flat_net(name: str, classes: int, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
    """timm's own net, with `weights` or those of initialisation; what can be written as one convolution is.

    Scales that begin at nothing begin at one. Raises `RuntimeError` for weights of another net.
    """
    import timm
    from timm.utils import reparameterize_model

    net: nn.Module = timm.create_model(name, num_classes=classes)
    if weights is not None:
        net.load_state_dict(dict(weights))
    elif not next(net.parameters()).is_meta:
        _wake(net)
    if hasattr(net, "set_distilled_training"):
        net.set_distilled_training(False)  # type: ignore[operator]
    flat: nn.Module = reparameterize_model(net, inplace=True)
    for module in flat.modules():
        module._non_persistent_buffers_set.clear()  # a net without memory is given all that it has from outside
        if hasattr(module, "inplace"):
            module.inplace = False  # several nets of a trie read the same activation
    return flat


def _wake(net: nn.Module) -> None:
    with torch.no_grad():
        for module in net.modules():
            scales = [module.weight] if isinstance(module, nn.BatchNorm2d) and module.affine else []
            gamma = getattr(module, "gamma", None)
            for scale in [*scales, *([gamma] if isinstance(gamma, nn.Parameter) else [])]:
                if scale.abs().max() < _TINY:
                    scale.fill_(1.0)


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
    found = {}
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    for node in graph.nodes:
        if node.op != "call_module" or type(parts[node.target]) is not BatchNorm:
            continue
        (before,) = node.all_input_nodes
        alone = before.op == "call_module" and len(before.users) == 1
        if alone and calls.count(before.target) == calls.count(node.target) == 1 and _is_plain(parts[before.target]):
            found[node.target] = (before.target, f"{before.target} late")
    return found


def _is_plain(part: nn.Module | Tensor) -> bool:
    from timm.layers import Conv2dSame

    return not isinstance(part, nn.Conv2d) or type(part) in (nn.Conv2d, Conv2dSame)


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

    def before_stages(self, x: Activation) -> Activation:
        return self.stem(x)

    def after_stages(self, x: Activation) -> Activation:
        return self.last(x)


def _linear(there: nn.Linear) -> nn.Linear:
    """torch's own layer in place of timm's, which has the same weights."""
    head = nn.Linear(there.in_features, there.out_features, device=there.weight.device)
    head.load_state_dict(there.state_dict())
    return head


def _part(graph: fx.Graph, flat: nn.Module, sites: Mapping[str, Site], fuse: Fuse) -> Part:
    from stzoo.nets.tracing import at

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
        ours = Conv(
            there.in_channels, there.out_channels, KERNELS[branch], (1, stride, stride), biased=biased
        )
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
    """What each of the tensors of a net is called in timm's, whose convolutions are written as one where they can be."""
    head = planned(net.name).head
    return {
        name: f"{head}.{name.removeprefix('head.')}" if name.startswith("head.") else _OURS.sub("", name)
        for name in tensors
    }


def flat_weights(name: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a net of timm, as timm saves them, after its convolutions have been written as one where they can be.

    Raises `WeightsError` for weights of another net.
    """
    import timm

    known = timm.get_pretrained_cfg(name)
    head = "" if known is None else known.classifier
    bias = f"{head if isinstance(head, str) else head[0]}.bias"
    classes = len(weights[bias]) if bias in weights and weights[bias].ndim == 1 else 1000
    try:
        return flat_net(name, classes, weights).state_dict()
    except RuntimeError as error:
        reason = " ".join(str(error).partition(":")[2].split())[:300]
        raise WeightsError(f"the 2D weights are not those of timm's {name}: {reason}") from error
