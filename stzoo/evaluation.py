"""A model measured on labelled videos: scores that are kept as they come, what they say, and figures, in one folder.

scores.npz       what the net says of each video, as arrays; a run that was stopped goes on from here
results.json     every number, and the files that could not be read
confusion.png    right classes against answers
reliability.png  confidence against how often it is right
risk.png         how often answers are wrong, by the share of videos that is answered
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from stzoo import metrics
from stzoo.data.datasets import Item, common_rate
from stzoo.errors import DataError
from stzoo.figures.measurements import confusion_figure, reliability_figure, risk_figure
from stzoo.files import replacing, write_json
from stzoo.metrics import Calibration, Estimate, RiskCoverage
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.scoring import SECONDS_A_FILE, Failed, score_files
from stzoo.terminal.progress import counting
from stzoo.video.frame_order import FrameOrder
from stzoo.video.video import Video

SCORES = "scores.npz"
_FORMAT = 1
_SECONDS_BETWEEN_SAVES = 30.0
_TOP = 5

Stamp = tuple[int, int]


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

    def write(self, folder: Path) -> None:
        """Writes results.json and the figures."""
        title = f"{self.about['model']}, {len(self.labels)} videos"
        matrix = metrics.confusion(self.scores, self.labels)
        confusion_figure(matrix, self.about["labels"], folder / "confusion.png", title)
        reliability_figure(self.calibration, folder / "reliability.png", title)
        risk_figure(self.risk_coverage, folder / "risk.png", title)
        write_json(folder / "results.json", self.to_json())


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


def evaluate(
    predictor: Predictor,
    items: Sequence[Item],
    folder: Path,
    *,
    workers: int | None = None,
    seconds_a_file: float = SECONDS_A_FILE,
    progress: bool = False,
    variant: Mapping[str, str] = MappingProxyType({}),
    frame_order: FrameOrder = "given",
) -> Evaluation:
    """Scores every listed video once, its clips' frames in `frame_order`, keeps the scores in `folder`, and measures.

    Scores are saved twice a minute and when the run is interrupted; a video whose scores are there already is not read
    again, one that could not be read is tried again. `workers` and `seconds_a_file` are those of `score_files`. The
    `variant` says in what the net is not as its bundle stores it, so that scores of two nets are not mixed.

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
        **({} if frame_order == "given" else {"frame_order": frame_order}),
    }
    book = ScoreBook(folder / SCORES, about)
    pending = list(dict.fromkeys(item.video for item in items if item.path not in book))
    failed: dict[str, Failed] = {}
    saved = time.monotonic()
    done = len({item.path for item in items}) - len(pending)
    try:
        with counting("Scoring", done + len(pending), unit="videos", completed=done, show=progress) as bar:
            for result in score_files(
                predictor, pending, workers=workers, seconds_a_file=seconds_a_file, frame_order=frame_order
            ):
                if isinstance(result, Failed):
                    failed[result.path] = result
                    bar.say(result.reason)
                else:
                    book.add(Path(result.path), result.scores)
                bar.advance()
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
        classes=tuple(metrics.per_class(scores, labels)),
        calibration=metrics.calibration(scores, labels, sources=sources),
        log_loss=metrics.log_loss(scores, labels, sources=sources),
        brier=metrics.brier(scores, labels, sources=sources),
        risk_coverage=metrics.risk_coverage(scores, labels),
    )


def _stamp(path: Path) -> Stamp:
    """Size and time of the last change; zeros where there is nothing."""
    try:
        return Video(path).size_and_time()
    except OSError:
        return 0, 0
