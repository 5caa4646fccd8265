from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stzoo.errors import UsageError
from stzoo.figures.measurements import confusion_figure, reliability_figure, timeline_figure
from stzoo.metrics import calibration
from tests.prediction.test_timeline import timeline_of


@pytest.mark.parametrize("classes", [2, 70])
def test_a_confusion_matrix_is_drawn(tmp_path: Path, classes: int) -> None:
    matrix = np.diag(np.arange(classes, dtype=np.int64))  # the first class has no video
    labels = [f"class {index} " + "x" * index for index in range(classes)]
    confusion_figure(matrix, labels, tmp_path / "c.png", "toy")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="suffix"):
        confusion_figure(matrix, labels, tmp_path / "c.gif", "toy")


def test_a_reliability_diagram_is_drawn_the_same_every_time(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(3), 30).astype(np.float32)
    found = calibration(scores, np.zeros(30, np.int64), resamples=5)
    for name in ("a.svg", "b.svg"):
        reliability_figure(found, tmp_path / name, "toy")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("windows", [1, 70])
def test_a_timeline_is_drawn_and_its_labels_are_no_formulas(tmp_path: Path, windows: int) -> None:
    labels = tuple(f"$class_{index}" for index in range(8))
    scores = np.random.default_rng(0).dirichlet(np.ones(8), windows).astype(np.float32)
    found = timeline_of(scores, labels=labels)
    timeline_figure(found, tmp_path / "t.svg", "toy")
    text = (tmp_path / "t.svg").read_text()
    often = max(labels, key=[caption.label for caption in found.captions()].count)
    assert f"<!-- {often} -->" in text
    assert sum(f"<!-- {label} -->" in text for label in labels) == 6
