"""Nets of torchvision for video, which have no sites: built by torchvision, with a head of ours after them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stzoo.errors import WeightsError, listed
from stzoo.nets.blank import without_memory
from stzoo.nets.classifier import Classifier
from stzoo.nets.norm import BATCHES
from stzoo.strategies.strategy import Site
from stzoo.validation import shortened

_INDEX = "relative_position_index"
"""What the windows of a Swin transformer say of their own shape; it follows from the net and is no weight."""


class Family(NamedTuple):
    """What stzoo has to know of a net: where torchvision keeps its head, and which clips it takes.

    `head` is the module of the state dict, `part` the attribute that is taken away.
    """

    head: str
    part: str
    smallest_size: int
    fewest_frames: int
    takes_no_other: bool = False


_RESNET = Family("fc", "fc", 8, 1)
_SWIN = Family("head", "head", 32, 2)
_MVIT = Family("head.1", "head", 224, 16, takes_no_other=True)

FAMILIES = {
    "r3d_18": _RESNET,
    "mc3_18": _RESNET,
    "r2plus1d_18": _RESNET,
    "s3d": Family("classifier.1", "classifier", 224, 14),
    "mvit_v1_b": _MVIT,
    "mvit_v2_s": _MVIT,
    "swin3d_t": _SWIN,
    "swin3d_s": _SWIN,
    "swin3d_b": _SWIN,
}
"""Every net of torchvision for video, by torchvision's name.

Reference: Tran et al. 2018 (r3d, mc3, r2plus1d), Xie et al. 2018 (s3d), Fan et al. 2021 and Li et al. 2022 (mvit),
Liu et al. 2022 (swin3d).
"""


def no_sites(name: str, **options: object) -> tuple[Site, ...]:
    """The sites of such a net: none."""
    return ()


class TorchvisionNet(Classifier):
    """A net of torchvision up to its pooled features, the `trunk`, and a linear `head` in place of its own.

    In training nothing is drawn but the dropout before the head: blocks of transformers are not skipped at random.
    """

    def __init__(self, fuse: object, name: str, classes: int, dropout: float = 0.0) -> None:
        from torchvision.models import get_model
        from torchvision.ops import StochasticDepth

        family = FAMILIES[name]
        super().__init__(family.smallest_size, family.fewest_frames, dropout)
        self.takes_no_other = family.takes_no_other
        self.trunk = get_model(name, weights=None, num_classes=classes)
        self.head = _linear(self.trunk.get_submodule(family.head))
        setattr(self.trunk, family.part, nn.Identity())
        if isinstance(getattr(self.trunk, "avgpool", None), nn.AdaptiveAvgPool3d):
            self.trunk.avgpool = _Mean()
        for module in self.trunk.modules():
            if isinstance(module, StochasticDepth):
                module.p = 0.0
            if _INDEX in module._buffers:
                with torch.device("cpu"):
                    module.define_relative_position_index()
                module._non_persistent_buffers_set.add(_INDEX)

    def pooled(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Float[Tensor, "clips features"]:
        self._check(clips)
        return self.trunk(clips)


class _Mean(nn.Module):
    """What an adaptive pool to one position computes, without the strides that it gives back and ONNX has not."""

    def forward(self, x: Float[Tensor, "clips channels frames height width"]) -> Float[Tensor, "clips channels 1 1 1"]:
        return x.mean(dim=(2, 3, 4), keepdim=True)


def _linear(head: nn.Module) -> nn.Linear:
    """A linear layer like a head, which may be written as a convolution of one position."""
    if isinstance(head, nn.Linear):
        return head
    assert isinstance(head, nn.Conv3d)
    linear = nn.Linear(head.in_channels, head.out_channels, device=head.weight.device)
    with torch.no_grad():
        linear.weight.copy_(head.weight.flatten(1))
    return linear


def from_torchvision(name: str, state: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The weights of a file, a whole state dict of torchvision's net, under the names of `TorchvisionNet`.

    What follows from the net is left out. Raises `WeightsError` that names the tensors of the file that are missing,
    left over or of another shape.
    """
    from torchvision.models import get_model

    with without_memory():
        wanted = get_model(name, weights=None).state_dict()
    state = {key: torch.zeros((), dtype=torch.long) for key in wanted if key.endswith(BATCHES)} | dict(state)
    misshaped = [
        f"{key} of shape {tuple(state[key].shape)} in place of {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    problems = {
        "lacks": [key for key in wanted if key not in state],
        "has besides": [shortened(key) for key in state if key not in wanted],
        "has": misshaped,
    }
    if any(problems.values()):
        found = "; ".join(f"it {verb} {listed(keys, most=3)}" for verb, keys in problems.items() if keys)
        raise WeightsError(f"{file} holds no weights of torchvision's {name}: {found}")
    head = FAMILIES[name].head
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        if module == head:
            renamed[f"head.{leaf}"] = value.flatten(1) if leaf == "weight" else value
        elif leaf != _INDEX:
            renamed[f"trunk.{key}"] = value
    return renamed
