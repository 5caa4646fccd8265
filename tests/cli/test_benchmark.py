from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner

from stzoo.cli.benchmark import benchmark
from stzoo.zoo import benchmarking
from stzoo.zoo.benchmarking import Failed, Speed

ROWS = [
    Speed("openvino", "fp32", "cpu", 2, 1.5, 3.25, 3.0, 4.0, 3.1, 200, 12.5, None, 1e-7, True),
    Failed("openvino", "bf16", 2, "this processor does not compute in bf16; use fp32 or int8."),
]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(benchmarking, "benchmark", lambda *_, **__: ROWS)
    result = CliRunner().invoke(benchmark, ["camera-motion-s", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_marks_what_auto_takes_and_says_what_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run(monkeypatch).splitlines()
    (line,) = (line for line in lines if "openvino*" in line)
    assert line.split() == ["openvino*", "fp32", "2", "3.2", "(3.0–4.0)", "12.5", "1.50", "s", "–", "1.0e-07"]
    assert "Not measured: this processor does not compute in bf16; use fp32 or int8." in lines
    assert lines[-1].startswith("sample.mp4 on ")


def test_csv_and_json_say_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(csv.DictReader(io.StringIO(run(monkeypatch, "--format", "csv"))))
    assert [row["runtime"] for row in rows] == ["openvino", "openvino"]
    assert (rows[0]["milliseconds_a_clip"], rows[0]["is_auto"], rows[0]["megabytes"]) == ("3.25", "True", "")
    assert rows[1]["error"].startswith("this processor")
    facts = json.loads(run(monkeypatch, "--format", "json"))
    assert facts["video"] == "sample.mp4"
    assert facts["machine"]["processor"]
    assert [way.get("videos_a_second") for way in facts["ways"]] == [12.5, None]
