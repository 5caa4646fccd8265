"""One result as a row: what `stzoo predict` writes as JSON and CSV, and what a stage of Ray Data hands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stzoo.prediction.predictor import Predictor
    from stzoo.prediction.scoring import Scored
    from stzoo.prediction.timeline import Timeline

VIDEO = ("width", "height", "frames", "fps", "duration_seconds")


Row = dict[str, Any]


def row(predictor: Predictor, scored: Scored, topk: int) -> Row:
    """All that is known of a prediction, as JSON takes it."""
    return {
        "path": scored.path,
        "predictions": [prediction._asdict() for prediction in predictor.best(scored.scores, topk)],
        "clips": [[round(time, 6) for time in times] for times in scored.times_seconds.tolist()],
        **about(predictor, scored),
    }


def about(predictor: Predictor, found: Scored | Timeline) -> Row:
    """What is known of a video beside its scores, and what they were made with."""
    return {
        "video": {name: getattr(found.info, name) for name in VIDEO},
        "warnings": list(found.warnings),
        "contract": predictor.contract.model_dump(mode="json"),
        "model": {"name": predictor.name, "digest": predictor.digest},
        "runtime": {"name": predictor.runtime, "precision": predictor.precision, "device": str(predictor.device)},
        "seconds": {"decode": round(found.decode_seconds, 6), "compute": round(found.compute_seconds, 6)},
    }
