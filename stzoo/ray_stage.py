"""Prediction as a stage of somebody else's pipeline: columns in, columns out, a model loaded once a worker.

Ray Data calls such a class (`dataset.map_batches(PredictStage, ...)`, as in `examples/ray_predict.py`); it knows
nothing of Ray and fits whatever hands over batches as a mapping from column to values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from stzoo import DEFAULT_MODEL
from stzoo.prediction.rows import row
from stzoo.prediction.scoring import score_files
from stzoo.runtimes import Runtime
from stzoo.video.video import Video
from stzoo.zoo.loading import load


class PredictStage:
    """Turns a column of paths into the rows that `stzoo predict --format jsonl` writes, in their order.

    Args:
        model: a name of the zoo, the folder of a bundle, or `ORG/NAME` of the Hub; loaded here, once.
        topk: how many labels a row has, best first.
        device: as `stzoo.load` takes it.
        runtime: as `stzoo.load` takes it; by default the one that `stzoo predict` takes.
        fps: frames a second of videos that are folders of frames.

    Raises:
        StzooError: what `stzoo.load` raises.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        topk: int = 5,
        device: str | None = None,
        runtime: Runtime | Literal["auto"] = "auto",
        fps: float | None = None,
    ) -> None:
        self.predictor = load(model, device=device, runtime=runtime)
        self.topk, self.fps = topk, fps

    def __call__(self, batch: Mapping[str, Iterable[Any]]) -> dict[str, np.ndarray]:
        """Predicts the videos in the column `path`; one that cannot be read has an `error` and stops nothing.

        Returns:
            The columns `path`, `label` and `score` (the best; empty and NaN where there is an error), `error` (empty
            where there is none) and `json` (the whole row, as a line of JSON).
        """
        paths = [str(path) for path in batch["path"]]
        results = score_files(self.predictor, [Video(path, self.fps) for path in paths], workers=0)
        rows = [row(self.predictor, result, self.topk) for result in results]
        best = [entry["predictions"][0] if "predictions" in entry else {} for entry in rows]
        return {
            "path": np.array(paths, dtype=object),
            "label": np.array([entry.get("label", "") for entry in best], dtype=object),
            "score": np.array([entry.get("score", float("nan")) for entry in best], dtype=np.float64),
            "error": np.array([entry.get("error", "") for entry in rows], dtype=object),
            "json": np.array([json.dumps(entry) for entry in rows], dtype=object),
        }
