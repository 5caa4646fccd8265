from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from stzoo.bundle import tensors
from stzoo.errors import BundleError

FINITE = st.floats(-1e4, 1e4, width=32)
ENTRY = '{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'


def raw_file(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@given(arrays_of.arrays(np.float32, arrays_of.array_shapes(max_dims=5, max_side=4), elements=FINITE))
def test_float32_round_trips_bit_by_bit(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    tensors.store(path, {"a": array})
    np.testing.assert_array_equal(tensors.load(path)["a"], array)
    assert tensors.shapes(path) == {"a": array.shape}


def test_half_storage_halves_kernels_and_spares_vectors(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    tensors.store(tmp_path / "half", weights, "float16")
    loaded = tensors.load(tmp_path / "half")
    assert {array.dtype for array in loaded.values()} == {np.dtype(np.float32), np.dtype(np.int64)}
    np.testing.assert_array_equal(loaded["norm.running_var"], weights["norm.running_var"])
    np.testing.assert_array_equal(loaded["stem.weight"], weights["stem.weight"].astype(np.float16))
    assert loaded["norm.num_batches_tracked"] == 7
    assert loaded["norm.num_batches_tracked"].shape == ()


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    tensors.store(tmp_path / "one", weights)
    tensors.store(tmp_path / "two", dict(reversed(weights.items())))
    assert tensors.digest(tmp_path / "one") == tensors.digest(tmp_path / "two")


def test_transposed_arrays_are_stored_in_order(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    tensors.store(tmp_path / "w", {"a": array})
    np.testing.assert_array_equal(tensors.load(tmp_path / "w")["a"], array)


def test_statistics_are_not_counted_as_parameters() -> None:
    shapes = {"a.weight": (4, 3, 1, 1, 1), "n.bias": (4,), "n.running_mean": (4,), "n.running_var": (4,)}
    assert tensors.parameter_count(shapes | {"n.num_batches_tracked": ()}) == 16


@pytest.mark.parametrize(
    ("array", "storage", "sentence"),
    [
        (np.array([np.nan], np.float32), "float32", "holds nan"),
        (np.array([[1e6]], np.float32), "float16", "holds inf as float16"),
        (np.array(["x"]), "float32", "give numbers"),
        (np.zeros((0, 2), np.float32), "float32", "give numbers"),
    ],
)
def test_what_cannot_be_stored_is_named(tmp_path: Path, array: np.ndarray, storage: Any, sentence: str) -> None:
    with pytest.raises(BundleError, match=f"'a.*{sentence}"):
        tensors.store(tmp_path / "w", {"a": array}, storage)


def test_no_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no weights"):
        tensors.store(tmp_path / "w", {})


@pytest.mark.parametrize(
    ("header", "data", "sentence"),
    [
        (b"\xff\xfe", b"", "not UTF-8"),
        (b"[1]", b"", "should be an object"),
        (b"{", b"", "not JSON"),
        (b'{"a": 1, "a": 2}', b"", "'a' twice"),
        (f'{{"a": {ENTRY}, "a": {ENTRY}}}'.encode(), b"x" * 8, "'a' twice"),
        (f'{{"a": {{"dtype": "F32", {ENTRY[1:]}}}'.encode(), b"x" * 8, "'dtype' twice"),
        (b"[" * 100_000, b"", "too deeply"),
        ({"a": 3}, b"", "a is 3: input should be an object"),
        ({"a": {"shape": [2], "data_offsets": [0, 8]}}, b"x" * 8, "a.dtype is missing"),
        ({"a": entry(dtype="BOOL")}, b"x" * 8, "a.dtype is 'BOOL'"),
        ({"a": entry(offsets=[0, 2], dtype="BOOL")}, b"x" * 2, "a.dtype is 'BOOL'"),
        ({"a": entry(shape=[1], dtype="F64")}, b"x" * 8, "a.dtype is 'F64'"),
        ({"a": entry(shape=[-2])}, b"x" * 8, "a.shape.0 is -2"),
        ({"a": entry(shape=[True, 2])}, b"x" * 8, "a.shape.0 is True"),
        ({"a": entry(shape=[2.0])}, b"x" * 8, "a.shape.0 is 2.0"),
        ({"a": entry(shape=[0, 10], offsets=[0, 0])}, b"", "a.shape.0 is 0"),
        ({"a": entry(shape=[10**4000] * 4)}, b"x" * 8, "a.shape.0 is 1000"),
        ({"a": entry(shape=[1] * 8 + [2])}, b"x" * 8, "at most 8 items"),
        ({"__metadata__": {"a": "b" * tensors.MOST_HEADER_BYTES}, "a": entry()}, b"x" * 8, "declares a header of"),
    ],
)
def test_a_header_that_stzoo_would_not_write_is_refused(
    tmp_path: Path, header: object, data: bytes, sentence: str
) -> None:
    path = raw_file(tmp_path / "w.safetensors", header, data)
    for reader in (tensors.load, tensors.shapes):
        with pytest.raises(BundleError, match=sentence) as caught:
            reader(path)
        assert "w.safetensors" in str(caught.value)
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": {"dtype": "F32", "shape": [2]}}, b"x" * 8),
        ({"a": entry(shape=[10**12])}, b"x" * 8),
        ({"a": entry(shape=[2**32] * 4)}, b"x" * 8),
        ({"a": entry(offsets=[0, 10**4000])}, b"x" * 8),
        ({"a": entry(offsets=[0, 8, 9])}, b"x" * 8),
        ({"a": entry(offsets=[8, 0])}, b"x" * 8),
        ({"a": entry(offsets=[4, 12])}, b"x" * 12),
        ({"a": entry(), "b": entry()}, b"x" * 8),
        ({"a": entry()}, b"x" * 9),
        ({"a": entry()}, b"x" * 7),
        ({"__metadata__": 3, "a": entry()}, b"x" * 8),
    ],
)
def test_a_header_that_the_file_does_not_bear_out_is_refused(tmp_path: Path, header: object, data: bytes) -> None:
    path = raw_file(tmp_path / "w.safetensors", header, data)
    with pytest.raises(BundleError, match=r"w.safetensors cannot be read as safetensors: \S") as caught:
        tensors.load(path)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("content", [b"", b"abc", (2**63).to_bytes(8, "little"), b"\xff" * 8 + b"{}"])
def test_a_header_longer_than_the_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(BundleError, match="not safetensors"):
        tensors.load(tmp_path / "w")


def test_shapes_are_told_without_reading_the_arrays(tmp_path: Path) -> None:
    path, size = tmp_path / "w", 2**30
    header = json.dumps({"a": entry(shape=[2**14, 2**14], offsets=[0, size])}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(file.tell() + size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert tensors.shapes(path) == {"a": (2**14, 2**14)}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18, "kilobytes"


def test_shapes_are_told_without_numpy(tmp_path: Path) -> None:
    path = raw_file(tmp_path / "w", {"a": entry()}, b"x" * 8)
    program = (
        "import sys\nfrom pathlib import Path\nfrom stzoo.bundle import tensors\n"
        f"print(tensors.shapes(Path({str(path)!r})))\nsys.exit('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "{'a': (2,)}\n"), done.stderr


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    data = np.array([1.0, np.inf], np.float32).tobytes()
    with pytest.raises(BundleError, match="w: the array 'a' holds inf"):
        tensors.load(raw_file(tmp_path / "w", {"a": entry()}, data))
