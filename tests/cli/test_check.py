from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from stzoo import cli
from stzoo.zoo import checking
from stzoo.zoo.checking import Findings, Part

RUNTIME = {"version": "1.31.1", "providers": ["CPUExecutionProvider"], "works": True}
CACHE = {"folder": "/home/ada/.cache/stzoo/onnx", "bytes": 12_300_000}
DECODER = {"av": "18.1.0", "ffmpeg": "8.1.2", "licence": "LGPL version 3 or later", "gpl": ["libx264"]}


def findings(problem: str | None = None) -> Findings:
    return Findings(
        machine=Part({"processor": "a processor", "threads": 2}),
        packages=Part({"numpy": "2.4.6", "torch": None}, (), ("torch is not installed",)),
        devices=Part([]),
        runtimes=Part({"torch": None, "onnxruntime": RUNTIME}, () if problem is None else (problem,)),
        decoder=Part(DECODER),
        caches=Part({"onnx": CACHE}),
        hub=Part({"endpoint": "https://hub", "answers": None}),
    )


def run(monkeypatch: pytest.MonkeyPatch, result: Findings, *words: str) -> Result:
    monkeypatch.setattr(checking, "check", lambda offline: result)
    return CliRunner().invoke(cli.main, ["check", *words], prog_name="stzoo")


def test_all_parts_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, findings())
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert {
        "processor a processor",
        "GPUs none",
        "decoder PyAV 18.1.0 with FFmpeg 8.1.2, LGPL version 3 or later; libx264 in it: GPL",
        "Hub https://hub not asked",
        "torch – – not installed",
        "onnxruntime 1.31.1 CPUExecutionProvider predicts",
        "onnx 12.3 MB /home/ada/.cache/stzoo/onnx",
        "numpy 2.4.6",
        "torch –",
    } <= set(lines)
    assert result.stderr == "Note: torch is not installed.\n"


def test_what_will_not_work_ends_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, findings("openvino is broken"))
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: openvino is broken.\n")


def test_json_has_facts_problems_and_remarks(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, findings("openvino is broken"), "--format", "json")
    facts = json.loads(result.stdout)
    assert facts["problems"] == ["openvino is broken"]
    assert facts["remarks"] == ["torch is not installed"]
    assert facts["runtimes"] == {"torch": None, "onnxruntime": RUNTIME}
    assert facts["caches"]["onnx"] == CACHE


def test_a_decoder_that_is_not_there_is_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Findings(**{**{name: getattr(findings(), name) for name in vars(findings())}, "decoder": Part(None)})
    assert "decoder    –" in run(monkeypatch, broken).stdout
