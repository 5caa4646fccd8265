"""Where 2D weights come from: torchvision's loader and cache, timm, or a local file that nobody vouches for."""

from __future__ import annotations

import contextlib
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stzoo.errors import WeightsError
from stzoo.files import stand_in
from stzoo.validation import shortened

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

MOST_BYTES = 2**31
"""The largest file of weights that is read; ResNeXt101's has 340 MiB."""

SUFFIXES = (".safetensors", ".pth", ".pt")

TORCHVISION = {
    "densenet121": "densenet121",
    "densenet169": "densenet169",
    "densenet201": "densenet201",
    "resnet50": "resnet50",
    "resnext50": "resnext50_32x4d",
    "resnext101": "resnext101_32x8d",
    "mobilenet_v2": "mobilenet_v2",
}
"""A backbone -> torchvision's 2D net with the same weights."""

EDITION = "IMAGENET1K_V1"

TIMM_IMAGENET = {"mobilenet_v4": "timm:mobilenetv4_conv_small.e2400_r224_in1k"}
"""A backbone of which torchvision has no 2D net -> where timm's ImageNet weights of it are."""


def imagenet_place(backbone: str) -> tuple[WeightsEnum, Path]:
    """The entry of a backbone's ImageNet weights in torchvision, and their file in torch hub's cache, there or not.

    Raises `WeightsError` when torchvision has none for this backbone.
    """
    from torchvision.models import get_model_weights

    if backbone not in TORCHVISION:
        raise WeightsError(
            f"torchvision has no ImageNet weights for {backbone}; it has them for {', '.join(TORCHVISION)}"
        )
    entry = get_model_weights(TORCHVISION[backbone])[EDITION]
    return entry, place_of(entry)


def imagenet_file(backbone: str, *, progress: bool = True) -> Path:
    """The file with torchvision's ImageNet weights for a backbone, in torch hub's cache; fetched if it is not there.

    Raises `WeightsError` when torchvision has none for this backbone, or when they cannot be fetched.
    """
    entry, _ = imagenet_place(backbone)
    instead = "name a local file in place of imagenet"
    return fetched(entry, f"the ImageNet weights of {backbone}", instead, progress=progress)


def place_of(entry: WeightsEnum) -> Path:
    """The file of weights of torchvision in torch hub's cache, there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rpartition("/")[2]


def fetched(entry: WeightsEnum, what: str, instead: str, *, offline: bool = False, progress: bool = True) -> Path:
    """The same file, fetched and its hash checked by torchvision if it is not there.

    Raises `WeightsError` when it cannot be fetched, or must not be `offline`; the sentence is about `what`, and ends
    with what to do `instead`.
    """
    file = place_of(entry)
    if not file.exists():
        try:
            if offline:
                raise ConnectionError("no network may be used")
            entry.get_state_dict(progress=progress, check_hash=True, map_location="cpu", weights_only=True)
        except Exception as error:
            raise WeightsError(
                f"{what} cannot be fetched ({shortened(str(error))}); put {entry.url} into {file.parent} as "
                f"{file.name}, or {instead}"
            ) from error
    return file


def read_weights(file: Path, what: str = "2D weights") -> dict[str, Tensor]:
    """The state dict in a `.safetensors`, `.pth` or `.pt` file, on the CPU and in float32; no pickled code is executed.

    Raises `WeightsError`, which says of `what` they are, when the file is missing, too large, of another kind or no
    plain state dict.
    """
    try:
        size = file.stat().st_size
    except OSError as error:
        raise WeightsError(f"the {what} {file} cannot be read: {error.strerror}") from error
    if size > MOST_BYTES or _unpacked_size(file) > MOST_BYTES:
        raise WeightsError(f"the {what} {file} take more than {MOST_BYTES} bytes, which is the most that is read")
    if file.suffix not in SUFFIXES:
        raise WeightsError(f"{file} is no file of {what}; give one that ends in {', '.join(SUFFIXES)}")
    if (stands_in := stand_in(file)) is not None:
        raise WeightsError(f"the {what} {file} cannot be read: the file {stands_in}")
    try:
        value = _safetensors(file) if file.suffix == ".safetensors" else _pickled(file)
    except Exception as error:
        reason = shortened(str(error).partition("\n")[0])
        kind = type(error).__name__
        if _is_cut_off(file, str(error)):
            raise WeightsError(
                f"the {what} {file} cannot be read, they are cut off ({kind}: {reason}); fetch them again"
            ) from error
        raise WeightsError(f"the {what} {file} cannot be read ({kind}: {reason})") from error
    if not isinstance(value, dict) or not value:
        held = "an empty dict" if value == {} else type(value).__name__
        raise WeightsError(f"{file} holds {held} in place of a state dict; save net.state_dict() in it")
    return {_checked_name(file, name): _checked(file, name, tensor, size) for name, tensor in value.items()}


def _unpacked_size(file: Path) -> int:
    """The bytes in a zip file once unpacked, which is how torch stores a state dict; 0 for any other file."""
    with contextlib.suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(file) as archive:
        return sum(entry.file_size for entry in archive.infolist())
    return 0


def _is_cut_off(file: Path, reason: str) -> bool:
    """Whether a file that cannot be read looks as if its end were missing: a zip file has its table there."""
    with file.open("rb") as opened:
        is_zip = opened.read(4) == b"PK\x03\x04"
    return (is_zip and not zipfile.is_zipfile(file)) or any(
        words in reason for words in ("unexpected EOF", "incomplete")
    )


def _safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(file)


def _pickled(file: Path) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch speaks of its own formats, which is no business of a reader
        return torch.load(file, map_location="cpu", weights_only=True)


def _checked_name(file: Path, name: object) -> str:
    if not isinstance(name, str):
        raise WeightsError(f"{file} holds {shortened(repr(name))} as the name of a tensor; save net.state_dict() in it")
    return name


def _checked(file: Path, name: str, value: object, file_size: int) -> Tensor:
    """A dense tensor that owns as many bytes as it claims, floating-point ones in float32."""
    shown = shortened(repr(name))
    if not isinstance(value, Tensor):
        kind = type(value).__name__
        raise WeightsError(f"{file} has {shown} of type {kind}; save net.state_dict() in it, which has tensors alone")
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
        kind = f"{value.dtype}, {value.layout}, {value.device.type}"
        raise WeightsError(f"{file} has {shown} as a tensor of kind {kind}; give dense floating-point numbers")
    if value.numel() * value.element_size() > file_size:
        raise WeightsError(f"{file} declares the shape {tuple(value.shape)} for {shown}, more than the file can hold")
    return value.detach().float() if value.is_floating_point() else value.detach()
