"""Weights as safetensors files: written in 32 or 16 bits, read back as float32 once the header has been checked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stzoo.bundle.reading import MOST_WEIGHT_BYTES, parse_json
from stzoo.errors import BundleError
from stzoo.validation import shortened

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Arrays = dict[str, Array]

Storage = Literal["float32", "float16"]
Shape = tuple[int, ...]

MOST_HEADER_BYTES = 8 * 2**20
_ITEM_BYTES = {"F32": 4, "F16": 2, "I64": 8}
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


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
    """Name and shape of every array, from the checked header alone. Raises `BundleError` if the header lies."""
    return {name: tuple(entry["shape"]) for name, entry in _checked_header(path).items()}


def load(path: Path) -> Arrays:
    """All arrays of a safetensors file; 16-bit floats become float32.

    Raises `BundleError` naming the file and the array: a header that does not match the file, a type that stzoo does
    not write, a value that is not finite.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    _checked_header(path)
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path} cannot be read as safetensors: {error}") from error
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            _refuse_not_finite(str(path), name, array)
            arrays[name] = array.astype(np.float32)
    return arrays


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def _checked_header(path: Path) -> dict[str, dict[str, Any]]:
    """The header's entries, in the order of their bytes, once they have been shown to tile the file exactly."""
    size = path.stat().st_size
    if size > MOST_WEIGHT_BYTES:
        raise BundleError(f"{path} has {size} bytes; at most {MOST_WEIGHT_BYTES} are read")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MOST_HEADER_BYTES):
            raise BundleError(f"{path} declares a header of {length} bytes in a file of {size}; it is not safetensors")
        raw = file.read(length)
    try:
        header = parse_json(raw.decode("utf-8"), path)
    except UnicodeDecodeError as error:
        raise BundleError(f"{path} has a header that is not UTF-8; it is not safetensors") from error
    if not isinstance(header, dict):
        raise BundleError(f"{path} has a header that is not a JSON object; it is not safetensors")
    header.pop("__metadata__", None)
    spans = {name: _checked_entry(path, name, entry) for name, entry in header.items()}
    end = 0
    for name in sorted(spans, key=lambda name: spans[name]):
        if spans[name][0] != end:
            shown = shortened(repr(name))
            raise BundleError(
                f"{path} places the array {shown} at byte {spans[name][0]} of its data, where {end} follows"
            )
        end = spans[name][1]
    if end != size - 8 - length:
        raise BundleError(f"{path} has {size - 8 - length} bytes of data, its header describes {end}")
    return header


def _checked_entry(path: Path, name: str, entry: Any) -> tuple[int, int]:
    """First and last byte of one array. Raises `BundleError` unless type, shape and bytes agree."""
    shown = shortened(repr(name))
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise BundleError(f"{path} describes the array {shown} without type, shape and place; it is not safetensors")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise BundleError(
            f"{path} stores the array {shown} as {shortened(repr(dtype))}; stzoo reads {', '.join(_ITEM_BYTES)}"
        )
    if not _whole_numbers(shape, least=1) or len(shape) > 8:
        raise BundleError(
            f"{path} gives the array {shown} the shape {shortened(repr(shape))}; a shape is at most 8 positive numbers"
        )
    if not _whole_numbers(offsets, least=0) or len(offsets) != 2:
        raise BundleError(
            f"{path} gives the array {shown} the place {shortened(repr(offsets))}; a place is first and last byte"
        )
    needed = math.prod(shape) * _ITEM_BYTES[dtype]
    if offsets[1] - offsets[0] != needed:
        given = f"{offsets[1] - offsets[0]} bytes"
        raise BundleError(f"{path} gives the array {shown} {given}; its shape {shape} takes {needed}")
    return offsets[0], offsets[1]


def _whole_numbers(value: Any, least: int) -> bool:
    """Whether a value lists whole numbers from `least` on, none of which is past what a file can have."""
    return isinstance(value, list) and all(type(number) is int and least <= number < 2**63 for number in value)
