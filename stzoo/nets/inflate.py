"""Two-dimensional ImageNet weights, put into a template or fixed net.

What each tensor of a net is called in its 2D sibling, which torchvision or timm has, stands in one table a family.
Every tensor on either side must have its counterpart, but for gates, T branches and statistics over time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from stzoo.errors import WeightsError, listed
from stzoo.nets import architecture, fixed_net
from stzoo.nets.blank import without_memory
from stzoo.nets.classifier import Classifier
from stzoo.nets.densenet import DenseNet3d
from stzoo.nets.mobilenet import MobileNet3d
from stzoo.nets.mobilenet_v4 import MobileNetV4
from stzoo.nets.norm import BATCHES
from stzoo.nets.resnet import ResNet3d
from stzoo.nets.timm import TimmNet, flat_names
from stzoo.nets.timm_library import flat_weights
from stzoo.validation import shortened

Temporal = Literal["average", "centre"]
Shape = tuple[int, ...]

HEAD = ("head.weight", "head.bias")
POOLING = "pooling.norm"
"""Ours alone: 2D weights know nothing of time."""

DENSENET = {
    r"stem\.0": "features.conv0",
    r"stem\.1": "features.norm0",
    r"B(?P<block>\d+)\.L(?P<layer>\d+)\.unit\.(shared|branches\.\w+\.norm)": (
        "features.denseblock{block}.denselayer{layer}.norm1"
    ),
    r"B(?P<block>\d+)\.L(?P<layer>\d+)\.unit\.branches\.\w+\.conv": (
        "features.denseblock{block}.denselayer{layer}.conv1"
    ),
    r"B(?P<block>\d+)\.L(?P<layer>\d+)\.norm": "features.denseblock{block}.denselayer{layer}.norm2",
    r"B(?P<block>\d+)\.L(?P<layer>\d+)\.tail(\.branches\.tail)?": "features.denseblock{block}.denselayer{layer}.conv2",
    r"T(?P<block>\d+)\.unit\.(shared|branches\.\w+\.norm)": "features.transition{block}.norm",
    r"T(?P<block>\d+)\.unit\.branches\.\w+\.conv": "features.transition{block}.conv",
    r"norm": "features.norm5",
    r"head": "classifier",
}
"""A module of ours (a regular expression for its whole path) -> the 2D module with the same weights.

