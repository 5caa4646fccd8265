from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.rows import row, timeline_row
from stzoo.prediction.scoring import Failed, Scored
from stzoo.prediction.timeline import Timeline
from stzoo.video.decode import VideoInfo
from tests.prediction.test_predictor import Brightness

LABELS = ("dark", "middle", "bright", "never")
INFO = VideoInfo(Path("a.mp4"), 8, 6, 0, False, np.arange(5) / 2, False, True)
SCORES = np.array([[0.1, 0.6, 0.3, 0.0], [0.1, 0.2, 0.7, 0.0]], np.float32)


@pytest.fixture
def predictor() -> Predictor:
    contract = InputContract(frames=2, fps=5.0, clips=2, resize=24, crop=16)
    return Predictor(Brightness(), contract, LABELS, "brightness", "cpu", digest="1" * 64)


def test_a_row_says_what_was_seen_by_whom_and_what_came_of_it(predictor: Predictor) -> None:
    times = np.array([[0.0, 0.2], [1 / 3, 2.0]])
    entry = row(predictor, Scored("./a.mp4", SCORES[0], times, INFO, ("cut off",), 0.25, 0.5), 2)
    assert json.loads(json.dumps(entry)) == entry
    assert entry == {
        "path": "./a.mp4",
        "predictions": [
            {"label": "middle", "score": pytest.approx(0.6)},
            {"label": "bright", "score": pytest.approx(0.3)},
        ],
        "clips": [[0.0, 0.2], [0.333333, 2.0]],
        "video": {"width": 8, "height": 6, "frames": 5, "fps": 2.0, "duration_seconds": 2.5},
        "warnings": ["cut off"],
        "contract": predictor.contract.model_dump(mode="json"),
        "model": {"name": "brightness", "digest": "1" * 64},
        "runtime": {"name": "torch", "precision": "fp32", "device": "cpu"},
        "seconds": {"decode": 0.25, "compute": 0.5},
    }


def test_a_row_of_a_timeline_has_windows_and_captions_in_its_place(predictor: Predictor) -> None:
    spans = np.array([[0.0, 2.0], [1 / 3, 2.5]])
    timeline = Timeline("./a.mp4", LABELS, spans, SCORES, INFO, (), 0.25, 0.5)
    entry = timeline_row(predictor, timeline, 1, window_seconds=2.0, hop_seconds=1.0)
    assert json.loads(json.dumps(entry)) == entry
    assert (entry["path"], entry["window_seconds"], entry["hop_seconds"]) == ("./a.mp4", 2.0, 1.0)
    assert [(window["start_seconds"], window["end_seconds"]) for window in entry["windows"]] == [
        (0.0, 2.0),
        (0.333333, 2.5),
    ]
    assert [[each["label"] for each in window["predictions"]] for window in entry["windows"]] == [
        ["middle"],
        ["bright"],
    ]
    assert [caption["label"] for caption in entry["captions"]] == ["middle", "bright"]
    assert (entry["captions"][0]["start_seconds"], entry["captions"][-1]["end_seconds"]) == (0.0, 2.5)
    whole = row(predictor, Scored("./a.mp4", SCORES[0], spans, INFO, (), 0.25, 0.5), 1)
    assert entry.items() >= {key: value for key, value in whole.items() if key not in ("predictions", "clips")}.items()


def test_a_video_that_cannot_be_read_has_a_path_and_an_error(predictor: Predictor) -> None:
    failed = Failed("a.mp4", "a.mp4 does not exist")
    expected = {"path": "a.mp4", "error": "a.mp4 does not exist"}
    assert row(predictor, failed, 3) == expected
    assert timeline_row(predictor, failed, 3, window_seconds=2.0, hop_seconds=1.0) == expected
