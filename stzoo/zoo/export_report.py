"""What an export is to write, and what it has found out: `export.json`."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stzoo.errors import DataError
from stzoo.files import write_json

if TYPE_CHECKING:
    from stzoo.bundle.confidence import Confidence
    from stzoo.bundle.tensors import Storage
    from stzoo.export.to_int8 import Int8Comparison
    from stzoo.export.to_onnx import Agreement
    from stzoo.prediction.predictor import Predictor
    from stzoo.runtimes.onnx_file import Form, Precision

REPORT = "export.json"
PTE = ".pte"
"""The suffix of ExecuTorch programs."""


class Graph(NamedTuple):
    """What the graph of the file is like, as `stzoo.export.to_onnx.export` takes it."""

    opset: int | None
    """None of an ExecuTorch program."""
    with_preprocess: bool
    with_features: bool
    any_size: bool
    form: Form
    clips_at_once: int | None = None

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """With how many clips the file is compared with torch."""
        return (1, 3) if self.clips_at_once is None else (self.clips_at_once,)


class Job(NamedTuple):
    """What is written: the list that it is calibrated on for int8, the video that it is compared with torch on, what is
    known of its scores.
    """

    output: Path
    graph: Graph
    precision: Precision
    calibrate: Path | None
    video: Path
    storage: Storage = "float32"
    confidence: Confidence | None = None

    @property
    def is_executorch(self) -> bool:
        return self.output.suffix.lower() == PTE

    @property
    def is_exact(self) -> bool:
        """Whether the file is what torch's exporter writes, and not made of that."""
        return self.precision == "fp32" and self.storage == "float32"

    @property
    def report(self) -> Path:
        return self.output.with_name(REPORT)


class Outcome(NamedTuple):
    """What was found out: about the files in fp32 and in fewer bits beside torch, and about int8 beside the first."""

    exact: Agreement | None
    quantised: Agreement | None = None
    comparison: Int8Comparison | None = None
    targets: dict[str, Any] | None = None
    """Of a portable file: what is known of each target, as `stzoo.export.targets.targets` says it."""

    @property
    def written(self) -> Agreement | None:
        """About the file that was written."""
        return self.exact if self.quantised is None else self.quantised


def read_reports(path: Path) -> dict[str, Any]:
    """What is known of the files in the folder. Raises `DataError` when the file is about something else."""
    if not path.exists():
        return {}
    try:
        reports = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        reports = None
    if not isinstance(reports, dict) or not all(isinstance(report, dict) for report in reports.values()):
        raise DataError(f"{path} does not hold what stzoo writes about ONNX files; move it away")
    return reports


def record(predictor: Predictor, job: Job, outcome: Outcome, reports: dict[str, Any]) -> None:
    """Writes what was found out about the file beside what is known of the others; nothing where there is nothing."""
    reports.pop(job.output.name, None)
    if outcome.exact is not None or outcome.comparison is not None:
        reports[job.output.name] = _facts(predictor, job, outcome) | _findings(job, outcome)
    if reports or job.report.exists():
        write_json(job.report, reports)


def _facts(predictor: Predictor, job: Job, outcome: Outcome) -> dict[str, Any]:
    import torch

    import stzoo

    return {
        "model": predictor.name,
        "model_digest": predictor.digest,
        "sha256": hashlib.sha256(job.output.read_bytes()).hexdigest() if job.output.exists() else None,
        "opset": job.graph.opset,
        "precision": job.precision,
        "form": job.graph.form,
        "storage": job.storage,
        "passed": outcome.exact is None or outcome.exact.passed,
        **({} if outcome.targets is None else {"targets": outcome.targets}),
        "versions": {"stzoo": stzoo.__version__, "torch": torch.__version__, **_writer(job)},
    }


def _writer(job: Job) -> dict[str, str]:
    """The package that wrote the file, and its version."""
    package = "executorch" if job.is_executorch else "onnx"
    return {package: importlib.metadata.version(package)}


def _findings(job: Job, outcome: Outcome) -> dict[str, Any]:
    """What is said of a file in fp32, and in fewer bits also of the file that it was made of."""
    from stzoo.export.to_onnx import TOLERANCE

    def beside_torch(agreement: Agreement | None) -> dict[str, Any]:
        return {} if agreement is None else {**asdict(agreement), "video": job.video.name}

    exact = beside_torch(outcome.exact)
    if exact:
        exact = {"tolerance": TOLERANCE, **exact}
    if exact and job.calibrate is None and not job.is_exact:
        return {"fp16": {"beside_torch": beside_torch(outcome.quantised), "made_of": exact}}
    if job.calibrate is None or outcome.comparison is None:
        return exact
    about = {"calibrated_on": job.calibrate.name, **asdict(outcome.comparison)}
    return {"int8": {**about, "beside_torch": beside_torch(outcome.quantised), "made_of": exact}}
