from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import stzoo
from stzoo.bundle.confidence import Confidence
from stzoo.errors import DataError, UsageError
from tests.conftest import MakeVideo

MODEL = "camera-motion-opt"


@pytest.fixture
def data(make_video: MakeVideo, tmp_path: Path) -> Path:
    """Two videos of classes of the model, and one that cannot be read."""
    make_video("data/still/a.mp4", 20)
    make_video("data/approach/b.mp4", 30)
    (tmp_path / "data" / "still" / "c.mp4").write_text("no video")
    return tmp_path / "data"


def test_a_reference_and_a_loaded_model_are_measured_alike_and_nothing_is_printed(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[int, int]] = []
    found = stzoo.evaluate(MODEL, data, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert found["top1"]["n"] == 2
    assert [Path(failed["path"]).name for failed in found["failed"]] == ["c.mp4"]
    loaded = stzoo.load(MODEL, runtime="onnxruntime")
    kept = stzoo.evaluate(loaded, str(data), folder=tmp_path / "out", figures=True)
    assert kept["top1"] == found["top1"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("scores.npz", "results.json", "confusion.png", "reliability.png", "risk.png"),
    }
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == kept
    again: list[tuple[int, int]] = []
    stzoo.evaluate(loaded, data, folder=tmp_path / "out", progress=lambda done, total: again.append((done, total)))
    assert again == [(3, 3)], "only what could not be read is tried again"
    assert capfd.readouterr() == ("", "")


def test_calibrated_scores_are_not_mixed_with_plain_ones(data: Path, tmp_path: Path) -> None:
    plain = stzoo.load(MODEL, runtime="onnxruntime")
    fitted = Confidence(nets=1, temperature=3.0, thresholds=(), videos=2, data="val.txt")
    stzoo.evaluate(dataclasses.replace(plain, confidence=fitted), data, folder=tmp_path / "out")
    with pytest.raises(DataError, match="holds scores with another temperature"):
        stzoo.evaluate(plain, data, folder=tmp_path / "out")


def test_scores_of_a_net_that_no_file_holds_are_not_kept(data: Path, tmp_path: Path) -> None:
    found = stzoo.evaluate(stzoo.load(MODEL, weights=None), data, folder=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]
    assert found["digest"] == ""


def test_figures_want_a_folder_and_data_has_to_be_good(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name one with folder="):
        stzoo.evaluate(MODEL, data, figures=True)
    (tmp_path / "list.txt").write_text("a.mp4 nowhere\n")
    with pytest.raises(DataError):
        stzoo.evaluate(MODEL, tmp_path / "list.txt")


def test_videos_that_trained_the_model_are_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stzoo.evaluation.calls.seen_in_training", lambda folder, videos: f"{folder.name} saw them")
    (data / "still" / "c.mp4").unlink()
    assert stzoo.evaluate(MODEL, data)["warnings"] == [f"{MODEL} saw them"]
    assert stzoo.evaluate(stzoo.load(MODEL), data)["warnings"] == []
