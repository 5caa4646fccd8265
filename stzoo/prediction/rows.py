"""One result as a row: what `stzoo predict` writes as JSON and CSV, and what a stage of Ray Data hands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32

    from stzoo.prediction.predictor import Predictor
    from stzoo.prediction.scoring import Failed, Scored
    from stzoo.prediction.timeline import Timeline

VIDEO = ("width", "height", "frames", "fps", "duration_seconds")


Row = dict[str, Any]


def row(predictor: Predictor, result: Scored | Failed, topk: int, *, least_score: float | None = None) -> Row:
    """All that is known of a prediction, as JSON takes it; the path and the error of a video that cannot be read.

    With a `least_score`, what the video shows is `unknown` where no class reaches it.
    """
    from stzoo.prediction.scoring import Failed

    if isinstance(result, Failed):
        return {"path": result.path, "error": result.reason}
    ranked = _ranked(predictor, result.scores, topk)
    if result.spread is not None:
        spread = dict(zip(predictor.labels, result.spread.tolist(), strict=True))
        ranked = [entry | {"spread": spread[entry["label"]]} for entry in ranked]
    unknown = {} if least_score is None else {"unknown": bool(result.scores.max() < least_score)}
    about = _about(predictor, result)
    if least_score is not None:
        about["model"]["least_score"] = least_score
    return {
        "path": result.path,
        **unknown,
        "predictions": ranked,
        "clips": [[round(time, 6) for time in times] for times in result.times_seconds.tolist()],
        **about,
    }


def timeline_row(
    predictor: Predictor, result: Timeline | Failed, topk: int, *, window_seconds: float, hop_seconds: float
) -> Row:
    """All that is known of a timeline, as `row` says it of a prediction; the lengths are those that were asked for."""
    from stzoo.prediction.scoring import Failed

    if isinstance(result, Failed):
        return row(predictor, result, topk)
    return {
        "path": result.path,
        "window_seconds": window_seconds,
        "hop_seconds": hop_seconds,
        "windows": [
            window_row(predictor, (start, end), scores, topk)
            for (start, end), scores in zip(result.spans_seconds.tolist(), result.scores, strict=True)
        ],
        "captions": [
            caption._replace(
                start_seconds=round(caption.start_seconds, 6), end_seconds=round(caption.end_seconds, 6)
            )._asdict()
            for caption in result.captions()
        ],
        **_about(predictor, result),
    }


def window_row(
    predictor: Predictor, span_seconds: tuple[float, float], scores: Float32[np.ndarray, " classes"], topk: int
) -> Row:
    """What is said of one window."""
    start, end = (round(seconds, 6) for seconds in span_seconds)
    return {"start_seconds": start, "end_seconds": end, "predictions": _ranked(predictor, scores, topk)}


def _ranked(predictor: Predictor, scores: Float32[np.ndarray, " classes"], topk: int) -> list[Row]:
    return [prediction._asdict() for prediction in predictor.best(scores, topk)]


def _about(predictor: Predictor, result: Scored | Timeline) -> Row:
    """What is known of a video beside its scores, and what they were made with."""
    return {
        "video": {name: getattr(result.info, name) for name in VIDEO},
        "warnings": list(result.warnings),
        "contract": predictor.contract.model_dump(mode="json"),
        "model": {"name": predictor.name, "digest": predictor.digest} | _scored_by(predictor),
        "runtime": {"name": predictor.runtime, "precision": predictor.precision, "device": str(predictor.device)},
        "seconds": {"decode": round(result.decode_seconds, 6), "compute": round(result.compute_seconds, 6)},
    }


def _scored_by(predictor: Predictor) -> Row:
    """How the scores are other than those of one net as it is."""
    nets = {"nets": predictor.nets} if predictor.nets > 1 else {}
    return nets if predictor.confidence is None else nets | {"temperature": predictor.confidence.temperature}
