"""Scores of labelled videos, and what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from stzoo import metrics
from stzoo.data.datasets import Item, common_rate
from stzoo.errors import DataError
from stzoo.evaluation.book import SCORES, ScoreBook
from stzoo.figures.measurements import confusion_figure, reliability_figure, risk_figure
from stzoo.files import write_json
from stzoo.metrics import Calibration, Estimate, RiskCoverage
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.scoring import SECONDS_A_FILE, Failed, score_files
from stzoo.terminal.progress import counting
from stzoo.video.frame_order import FrameOrder

_FORMAT = 1
_SECONDS_BETWEEN_SAVES = 30.0
_TOP = 5

Advance = Callable[[int, int], None]
"""Is told how many are done, and how many there are."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found. Accuracies are about the videos that could be read."""

    about: dict[str, Any]
    """Model, digest, contract and labels."""
    scores: Float32[np.ndarray, "videos classes"]
    labels: Int64[np.ndarray, " videos"]
    failed: tuple[Failed, ...]
    top1: Estimate
    top5: Estimate | None
    """None where there are five classes or fewer."""
    balanced: Estimate
    """The mean of the classes' top-1."""
    classes: tuple[Estimate | None, ...]
    """Top-1 of each class; None for a class without videos."""
    calibration: Calibration
    log_loss: Estimate
    brier: Estimate
    risk_coverage: RiskCoverage
    warnings: tuple[str, ...] = ()
    """Why the numbers may mean less than they seem to, in sentences."""

    def to_json(self) -> dict[str, Any]:
        """Every number as JSON, with what it was measured on and how."""
        measured = {
            "top1": self.top1,
            "top5": self.top5,
            "balanced_accuracy": self.balanced,
            "expected_calibration_error": self.calibration.error,
            "log_loss": self.log_loss,
            "brier": self.brier,
        }
        curve = self.risk_coverage
        return {
            **{key: value for key, value in self.about.items() if key != "labels"},
            "videos": len(self.labels),
            "warnings": list(self.warnings),
            "failed": [failed._asdict() for failed in self.failed],
            **{name: None if value is None else asdict(value) for name, value in measured.items()},
            "risk_coverage": {
                "area": curve.area,
                **{name: getattr(curve, name).round(6).tolist() for name in ("score", "coverage", "risk")},
            },
            "classes": [
                {"label": label, "top1": None if value is None else asdict(value)}
                for label, value in zip(self.about["labels"], self.classes, strict=True)
            ],
        }

    def write(self, folder: Path, *, figures: bool = True) -> None:
        """Writes results.json and, unless `figures` are not wanted, the figures, which need matplotlib."""
        write_json(folder / "results.json", self.to_json())
        if not figures:
            return
        title = f"{self.about['model']}, {len(self.labels)} videos"
        matrix = metrics.confusion(self.scores, self.labels)
        confusion_figure(matrix, self.about["labels"], folder / "confusion.png", title)
        reliability_figure(self.calibration, folder / "reliability.png", title)
        risk_figure(self.risk_coverage, folder / "risk.png", title)


def score_and_measure(
    predictor: Predictor,
    items: Sequence[Item],
    folder: Path,
    *,
    workers: int | None = None,
    seconds_a_file: float = SECONDS_A_FILE,
    bar: bool = False,
    advance: Advance | None = None,
    variant: Mapping[str, str] = MappingProxyType({}),
    frame_order: FrameOrder = "given",
) -> Evaluation:
    """Scores every listed video once, its clips' frames in `frame_order`, keeps the scores in `folder`, and measures.

    Scores are saved twice a minute and when the run is interrupted; a video whose scores are there already is not read
    again, one that could not be read is tried again. With `bar` one is drawn, and `advance` is told.
    `workers` and `seconds_a_file` are those of `score_files`. The `variant` says in what the net is not as its bundle
    stores it, so that scores of two nets are not mixed.

    Raises:
        DataError: none of the videos can be read, or `folder` holds scores by another model or in another protocol.
    """
    about = {
        "format": _FORMAT,
        "model": predictor.name,
        "digest": predictor.digest,
        "precision": predictor.precision,
        "contract": predictor.contract.model_dump(mode="json"),
        "protocol": predictor.contract.protocol,
        "frame_rate": common_rate(items),
        "labels": list(predictor.labels),
        **variant,
        **({} if predictor.nets == 1 else {"average": str(predictor.nets)}),
        **({} if predictor.confidence is None else {"temperature": str(predictor.confidence.temperature)}),
        **({} if frame_order == "given" else {"frame_order": frame_order}),
    }
    book = ScoreBook(folder / SCORES, about)
    pending = list(dict.fromkeys(item.video for item in items if item.path not in book))
    failed: dict[str, Failed] = {}
    saved = time.monotonic()
    total = len({item.path for item in items})
    done = total - len(pending)
    try:
        with counting("Scoring", total, unit="videos", completed=done, show=bar) as drawn:
            for result in score_files(
                predictor, pending, workers=workers, seconds_a_file=seconds_a_file, frame_order=frame_order
            ):
                if isinstance(result, Failed):
                    failed[result.path] = result
                    drawn.say(result.reason)
                else:
                    book.add(Path(result.path), result.scores)
                drawn.advance()
                done += 1
                if advance is not None:
                    advance(done, total)
                if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                    book.save()
                    saved = time.monotonic()
    finally:
        if len(pending) > len(failed):
            book.save()
    return _measured(about, items, book, failed)


def _measured(about: dict[str, Any], items: Sequence[Item], book: ScoreBook, failed: dict[str, Failed]) -> Evaluation:
    good = [item for item in items if str(item.path) not in failed]
    if not good:
        first = next(iter(failed.values()))
        raise DataError(f"none of the {len(items)} videos can be read; the first: {first.reason}")
    scores = np.stack([book[item.path] for item in good])
    labels = np.array([item.label for item in good], dtype=np.int64)
    sources = [item.source for item in good]
    return Evaluation(
        about=about,
        scores=scores,
        labels=labels,
        failed=tuple(failed[str(item.path)] for item in items if str(item.path) in failed),
        top1=metrics.accuracy(scores, labels, sources=sources),
        top5=metrics.accuracy(scores, labels, top=_TOP, sources=sources) if scores.shape[1] > _TOP else None,
        balanced=metrics.balanced_accuracy(scores, labels, sources=sources),
        classes=tuple(metrics.per_class(scores, labels)),
        calibration=metrics.calibration(scores, labels, sources=sources),
        log_loss=metrics.log_loss(scores, labels, sources=sources),
        brier=metrics.brier(scores, labels, sources=sources),
        risk_coverage=metrics.risk_coverage(scores, labels),
    )
