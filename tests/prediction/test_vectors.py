from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest

from stzoo.errors import DataError, UsageError
from stzoo.prediction.scoring import Embedded, Failed
from stzoo.prediction.vectors import Vectors, load, save

ABOUT = {"model": "tiny", "digest": "abc", "precision": "fp32", "contract": {"frames": 4}}


@pytest.fixture(params=[".npz", ".parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"vectors{request.param}"


def rows() -> Vectors:
    vectors = Vectors(ABOUT)
    vectors.add(Failed("no\u2028.mp4", "no.mp4 does not exist"))
    vectors.add(Embedded("ä b.mp4", np.array([0.5, -1.25, 3e-7], np.float32), ()))
    return vectors


def test_what_is_saved_is_loaded(path: Path) -> None:
    for vectors in (Vectors(ABOUT), rows()):
        save(path, vectors)
        loaded = load(path)
        assert (loaded.made_with, loaded.paths, loaded.errors) == (ABOUT, vectors.paths, vectors.errors)
        np.testing.assert_array_equal(loaded.matrix, vectors.matrix)
    assert loaded.matrix.shape == (2, 3)
    assert np.isnan(loaded.matrix).any(axis=1).tolist() == [True, False]


def test_an_npz_needs_nothing_but_numpy(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", rows())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert sorted(file) == ["errors", "made_with", "paths", "vectors"]
        assert file["vectors"].dtype == np.float32


def test_other_files_are_refused(path: Path) -> None:
    save(path, rows())
    whole = path.read_bytes()
    for content in (b"", b"something else", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="does not hold vectors of stzoo"):
            load(path)
    with pytest.raises(UsageError, match=r'has the suffix ".csv"; vectors are written as .npz or .parquet'):
        save(path.with_suffix(".csv"), rows())


def test_a_missing_pyarrow_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *more: object) -> object:
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return imported(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'stzoo\[parquet\]', or write \.npz"):
        save(tmp_path / "a.parquet", rows())