`{block}` is what the group `block` matched, `{block0}` the same number counted from zero. `{part}` is the place of the
module's site in network order, counted from two; of what comes after the last site, the next number.
"""

RESNET = {
    r"stem\.0": "conv1",
    r"stem\.1": "bn1",
    r"stage(?P<stage>\d+)\.block(?P<block>\d+)\.unit\.branches\.\w+\.conv": "layer{stage}.{block0}.conv1",
    r"stage(?P<stage>\d+)\.block(?P<block>\d+)\.conv(?P<conv>[23])": "layer{stage}.{block0}.conv{conv}",
    r"stage(?P<stage>\d+)\.block(?P<block>\d+)\.norm(?P<norm>[123])": "layer{stage}.{block0}.bn{norm}",
    r"stage(?P<stage>\d+)\.block(?P<block>\d+)\.shortcut\.conv": "layer{stage}.{block0}.downsample.0",
    r"stage(?P<stage>\d+)\.block(?P<block>\d+)\.shortcut\.norm": "layer{stage}.{block0}.downsample.1",
    r"head": "fc",
}

MOBILENET = {
    r"stem\.conv": "features.0.0",
    r"stem\.norm": "features.0.1",
    r"first\.depthwise\.conv": "features.1.conv.0.0",
    r"first\.depthwise\.norm": "features.1.conv.0.1",
    r"first\.project\.conv": "features.1.conv.1",
    r"first\.project\.norm": "features.1.conv.2",
    r"stage\d+\.block\d+\.unit\.branches\.\w+\.conv": "features.{part}.conv.0.0",
    r"stage\d+\.block\d+\.unit\.branches\.\w+\.norm": "features.{part}.conv.0.1",
    r"stage\d+\.block\d+\.depthwise\.conv": "features.{part}.conv.1.0",
    r"stage\d+\.block\d+\.depthwise\.norm": "features.{part}.conv.1.1",
    r"stage\d+\.block\d+\.project\.conv": "features.{part}.conv.2",
    r"stage\d+\.block\d+\.project\.norm": "features.{part}.conv.3",
    r"last\.conv": "features.{part}.0",
    r"last\.norm": "features.{part}.1",
    r"head": "classifier.1",
}

MOBILENET_V4 = {
    r"stem\.conv": "conv_stem",
    r"stem\.norm": "bn1",
    r"first\.block(?P<block>\d+)\.wide\.conv": "blocks.{block0}.0.conv",
    r"first\.block(?P<block>\d+)\.wide\.norm": "blocks.{block0}.0.bn1",
    r"first\.block(?P<block>\d+)\.project\.conv": "blocks.{block0}.1.conv",
    r"first\.block(?P<block>\d+)\.project\.norm": "blocks.{block0}.1.bn1",
    r"last\.conv": "blocks.4.0.conv",
    r"last\.norm": "blocks.4.0.bn1",
    r"features\.conv": "conv_head",
    r"features\.norm": "norm_head",
    r"head": "classifier",
} | {
    rf"stage{stage}\.block(?P<block>\d+)\.{part}\.{tensor}": f"blocks.{stage + 1}.{{block0}}.{there}.{of_timm}"
    for stage in (1, 2)
    for part, there in (
        (r"unit\.shared", "dw_start"),
        (r"unit\.branches\.\w+", "pw_exp"),
        ("depthwise", "dw_mid"),
        ("project", "pw_proj"),
    )
    for tensor, of_timm in (("conv", "conv"), ("norm", "bn"))
}
"""Of timm's mobilenetv4_conv_small, whose blocks 2 and 3 have the sites."""

FAMILIES: dict[type[Classifier], Mapping[str, str]] = {
    DenseNet3d: DENSENET,
    ResNet3d: RESNET,
    MobileNet3d: MOBILENET,
    MobileNetV4: MOBILENET_V4,
}

_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""`denselayer1.norm.1.weight`: how torchvision's checkpoints of 2017 write `denselayer1.norm1.weight`."""


def inflate(
    net: Classifier, weights: Mapping[str, Tensor], *, temporal: Temporal = "average", keep_head: bool = False
) -> None:
    """Puts a state dict of the 2D sibling into `net`, a template or fixed net; gates keep their values.

    That of a net of timm is timm's own, as timm saves it.

    A spatial kernel [outputs, inputs, height, width] becomes one with a time axis: repeated over its length and divided
    by it. With `temporal = "centre"` the ST branches take it at their middle tap alone, so that at first they look at
    one frame. All branches of a site get the same weights; scale, shift and statistics of batch norms are copied. The
    2D classifier is left out unless `keep_head` asks for it. T branches have no 2D counterpart and keep their weights.

    Away from a clip's first and last frames, both branches of a site give the same for a clip that stands still. S+ST
    therefore starts with twice the activations that the 2D net had there, which the norms after it do not expect until
    their statistics are estimated again: train such a net, or re-estimate, before it is evaluated.

    Raises `WeightsError` naming the tensor that has no counterpart, is of another shape or holds no finite numbers; the
    net is then unchanged. Reference: Carreira and Zisserman 2017, section 2.1; the authors' code for the branches.
    """
    if isinstance(net, TimmNet):
        weights = flat_weights(net.name, weights)
    renamed = {_OLD_DENSENET.sub(r"\1\2", name): value for name, value in weights.items()}
    if len(renamed) < len(weights):
        twice = next(name for name in weights if name not in renamed and _OLD_DENSENET.sub(r"\1\2", name) in weights)
        raise WeightsError(f"the 2D weights hold {shortened(repr(twice))} under its old and its new name; give one")
    shapes = {name: tuple(value.shape) for name, value in renamed.items()}
    sources = counterparts(net, shapes, keep_head=keep_head)
    for name in dict.fromkeys(sources.values()):
        if not torch.isfinite(renamed[name]).all():
            raise WeightsError(f"the 2D weights hold numbers in {shortened(repr(name))} that are not finite")
    tensors = net.state_dict()
    with torch.no_grad():
        for name, source in sources.items():
            centred = temporal == "centre" and ".branches." in name
            tensors[name].copy_(_with_time(renamed[source], tensors[name].shape, centred))


