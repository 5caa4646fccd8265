"""Weights as safetensors files: written in 32 or 16 bits, read back as float32 once the header has been checked."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from stzoo.bundle.reading import MOST_WEIGHT_BYTES, parse_json
from stzoo.errors import BundleError
from stzoo.files import stand_in
from stzoo.validation import problems, shortened

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Arrays = dict[str, Array]

Storage = Literal["float32", "float16"]
Shape = tuple[int, ...]

MOST_HEADER_BYTES = 8 * 2**20
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class _ArrayHeader(BaseModel):
    """Type and shape of an array, as the header says them. Where its bytes lie is safetensors' business."""

    model_config = ConfigDict(strict=True)

    dtype: Literal["F32", "F16", "I64"]
    shape: Annotated[tuple[Annotated[int, Field(ge=1, lt=2**63)], ...], Field(max_length=8)]


_HEADER = TypeAdapter(dict[str, _ArrayHeader])


def store(path: Path, arrays: Mapping[str, Array], storage: Storage = "float32") -> None:
    """Writes arrays as one safetensors file, with `serialise`'s errors."""
    path.write_bytes(serialise(arrays, storage))


def serialise(arrays: Mapping[str, Array], storage: Storage = "float32") -> bytes:
    """Arrays as the bytes of a safetensors file; the same arrays give the same bytes.

    With float16 storage, arrays of two and more dimensions (kernels) take 16 bits; vectors (normalisation, biases)
    and whole numbers keep theirs: they are few, and running variances would not survive.

    Raises `BundleError` for an array that is empty, not numeric, or not finite in its storage.
    """
    from safetensors.numpy import save

    stored = {name: _to_storage(name, array, storage) for name, array in arrays.items()}
    if not stored:
        raise BundleError("a weights file would hold no weights; give at least one array")
    return save(stored, metadata={"format": "pt"})


def shapes(path: Path) -> dict[str, Shape]:
    """Name and shape of every array, as the header says them; that the file holds them is found out by `load`.

    Raises `BundleError` for a header that is none, a name that stands there twice, and a shape or type that stzoo does
    not write. No array is read, and numpy is not imported.
    """
    header = parse_json(_header(path), path)
    if isinstance(header, dict):
        header.pop("__metadata__", None)
    try:
        return {name: entry.shape for name, entry in _HEADER.validate_json(json.dumps(header)).items()}
    except ValidationError as error:
        raise BundleError(f"{path} has a header that stzoo does not take: {problems(error)}") from error


def load(path: Path) -> Arrays:
    """All arrays of a safetensors file; 16-bit floats become float32.

    Raises `BundleError` naming the file and the array: a header that does not match the file, a type that stzoo does
    not write, a value that is not finite.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    shapes(path)
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError) as error:
        reason = _cut_off(path) or shortened(str(error).removeprefix("Error while deserializing header: "), 200)
        raise BundleError(f"{path} cannot be read as safetensors: {reason}") from error
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            _refuse_not_finite(str(path), name, array)
            arrays[name] = array.astype(np.float32)
    return arrays


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored_digest(arrays: Mapping[str, Array], storage: Storage = "float32") -> str:
    """SHA-256 of the file that `store` writes of these arrays, with `serialise`'s errors."""
    return hashlib.sha256(serialise(arrays, storage)).hexdigest()


def parameter_count(tensors: Mapping[str, Shape]) -> int:
    """The learnt numbers among the arrays of a net: everything but the statistics of batch normalisation."""
    return sum(math.prod(shape) for name, shape in tensors.items() if name.rpartition(".")[2] not in _BUFFERS)


def _to_storage(name: str, array: Array, storage: Storage) -> Array:
    import numpy as np

    if array.dtype.kind in "iu":
        return np.array(array, dtype=np.int64, order="C")
    if array.dtype.kind != "f" or array.size == 0:
        raise BundleError(f"the array {shortened(repr(name))} is {array.dtype} of shape {array.shape}; give numbers")
    with np.errstate(over="ignore"):
        stored = np.array(array, dtype=storage if array.ndim >= 2 else np.float32, order="C")
    _refuse_not_finite("the weights", name, stored)
    return stored


def _refuse_not_finite(where: str, name: str, array: Array) -> None:
    import numpy as np

    finite = np.isfinite(array)
    if not finite.all():
        first = array[~finite].reshape(-1)[0]
        raise BundleError(
            f"{where}: the array {shortened(repr(name))} holds {first} as {array.dtype}; weights must be finite"
        )


def _cut_off(path: Path) -> str | None:
    """What is said of a file that ends before the last of its arrays does; None for any other."""
    text = _header(path)
    entries = parse_json(text, path).values()
    offsets = [entry.get("data_offsets") for entry in entries if isinstance(entry, dict)]
    ends = [pair[1] for pair in offsets if isinstance(pair, list) and len(pair) == 2]
    whole = 8 + len(text.encode()) + max((end for end in ends if type(end) is int and 0 <= end < 2**63), default=0)
    size = path.stat().st_size
    return f"it is cut off, {size} of {whole} bytes are there; fetch it again" if size < whole else None


def _header(path: Path) -> str:
    """The JSON at the beginning of the file. Raises `BundleError` where it or the file is larger than stzoo reads."""
    size = path.stat().st_size
    if size > MOST_WEIGHT_BYTES:
        raise BundleError(f"{path} has {size} bytes; at most {MOST_WEIGHT_BYTES} are read")
    if (what := stand_in(path)) is not None:
        raise BundleError(f"{path} is not safetensors, it {what}")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size > 8 and size - 8 < length <= MOST_HEADER_BYTES and file.read(1) == b"{":
            raise BundleError(
                f"{path} is cut off: it has {size} bytes and its header alone {length}, so it is not safetensors yet; "
                "fetch it again"
            )
        file.seek(8)
        if size < 8 or length > min(size - 8, MOST_HEADER_BYTES):
            raise BundleError(f"{path} declares a header of {length} bytes in a file of {size}; it is not safetensors")
        raw = file.read(length)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path} has a header that is not UTF-8; it is not safetensors") from error
