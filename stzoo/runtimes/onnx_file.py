"""An ONNX file that nobody vouches for: what it says about itself, and whether that is the model it is used for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from google.protobuf.message import DecodeError, Message
from pydantic import ValidationError

from stzoo.contract import InputContract
from stzoo.errors import BundleError
from stzoo.validation import shortened

if TYPE_CHECKING:
    from stzoo.bundle import Bundle

Precision = Literal["fp32", "bf16", "int8"]
Form = Literal["images", "volumes"]
"""Whether a file has 2D operations on images and on lines through time, or 3D operations."""
INPUT, OUTPUT = "clips", "logits"

MOST_BYTES = 2 * 2**30
"""The largest ONNX file that can hold its own weights: protobuf's limit."""


@dataclass(frozen=True)
class OnnxFile:
    """The bytes of a model that takes normalised clips and gives logits, and what its metadata says."""

    path: Path
    content: bytes = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    contract: InputContract
    digest: str
    """SHA-256 of the weights file that it was exported from; empty where there was none."""
    precision: Precision
    form: Form
    shape: tuple[int | None, ...]
    """Of the clips; None where the graph takes any size."""

    def takes(self, contract: InputContract) -> bool:
        """Whether the graph takes the contract's clips."""
        wanted = (None, 3, contract.frames, contract.crop, contract.crop)
        return all(free in (None, size) for free, size in zip(self.shape[1:], wanted[1:], strict=True))

    @property
    def frames_and_size(self) -> str:
        """What clips the graph takes, for people: `8 frames of 64x64 pixels`."""
        frames, height, width = (str(size or "any") for size in self.shape[2:])
        return f"{frames} frames of {width}x{height} pixels"

    def check(self, bundle: Bundle, digest: str) -> None:
        """Raises `BundleError` unless the file is this bundle's net, labels and input included."""
        contract = bundle.contract
        for what, agrees in (
            ("labels", self.labels == bundle.labels),
            ("weights", self.digest == digest),
            ("normalisation", (self.contract.mean, self.contract.std) == (contract.mean, contract.std)),
        ):
            if not agrees:
                raise BundleError(
                    f"{self.path} was exported from a model with other {what} than {bundle.name}; remove it, or write "
                    f"it again with `stzoo export`"
                )


def read(path: Path) -> OnnxFile:
    """Reads a file that `stzoo export` has written.

    Raises `BundleError` for a file that is no ONNX model, was not written by `stzoo export`, takes or gives something
    else than clips and logits, or keeps any of its weights in other files.
    """
    import onnx

    size = path.stat().st_size
    if size >= MOST_BYTES:
        raise BundleError(f"{path} has {size} bytes; an ONNX file has less than {MOST_BYTES}")
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise BundleError(f"{path} is not an ONNX model; write it again with `stzoo export`") from error
    outside = _outside(model)
    if outside is not None:
        raise BundleError(f"{path} keeps {shortened(repr(outside))} in another file; a bundle's ONNX file holds it all")
    return OnnxFile(path, content, shape=_shape(path, model), **_described(path, model))


def _outside(message: Message) -> str | None:
    """The name of a tensor, at any depth, whose data lies in another file."""
    import onnx

    if isinstance(message, onnx.TensorProto):
        return message.name or "a tensor" if message.data_location == onnx.TensorProto.EXTERNAL else None
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                name = _outside(part)
                if name is not None:
                    return name
    return None


def _shape(path: Path, model: Any) -> tuple[int | None, ...]:
    import onnx

    graph = model.graph
    if [value.name for value in graph.input] != [INPUT] or [value.name for value in graph.output] != [OUTPUT]:
        raise BundleError(f"{path} does not take `{INPUT}` and give `{OUTPUT}` alone; it is no model for prediction")
    tensor = graph.input[0].type.tensor_type
    shape = tuple(dim.dim_value or None for dim in tensor.shape.dim)
    if tensor.elem_type != onnx.TensorProto.FLOAT or len(shape) != 5 or shape[0] is not None or shape[1] != 3:
        raise BundleError(f"{path} takes a tensor of shape {list(shape)}; clips are float32 [clips, 3, frames, H, W]")
    return shape


def _described(path: Path, model: Any) -> dict[str, Any]:
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        labels = json.loads(metadata["labels"])
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise ValueError("labels")
        precision = metadata["precision"]
        if precision not in ("fp32", "int8"):
            raise ValueError("precision")
        form = metadata.get("form", "images")
        if form not in get_args(Form):
            raise ValueError("form")
        contract = InputContract.model_validate_json(metadata["input"])
        return {
            "labels": tuple(labels),
            "contract": contract,
            "digest": metadata["model_digest"],
            "precision": precision,
            "form": form,
        }
    except (KeyError, ValueError, ValidationError) as error:
        what = error.args[0] if isinstance(error, KeyError) else "right metadata"
        raise BundleError(f"{path} has no {what} of stzoo in it; write it again with `stzoo export`") from error
