from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stzoo.bundle.confidence import Confidence
from stzoo.cli.writers import columns, lines, resumed, writer
from stzoo.contract import InputContract
from stzoo.errors import DataError
from stzoo.prediction.answers import Prediction
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.rows import row
from stzoo.prediction.scoring import Scored
from stzoo.video.decode import VideoInfo
from tests.prediction.test_predictor import Brightness

PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@settings(max_examples=20)
@given(st.lists(PATHS, max_size=4))
def test_a_closed_list_is_json_however_long(paths: list[str]) -> None:
    rows = [{"path": path, "error": "no [such] file"} for path in paths]
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as stream:
        out = writer("json", stream, 1)
        for row in rows:
            out.write(row)
        out.close()
        stream.seek(0)
        assert stream.read() == json.dumps(rows, indent=2) + "\n"


def test_the_columns_go_with_the_labels() -> None:
    assert columns(2)[:6] == ["path", "error", "label1", "score1", "label2", "score2"]


def test_people_see_bars_that_line_up() -> None:
    found = lines([Prediction("left", 0.5), Prediction("upwards", 0.25), Prediction("no", 0.0)], bars=True)
    starts = [line.index("\x1b") for line in found[:2]]
    assert starts[0] == starts[1]
    assert [line.count("█") for line in found] == [15, 8, 0]


def test_a_label_cannot_begin_a_line_or_steer_the_terminal() -> None:
    assert lines([("a\n  1  99 %  b\x1b[2J\u202e", 0.5)], bars=False) == ["  1   50.0 %  a   1  99 %  b\ufffd[2J\ufffd"]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("least", [None, 0.1 + 0.2])
def test_results_are_gone_on_with_at_the_same_threshold_alone(tmp_path: Path, form: str, least: float | None) -> None:
    contract = InputContract(frames=2, fps=5.0, clips=2, resize=24, crop=16)
    fit = Confidence(nets=1, temperature=1.3, thresholds=(), videos=9, data="val")
    predictor = Predictor(Brightness(), contract, ("a", "b", "c", "d"), "brightness", "cpu", confidence=fit)
    info = VideoInfo(Path("a.mp4"), 8, 6, 0, False, np.arange(5) / 2, False, True)
    scored = Scored("a.mp4", np.array([0.1, 0.6, 0.3, 0.0], np.float32), np.zeros((2, 2)), info, (), 0.25, 0.5)
    path = tmp_path / f"out.{form}"
    with path.open("w", newline="") as stream:
        writer(form, stream, 2).write(row(predictor, scored, 2, least_score=least))
    assert resumed(path, form, predictor, 2, least) == ({"a.mp4"}, False)
    for other in {None, 0.1 + 0.2, 0.3} - {least}:
        with pytest.raises(DataError, match="another model, precision, input or --min-precision; choose another"):
            resumed(path, form, predictor, 2, other)
