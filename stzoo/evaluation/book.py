"""The scores of videos, kept as they come."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from stzoo.errors import DataError
from stzoo.files import replacing
from stzoo.video.video import Video

SCORES = "scores.npz"

Stamp = tuple[int, int]


class ScoreBook:
    """The scores of videos by path, in one `.npz`; those of a video that has changed since do not count.

    Raises `DataError` when the file holds something else, or scores by another model or in another protocol.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self.about = about
        self._scores: dict[str, Float32[np.ndarray, " classes"]] = {}
        self._stamps: dict[str, Stamp] = {}
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                paths, stamps, scores = arrays["paths"].tolist(), arrays["stamps"], arrays["scores"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.path} does not hold scores of stzoo ({type(error).__name__}); move it away, or choose another "
                "folder with --out"
            ) from error
        different = [key for key in {**self.about, **about} if about.get(key) != self.about.get(key)]
        if different:
            raise DataError(
                f"{self.path} holds scores with another {different[0]}; choose another folder with --out, or remove it"
            )
        self._scores = dict(zip(paths, np.asarray(scores, dtype=np.float32), strict=True))
        self._stamps = {path: (size, time_ns) for path, (size, time_ns) in zip(paths, stamps.tolist(), strict=True)}

    def __contains__(self, path: Path) -> bool:
        return str(path) in self._scores and self._stamps[str(path)] == _stamp(path)

    def __getitem__(self, path: Path) -> Float32[np.ndarray, " classes"]:
        return self._scores[str(path)]

    def add(self, path: Path, scores: Float32[np.ndarray, " classes"]) -> None:
        """Keeps the scores of a video in memory."""
        self._scores[str(path)], self._stamps[str(path)] = scores, _stamp(path)

    def save(self) -> None:
        """Writes what there is."""
        paths = list(self._scores)
        arrays = {
            "about": np.array(json.dumps(self.about)),
            "paths": np.array(paths, dtype=np.str_),
            "stamps": np.array([self._stamps[path] for path in paths], dtype=np.int64).reshape(-1, 2),
            "scores": np.array(list(self._scores.values()), np.float32).reshape(-1, len(self.about["labels"])),
        }
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)


def _stamp(path: Path) -> Stamp:
    """Size and time of the last change; zeros where there is nothing."""
    try:
        return Video(path).size_and_time()
    except OSError:
        return 0, 0
