"""Weights as safetensors files: written in 32 or 16 bits, read back as float32 once the header has been checked."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stzoo.bundle.reading import MOST_WEIGHT_BYTES, parse_json
from stzoo.errors import BundleError
from stzoo.validation import shortened

if TYPE_CHECKING:
    import numpy as np
    from safetensors import safe_open

    Array = np.ndarray[Any, np.dtype[Any]]
    Arrays = dict[str, Array]

Storage = Literal["float32", "float16"]
Shape = tuple[int, ...]

MOST_HEADER_BYTES = 8 * 2**20
MOST_DIMENSIONS = 8
_DTYPES = ("F32", "F16", "I64")
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
    """Name and shape of every array, from the header alone. Raises `BundleError` as `load` does for a header."""
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in sorted(file.keys())}


def load(path: Path) -> Arrays:
    """All arrays of a safetensors file; 16-bit floats become float32.

    Raises `BundleError` naming the file and the array: a header that does not match the file, a type that stzoo does
    not write, a value that is not finite.
    """
    import numpy as np

    with _opened(path) as file:
        arrays: Arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
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


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    """The file, none of whose arrays has been read.

    safetensors refuses a header that is malformed, or does not cover the file's bytes exactly. It takes a name twice,
    arrays without elements, and types that stzoo does not write: those are refused here.
    """
    from safetensors import SafetensorError, safe_open

    header = _bounded_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            parse_json(header.decode("utf-8"), path)  # refuses a name that stands there twice
            for name in sorted(file.keys()):
                array = file.get_slice(name)
                _refuse_unusual(path, name, array.get_dtype(), array.get_shape())
            yield file
    except (SafetensorError, OSError) as error:
        reason = shortened(str(error).removeprefix("Error while deserializing header: "), 200)
        raise BundleError(f"{path} cannot be read as safetensors: {reason}") from error


def _bounded_header(path: Path) -> bytes:
    """The JSON at the beginning of the file. Raises `BundleError` where it or the file is larger than stzoo reads."""
    size = path.stat().st_size
    if size > MOST_WEIGHT_BYTES:
        raise BundleError(f"{path} has {size} bytes; at most {MOST_WEIGHT_BYTES} are read")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MOST_HEADER_BYTES:
            raise BundleError(f"{path} declares a header of {length} bytes; at most {MOST_HEADER_BYTES} are read")
        return file.read(length)


def _refuse_unusual(path: Path, name: str, dtype: str, shape: list[int]) -> None:
    shown = shortened(repr(name))
    if dtype not in _DTYPES:
        raise BundleError(f"{path} stores the array {shown} as {dtype}; stzoo reads {', '.join(_DTYPES)}")
    if 0 in shape or len(shape) > MOST_DIMENSIONS:
        raise BundleError(
            f"{path} gives the array {shown} the shape {shortened(repr(shape))}; a shape is at most {MOST_DIMENSIONS} "
            "positive numbers"
        )
