from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from stzoo import onnx_export
from stzoo.cli import export as command
from stzoo.errors import ExportError, VideoError

MakeVideo = Callable[..., Path]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command.export, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_bundle_is_exported_and_agrees_on_a_real_video(
    tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path
) -> None:
    video, output = make_video("clip.mp4"), tmp_path / "model.onnx"
    text = run(str(tiny_bundle), "-o", str(output), "--video", str(video))
    assert "same best label 100%" in text
    report = json.loads((tmp_path / "model.onnx.json").read_text())
    assert report["passed"]
    assert report["largest_difference"] <= 1e-4
    assert report["batch_sizes"] == [1, 3]
    assert report["model"] == "tiny-opt"
    assert report["video"] == "clip.mp4"


def _instant_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "export", lambda net, path, *_, **__: path.write_bytes(b"onnx"))


def test_a_net_that_differs_is_an_error_and_stays_for_inspection(
    tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _instant_export(monkeypatch)
    wrong = onnx_export.Agreement(0.5, 0.75, (1, 3), "test")
    monkeypatch.setattr(onnx_export, "compare", lambda *_: wrong)
    output = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match=r"differs by 5\.0e-01"):
        run(str(tiny_bundle), "-o", str(output), "--video", str(make_video("clip.mp4")))
    assert output.exists()
    assert json.loads((tmp_path / "model.onnx.json").read_text())["passed"] is False


def test_nothing_is_compared_when_told_so(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _instant_export(monkeypatch)
    run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"), "--no-verify")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_the_sample_in_the_package_is_compared_by_default(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _instant_export(monkeypatch)
    monkeypatch.setattr(onnx_export, "compare", lambda *_: onnx_export.Agreement(0.0, 1.0, (1, 3), "test"))
    run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"))
    assert json.loads((tmp_path / "model.onnx.json").read_text())["video"] == "sample.mp4"


def test_a_video_that_cannot_be_read_is_named_before_anything_is_written(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="nowhere"):
        run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"), "--video", str(tmp_path / "nowhere.mp4"))
    assert list(tmp_path.iterdir()) == []