def counterparts(net: Classifier, shapes: Mapping[str, Shape], *, keep_head: bool = False) -> dict[str, str]:
    """The 2D name of every tensor of `net` that the 2D weights fill; `shapes` are those of the latter, by name.

    Raises `WeightsError` where one side has something that the other has not, or has it in another shape.
    """
    shape = architecture(net)
    with without_memory():
        whole = fixed_net(shape, shape.uniform("S+ST"))
    whole_shapes = {name: tuple(value.shape) for name, value in whole.state_dict().items()}
    names = _names(whole, whole_shapes)
    head = {names[name] for name in HEAD}
    needed = {name: there for name, there in names.items() if keep_head or name not in HEAD}
    missing = [there for there in needed.values() if there not in shapes and not there.endswith(BATCHES)]
    if missing:
        raise WeightsError(f"the 2D weights lack {_listing(missing)}, which {shape.backbone} needs")
    places = {*needed.values(), *head}
    if extra := [name for name in shapes if name not in places]:
        raise WeightsError(f"the 2D weights hold {_listing(extra)}, for which {shape.backbone} has no place")
    for name, there in needed.items():
        flat = _without_time(whole_shapes[name])
        if there in shapes and shapes[there] != flat:
            raise WeightsError(
                f"the 2D weights hold {there!r} of shape {shapes[there]}; {shape.backbone} with {shape.classes} "
                f"classes takes {flat}"
            )
    return {name: needed[name] for name in net.state_dict() if name in needed and needed[name] in shapes}


def _names(whole: Classifier, tensors: Iterable[str]) -> dict[str, str]:
    """The 2D names of the tensors of a net whose branches are all open."""
    shape = architecture(whole)
    if isinstance(whole, TimmNet):
        return flat_names(whole, tensors)
    table = FAMILIES.get(type(whole))
    if table is None:
        raise WeightsError(f"{shape.backbone} takes no 2D weights; start it from scratch or from a bundle")
    parts = {site.name: part for part, site in enumerate(shape.sites, start=2)}
    names = {}
    for name in tensors:
        module, _, tensor = name.rpartition(".")
        if module == POOLING:
            continue
        matches = ((re.fullmatch(pattern, module), there) for pattern, there in table.items())
        fitting = [(match, there) for match, there in matches if match]
        if len(fitting) != 1:
            raise WeightsError(f"the tensor {name} of {shape.backbone} has {len(fitting)} counterparts in 2D weights")
        match, there = fitting[0]
        numbers = {group: int(number) for group, number in match.groupdict().items()}
        from_zero = {f"{group}0": number - 1 for group, number in numbers.items()}
        part = next((part for site, part in parts.items() if module.startswith(f"{site}.")), len(parts) + 2)
        names[name] = f"{there.format(**numbers, **from_zero, part=part)}.{tensor}"
    return names


def _with_time(value: Tensor, shape: torch.Size, centred: bool) -> Tensor:
    """A kernel with a time axis of the length that `shape` has; what needs none as it is."""
    if value.ndim == len(shape):
        return value
    length = shape[2]
    if centred:
        inflated = value.new_zeros(shape)
        inflated[:, :, length // 2] = value
        return inflated
    return value.unsqueeze(2).expand(shape) / length


def _without_time(shape: Shape) -> Shape:
    return (*shape[:2], *shape[3:]) if len(shape) == 5 else shape


def _listing(names: Iterable[str]) -> str:
    return listed([shortened(repr(name)) for name in dict.fromkeys(names)], most=3)
