"""Nets that torchvision publishes weights for: what they are, and their weights as a bundle in the user's cache.

Everything that is done with a bundle can then be done with one of them. A bundle is made once from a file of weights,
so torchvision is not imported again. What torchvision says of its nets is quoted here; a test holds it to torchvision.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import stzoo
from stzoo import bundle as bundles
from stzoo.bundle import Backbone, Bundle, Classes, Config, Versions
from stzoo.contract import InputContract
from stzoo.errors import BundleError, ModelNotFoundError, UsageError, WeightsError, did_you_mean, require
from stzoo.files import cache_folder
from stzoo.strategies.strategy import Strategy

if TYPE_CHECKING:
    from stzoo.bundle.tensors import Arrays

PREFIX = "torchvision:"
EDITION = "KINETICS400_V1"
DATASET = "Kinetics-400"
LICENCE = (
    "may have its own licence or terms and conditions derived from the dataset used for training; it is your "
    "responsibility to determine whether you have permission to use it for your use case (torchvision's README)"
)

_MEAN, _STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
_RESNET = InputContract(
    frames=16, fps=15.0, clips=5, resize=(128, 171), crop=112, interpolation="bilinear", mean=_MEAN, std=_STD
)
_S3D = InputContract(
    frames=128, fps=15.0, clips=1, resize=(256, 256), crop=224, interpolation="bilinear", mean=_MEAN, std=_STD
)
_MVIT = InputContract(
    frames=16,
    fps=7.5,
    clips=5,
    resize=256,
    crop=224,
    interpolation="bilinear",
    mean=(0.45, 0.45, 0.45),
    std=(0.225, 0.225, 0.225),
)
_SWIN = InputContract(frames=32, fps=15.0, clips=12, resize=256, crop=224, interpolation="bilinear")


@dataclass(frozen=True)
class Published:
    """What torchvision publishes of a net, and what it costs as we count it.

    `file` is called after the beginning of its SHA-256. `top1` and `top5` are torchvision's, in percent of the videos
    of Kinetics-400's validation split, or of clips; `contract` is its way of seeing and its protocol. `parameters` and
    `multiply_adds`, of one clip, are counted by `stzoo.nets.measure`.
    """

    name: str
    file: str
    contract: InputContract
    top1: float
    top5: float
    parameters: int
    multiply_adds: int
    level: str = "video"

    @property
    def reference(self) -> str:
        return f"{PREFIX}{self.name}"

    @property
    def theirs(self) -> str:
        """Torchvision's accuracy and protocol, for people."""
        clips = f"{self.contract.clips} clip{'s' if self.contract.clips > 1 else ''}"
        return (
            f"{self.top1:.1f} % top-1, {self.top5:.1f} % top-5 ({DATASET}, {self.level} level, {clips} of "
            f"{self.contract.frames} frames, {self.contract.fps:g} frames a second)"
        )

    @property
    def config(self) -> Config:
        """All that a bundle says of it, whatever its weights."""
        from stzoo.data.official import kinetics400_classes

        return Config(
            name=f"torchvision-{self.name}",
            backbone=Backbone(name=self.name),
            classes=Classes.of(kinetics400_classes()),
            strategy=Strategy(self.name, {}),
            input=self.contract,
            versions=Versions(stzoo=stzoo.__version__),
            multiply_adds=self.multiply_adds,
        )


NETS = {
    net.name: net
    for net in (
        Published("r3d_18", "r3d_18-b3b3357e.pth", _RESNET, 63.2, 83.479, 33_371_472, 40_696_553_472),
        Published("mc3_18", "mc3_18-a90a0ba3.pth", _RESNET, 63.96, 84.13, 11_695_440, 43_342_635_008),
        Published("r2plus1d_18", "r2plus1d_18-91a641e6.pth", _RESNET, 67.463, 86.175, 31_505_325, 40_519_080_960),
        Published("s3d", "s3d-d76dad2f.pth", _S3D, 68.368, 88.05, 8_320_048, 143_827_304_448, "clip"),
        Published("mvit_v1_b", "mvit_v1_b-dbeb1030.pth", _MVIT, 78.477, 93.582, 36_610_672, 70_599_407_808),
        Published("mvit_v2_s", "mvit_v2_s-ae3be167.pth", _MVIT, 80.757, 94.665, 34_537_744, 64_223_815_872),
        Published("swin3d_t", "swin3d_t-7615ae03.pth", _SWIN, 77.715, 93.519, 28_158_070, 87_764_152_320),
        Published("swin3d_s", "swin3d_s-da41c237.pth", _SWIN, 79.521, 94.158, 49_816_678, 165_682_262_016),
        Published("swin3d_b", "swin3d_b_1k-24f7c7c6.pth", _SWIN, 79.427, 94.386, 88_048_984, 281_332_826_112),
    )
}


