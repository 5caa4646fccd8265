"""What comes from timm: the names of its nets, the nets themselves, their weights, and how each is taken apart.

timm is imported when one of them is asked for.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from stzoo.errors import MissingPackageError, UsageError, WeightsError, did_you_mean
from stzoo.nets.blank import without_memory
from stzoo.nets.cutting import UntraceableError
from stzoo.nets.tracing import Plan, plan
from stzoo.strategies.strategy import TIMM_PREFIX, Site
from stzoo.validation import shortened

_TINY = 1e-3
"""Scales that begin smaller are made ones: a branch times next to nothing gives its gates no gradient."""


def is_timm(backbone: str) -> bool:
    """Whether a backbone's name means a net of timm."""
    return backbone.startswith(TIMM_PREFIX)


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

    name = backbone.removeprefix(TIMM_PREFIX)
    if not re.fullmatch(r"\w+", name, re.ASCII) or not timm.is_model(name):
        untagged = name.partition(".")[0]
        hint = (
            f' Did you mean "{TIMM_PREFIX}{untagged}"?'
            if timm.is_model(untagged)
            else did_you_mean(name, timm.list_models())
        )
        raise UsageError(f'timm {timm.__version__} has no net called "{name[:60]}".{hint}')
    return name


def is_plain(module: object) -> bool:
    """Whether a module is a convolution by its weights as they are, and not by what is made of them."""
    from timm.layers import Conv2dSame

    return type(module) in (nn.Conv2d, Conv2dSame)


@functools.lru_cache(maxsize=64)
def planned(name: str) -> Plan:
    """How a net of timm is taken apart. Raises `UsageError` for one that cannot be a backbone, with the reason."""
    from timm.layers._fx import get_notrace_functions, get_notrace_modules

    with without_memory():
        net = flat_net(name, 2).eval()
    try:
        if not isinstance(net.get_classifier(), nn.Linear):  # type: ignore[operator]
            raise UntraceableError("its classifier is no linear layer")
        return plan(
            net,
            net.default_cfg["input_size"][-1],  # type: ignore[index, arg-type]
            is_plain,
            get_notrace_modules(),
            get_notrace_functions(),
        )
    except UntraceableError as error:
        raise UsageError(f"{TIMM_PREFIX}{name} cannot be a backbone: {error}") from error


def timm_sites(name: str, timm: str | None = None, graph: str | None = None, **_: object) -> tuple[Site, ...]:
    """The sites of a net of timm in network order, called after its blocks.

    `timm` is the version that a net was made with, `graph` the digest of what it was then. Raises `UsageError` as
    `planned` does, and where the installed timm builds another net by that name.
    """
    known = planned(name)
    if graph is not None and graph != known.digest:
        here = importlib.metadata.version("timm")
        raise UsageError(
            f"timm {here} builds another {name} than this net is, which was made with timm {shortened(str(timm))}; "
            "install that one"
        )
    return tuple(known.sites.values())


def timm_record(name: str) -> dict[str, str]:
    """The options by which `timm_sites` finds out whether a net is still built as it is here."""
    return {"timm": importlib.metadata.version("timm"), "graph": planned(name).digest}


def pretrained(name: str) -> str:
    """The reference to timm's own weights of a net, as in `timm:resnet26.bt_in1k`.

    Raises `WeightsError` where timm publishes none under its own name on the Hub.
    """
    import timm

    known = timm.get_pretrained_cfg(name)
    owner, _, repository = (known.hf_hub_id or "" if known else "").partition("/")
    if owner != "timm":
        raise WeightsError(f"timm publishes no weights of {name}; name a local file in place of imagenet")
    return f"{TIMM_PREFIX}{repository}"


def flat_net(name: str, classes: int, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Timm's own net, with `weights` or those of initialisation; what can be written as one convolution is.

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
            module.inplace = False  # type: ignore[assignment]  # several nets of a trie read the same activation
    return flat


def _wake(net: nn.Module) -> None:
    with torch.no_grad():
        for module in net.modules():
            scales = [module.weight] if isinstance(module, nn.BatchNorm2d) and module.affine else []
            gamma = getattr(module, "gamma", None)
            for scale in [*scales, *([gamma] if isinstance(gamma, nn.Parameter) else [])]:
                if scale.abs().max() < _TINY:
                    scale.fill_(1.0)


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
