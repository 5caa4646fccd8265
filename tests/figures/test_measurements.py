from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stzoo.errors import UsageError
from stzoo.figures import style
from stzoo.figures.fonts import FAMILY, Fonts
from stzoo.figures.measurements import (
    confusion_figure,
    frontier_figure,
    reliability_figure,
    risk_figure,
    timeline_figure,
)
from stzoo.figures.style import FontWarning
from stzoo.metrics import Estimate, calibration, risk_coverage
from tests.prediction.test_timeline import timeline_of


@pytest.mark.parametrize("classes", [2, 70])
def test_a_confusion_matrix_is_drawn(tmp_path: Path, classes: int) -> None:
    matrix = np.diag(np.arange(classes, dtype=np.int64))  # the first class has no video
    labels = [f"class {index} " + "x" * index for index in range(classes)]
    confusion_figure(matrix, labels, tmp_path / "c.png", "toy")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="suffix"):
        confusion_figure(matrix, labels, tmp_path / "c.gif", "toy")


def test_letters_that_no_font_has_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "fonts_for", lambda text: Fonts([FAMILY], "".join({*text} & {*"走る"})))
    matrix = np.eye(2, dtype=np.int64)
    with pytest.warns(FontWarning, match=r"""the letters "る走" of .*c\.png""") as warned:
        confusion_figure(matrix, ["走る", "走"], tmp_path / "c.png", "toy")
    assert len(warned) == 1


def test_a_confusion_matrix_says_how_many_videos_a_share_is_of(tmp_path: Path) -> None:
    confusion_figure(np.array([[3, 1], [100, 300]]), ["a", "b"], tmp_path / "c.svg", "toy")
    text = (tmp_path / "c.svg").read_text()
    for cell in ("3", "75 %", "100", "25 %", "300"):
        assert f"<!-- {cell} -->" in text


def test_a_frontier_names_its_nets_and_is_drawn_the_same_every_time(tmp_path: Path) -> None:
    lines = {"found": [(60_000_000, Estimate(0.9, 0.8, 0.95, 50)), (46_000_000, Estimate(0.7, 0.6, 0.8, 50))]}
    for name in ("a.svg", "b.svg"):
        frontier_figure(
            lines, {"sst": (69_000_000, Estimate(1.0, 0.9, 1.0, 50))}, tmp_path / name, "toy", "milliseconds"
        )
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    for word in ("found", "sst", "toy", "milliseconds"):
        assert f"<!-- {word} -->" in text
    with pytest.raises(UsageError, match="suffix"):
        frontier_figure(lines, {}, tmp_path / "a.gif", "toy", "milliseconds")


def test_a_reliability_diagram_is_drawn_the_same_every_time(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(3), 30).astype(np.float32)
    found = calibration(scores, np.zeros(30, np.int64), resamples=5)
    for name in ("a.svg", "b.svg"):
        reliability_figure(found, tmp_path / name, "toy")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("videos", [1, 50])
def test_a_curve_of_risk_and_coverage_is_drawn(tmp_path: Path, videos: int) -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(3), videos).astype(np.float32)
    curve = risk_coverage(scores, np.zeros(videos, np.int64))
    risk_figure(curve, tmp_path / "r.svg", "toy")
    assert f"area {curve.area:.4f}, n = {videos}" in (tmp_path / "r.svg").read_text()


@pytest.mark.parametrize("windows", [1, 70])
def test_a_timeline_is_drawn_and_its_labels_are_no_formulas(tmp_path: Path, windows: int) -> None:
    labels = tuple(f"$class_{index}" for index in range(8))
    scores = np.random.default_rng(0).dirichlet(np.ones(8), windows).astype(np.float32)
    found = timeline_of(scores, labels=labels)
    timeline_figure(found, tmp_path / "t.svg", "toy")
    text = (tmp_path / "t.svg").read_text()
    often = max(labels, key=[caption.label for caption in found.captions()].count)
    assert f"<!-- {often} -->" in text
    assert sum(f"<!-- {label} -->" in text for label in labels) in range(1, 7)


def test_a_class_that_never_matters_is_not_in_the_legend(tmp_path: Path) -> None:
    scores = np.full((4, 4), 0.01, np.float32)
    scores[:, 0], scores[2, 1] = 0.9, 0.3
    timeline_figure(timeline_of(scores, labels=("best", "second", "third", "fourth")), tmp_path / "t.svg", "toy")
    text = (tmp_path / "t.svg").read_text()
    assert [f"<!-- {label} -->" in text for label in ("best", "second", "third", "fourth")] == [
        True,
        True,
        False,
        False,
    ]