def named(text: str) -> Published | None:
    """The net that a reference such as `torchvision:r3d_18` means; None for a reference to anything else.

    Raises `ModelNotFoundError` where torchvision has no such net.
    """
    if not text.startswith(PREFIX):
        return None
    name = text.removeprefix(PREFIX)
    if name not in NETS:
        raise ModelNotFoundError(
            f'torchvision has no net for video called "{name}".{did_you_mean(name, NETS)} It has {", ".join(NETS)}; '
            "`stzoo list --source torchvision` says what they are."
        )
    return NETS[name]


def bundle_of(net: Published, *, offline: bool | None = None) -> Path:
    """The folder of a bundle with torchvision's weights, made if need be from its file, which is fetched if need be.

    The file is torchvision's loader's, in torch hub's cache, and its hash is checked. Raises `WeightsError` where there
    is none to be had.
    """
    digest_begins = Path(net.file).stem.rpartition("-")[2]
    folder = _cached(net, digest_begins)
    if _is_whole(folder, net):
        return folder
    require("torch", "torchvision")
    from torchvision.models import get_model_weights

    from stzoo.nets.imagenet import fetched

    entry, what = get_model_weights(net.name)[EDITION], f"the weights of {net.reference}"
    instead = "name a local file with --weights"
    return _made(net, fetched(entry, what, instead, offline=offline is True), folder)


def bundle_with(net: Published, weights: Path | str) -> Path:
    """The same with the weights of a local file: a state dict of torchvision's net, which nobody vouches for.

    Raises `WeightsError` for a file that cannot be read, is not what its name says, or is of another net.
    """
    file = Path(os.path.expanduser(weights))
    if not file.is_file():
        raise WeightsError(f"there is no file {file} with weights of {net.reference}; check --weights")
    folder = _cached(net, f"file-{_sha256(file)[:32]}")
    return folder if _is_whole(folder, net) else _made(net, file, folder)


def with_weights(ref: str, weights: Path | str) -> Path:
    """The bundle of a reference to a net of torchvision with the weights of a file. Raises `UsageError` for others."""
    net = named(ref)
    if net is None:
        raise UsageError(
            f'weights from a file are for nets of torchvision, such as {PREFIX}r3d_18, and "{ref}" is none; leave '
            "--weights out"
        )
    return bundle_with(net, weights)


def _cached(net: Published, which: str) -> Path:
    return cache_folder("torchvision") / f"{net.name}-{which}"


def _is_whole(folder: Path, net: Published) -> bool:
    """Whether there is a bundle that says what this version of stzoo does; another one is made again."""
    try:
        config = bundles.read(folder).config
        bundles.require(folder, bundles.MODEL)
    except BundleError:
        return False
    return config.model_copy(update={"versions": net.config.versions, "provenance": {}}) == net.config


def _made(net: Published, file: Path, folder: Path) -> Path:
    require("torch", "torchvision")
    from stzoo.nets.imagenet import read_weights
    from stzoo.nets.torchvision import from_torchvision

    digest = _sha256(file)
    promised = Path(net.file).stem.rpartition("-")[2]
    if file.name == net.file and not digest.startswith(promised):
        raise WeightsError(
            f"{file} has the SHA-256 {digest[:12]}, and not one that begins with {promised}, as its name says; remove "
            "it and fetch it again"
        )
    state = from_torchvision(net.name, read_weights(file, f"weights of {net.reference}"), file)
    provenance = {
        "weights": f"torchvision's {EDITION}" if digest.startswith(promised) else "from a local file",
        "weights file": f"SHA-256 {digest}",
        "licence": f"a pre-trained model {LICENCE}" if digest.startswith(promised) else "not known",
    }
    bundle = Bundle(net.config.model_copy(update={"provenance": provenance}))
    arrays: Arrays = {name: tensor.contiguous().numpy() for name, tensor in state.items()}
    try:
        return bundles.save(folder, bundle, arrays, replace=True)
    except OSError as error:
        raise WeightsError(
            f"the weights of {net.reference} cannot be kept in {folder.parent} ({error.strerror}); make room there, or "
            "name another folder with STZOO_CACHE"
        ) from error


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"the weights {file} cannot be read: {error.strerror}") from error
