"""The vectors of many videos in one file, .npz or .parquet: a row a video, and what they were made with."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from stzoo.errors import DataError, UsageError
from stzoo.files import replacing
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.scoring import Embedded, Failed

SUFFIXES = (".npz", ".parquet")
INSTALL = "pip install 'stzoo[parquet]'"


@dataclass
class Vectors:
    """A row a video, in order: its path, its vector, and the reason where there is none."""

    made_with: dict[str, Any]
    """Model, its digest, and the input contract: vectors of one file can be compared with each other."""
    paths: list[str] = field(default_factory=list)
    vectors: list[Float32[np.ndarray, " numbers"] | None] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Empty where there is a vector."""

    @classmethod
    def by(cls, predictor: Predictor) -> Vectors:
        """No row yet, of what a predictor will make."""
        about = {"model": predictor.name, "digest": predictor.digest, "precision": predictor.precision}
        return cls(about | {"contract": predictor.contract.model_dump(mode="json")})

    def add(self, result: Embedded | Failed) -> None:
        """One more row."""
        self.paths.append(result.path)
        self.vectors.append(result.vector if isinstance(result, Embedded) else None)
        self.errors.append("" if isinstance(result, Embedded) else result.reason)

    @property
    def matrix(self) -> Float32[np.ndarray, "videos numbers"]:
        """The vectors one below the other; not numbers where a video has none."""
        width = next((len(vector) for vector in self.vectors if vector is not None), 0)
        missing = np.full(width, np.nan, np.float32)
        rows = [missing if vector is None else vector for vector in self.vectors]
        return np.array(rows, dtype=np.float32).reshape(len(rows), width)


def refuse_suffix(path: Path) -> None:
    """Raises `UsageError` for a file that is written as neither, and where what writes it is not installed."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f'{path} has the suffix "{path.suffix}"; vectors are written as {" or ".join(SUFFIXES)}')
    if path.suffix.lower() == ".parquet":
        _pyarrow(path)


def save(path: Path, vectors: Vectors) -> None:
    """Writes the file anew. As .npz it has `paths`, `vectors`, `errors` and, in JSON, `made_with`; Parquet the same.

    Raises `UsageError` as `refuse_suffix` does.
    """
    refuse_suffix(path)
    with replacing(path) as temporary:
        if path.suffix.lower() == ".parquet":
            _pyarrow(path).parquet.write_table(_table(path, vectors), temporary)
            return
        with temporary.open("wb") as file:
            np.savez(
                file,
                paths=np.array(vectors.paths, dtype=np.str_),
                vectors=vectors.matrix,
                errors=np.array(vectors.errors, dtype=np.str_),
                made_with=np.array(json.dumps(vectors.made_with)),
            )


def load(path: Path) -> Vectors:
    """Reads what `save` has written. Raises `DataError` for anything else."""
    refuse_suffix(path)
    try:
        if path.suffix.lower() == ".parquet":
            table = _pyarrow(path).parquet.read_table(path)
            made_with, paths, errors = table.schema.metadata[b"made_with"], table["path"], table["error"]
            matrix = [None if row is None else np.array(row, np.float32) for row in table["vector"].to_pylist()]
            return Vectors(json.loads(made_with), paths.to_pylist(), matrix, errors.to_pylist())
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            errors = [str(error) for error in file["errors"]]
            rows = [None if error else row for error, row in zip(errors, file["vectors"], strict=True)]
            return Vectors(json.loads(str(file["made_with"])), [str(name) for name in file["paths"]], rows, errors)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} does not hold vectors of stzoo ({error!s:.80}); choose another file") from error


def _table(path: Path, vectors: Vectors) -> Any:
    pyarrow = _pyarrow(path)
    try:
        columns = {
            "path": pyarrow.array(vectors.paths, pyarrow.string()),
            "error": pyarrow.array(vectors.errors, pyarrow.string()),
            "vector": pyarrow.array(vectors.vectors, pyarrow.list_(pyarrow.float32())),
        }
    except UnicodeEncodeError as error:
        raise UsageError(f"{path} cannot hold names that are not UTF-8, {error.object!a:.60}; write .npz") from error
    return pyarrow.table(columns).replace_schema_metadata({"made_with": json.dumps(vectors.made_with)})


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise UsageError(f"{path} is written by pyarrow, which is not installed: {INSTALL}, or write .npz") from error
    return pyarrow
