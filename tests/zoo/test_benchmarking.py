from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stzoo.errors import VideoError
from stzoo.files import packaged
from stzoo.zoo import benchmarking
from stzoo.zoo.benchmarking import Failed, Speed
from stzoo.zoo.verifying import Way

FILE = packaged("bundled") / "camera-motion-s" / "model.onnx"
SAMPLE = packaged("bundled") / "sample.mp4"


def test_a_process_measures_itself() -> None:
    done: list[tuple[int, int]] = []
    (row,) = benchmarking.benchmark(FILE, SAMPLE, [1], "onnxruntime", advance=lambda *steps: done.append(steps))
    assert isinstance(row, Speed), row
    assert (row.runtime, row.precision, row.device, row.threads) == ("onnxruntime", "fp32", "cpu", 1)
    assert 0 < row.milliseconds_low <= row.milliseconds_a_clip <= row.milliseconds_high < 1000 * row.cold_start_seconds
    assert 0 < row.processor_milliseconds_a_clip < 1.5 * row.milliseconds_high
    assert row.clips >= benchmarking.FEWEST_RUNS
    assert row.videos_a_second < 1000 / row.milliseconds_low
    assert row.megabytes is None or row.megabytes > 30
    assert row.largest_difference is None, "torch cannot run a file"
    assert done == [(1, 1)]


def measured(runtime: str, precision: str, threads: int, milliseconds: float, score: float) -> dict[str, Any]:
    return {
        "runtime": runtime,
        "precision": precision,
        "device": "cpu",
        "threads": threads,
        "cold_start_seconds": 1.0,
        "milliseconds_a_clip": milliseconds,
        "milliseconds_low": milliseconds,
        "milliseconds_high": milliseconds,
        "processor_milliseconds_a_clip": milliseconds,
        "clips": 5,
        "videos_a_second": 1.0,
        "megabytes": None,
        "scores": [score, 1 - score],
    }


def test_the_fastest_comes_first_and_differences_are_from_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        ("torch", "fp32"): measured("torch", "fp32", 1, 9.0, 0.5),
        ("onnxruntime", "fp32"): measured("onnxruntime", "fp32", 1, 5.0, 0.51),
        ("openvino", "fp32"): measured("openvino", "fp32", 1, 3.0, 0.5),
        ("openvino", "bf16"): {"runtime": "openvino", "precision": "bf16", "threads": 1, "error": "no bf16 here"},
    }
    monkeypatch.setattr(benchmarking, "_measured", lambda ref, way, *_: answers[way])
    rows = benchmarking.benchmark("camera-motion-s", SAMPLE, [1])
    assert [(row.runtime, row.precision) for row in rows] == [
        ("openvino", "fp32"),
        ("onnxruntime", "fp32"),
        ("torch", "fp32"),
        ("openvino", "bf16"),
    ]
    assert rows[1].largest_difference == pytest.approx(0.01)
    assert [row.is_auto for row in rows[:3]].count(True) == 1
    assert rows[3] == Failed("openvino", "bf16", 1, "no bf16 here")
    json.dumps([vars(row) for row in rows])


def test_a_process_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarking, "_CHILD", "raise SystemExit('it does not run')")
    row = benchmarking._measured(FILE, Way("onnxruntime", "fp32"), SAMPLE, 1, lambda _: None)
    assert row == {"runtime": "onnxruntime", "precision": "fp32", "threads": 1, "error": "it does not run"}
    row = benchmarking._measured(FILE, Way("onnxruntime", "bf16"), SAMPLE, 1, lambda _: None)
    assert "onnxruntime does not compute in bf16" in row["error"]


def test_a_video_that_cannot_be_read_is_found_first(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(VideoError, match="is empty"):
        benchmarking.benchmark(FILE, tmp_path / "a.mp4")
