from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from stzoo import bundle as bundles
from stzoo.bundle import golden
from stzoo.cli import export as command
from stzoo.data.datasets import Item
from stzoo.errors import DataError, ExportError, UsageError, VideoError
from stzoo.export import to_int8, to_onnx
from stzoo.export.to_int8 import Int8Comparison
from stzoo.export.to_onnx import Agreement
from stzoo.files import packaged
from stzoo.metrics import Estimate
from stzoo.prediction.predictor import Predictor
from stzoo.runtimes.onnx_file import read
from stzoo.zoo import exporting

MakeVideo = Callable[..., Path]
PERFECT = Agreement(0.0, 1.0, (1, 3), 1.0, "test", "test", 1)


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
    report = json.loads((tmp_path / "export.json").read_text())["model.onnx"]
    assert report["passed"]
    assert report["largest_difference"] <= 1e-4
    assert report["batch_sizes"] == [1, 3]
    assert report["model"] == "tiny-opt"
    assert report["model_digest"] == bundles.weights_digest(tiny_bundle)
    assert report["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert report["milliseconds_a_clip"] > 0
    assert report["provider"] == "CPUExecutionProvider"
    assert report["video"] == "clip.mp4"
    kept = golden.read(tmp_path / "model.golden.json")
    assert (kept.model_digest, kept.video.name) == (report["model_digest"], "clip.mp4")
    assert (tmp_path / "model.golden.json").stat().st_size <= 300_000
    run(str(tiny_bundle), "-o", str(output), "--video", str(video), "--form", "volumes", "--replace")
    assert read(output).form == "volumes"
    text = run(str(tiny_bundle), "-o", str(output), "--video", str(video), "--form", "portable", "--replace")
    for target in ("coreml", "nnapi"):
        assert re.search(rf"{target}: takes (\d+) of \1 nodes, in 1 partition \(not run", text)
    report = json.loads((tmp_path / "export.json").read_text())["model.onnx"]
    assert report["batch_sizes"] == [1]
    assert {name: facts["how"][:7] for name, facts in report["targets"].items()} == {
        "onnxruntime": "run",
        "openvino": "run",
        "coreml": "not run",
        "nnapi": "not run",
        "wasm": "not run",
        "webgpu": "not run",
    }
    text = run(str(tiny_bundle), "-o", str(tmp_path / "half.onnx"), "--form", "portable", "--precision", "fp16")
    report = json.loads((tmp_path / "export.json").read_text())["half.onnx"]
    assert (report["precision"], report["passed"]) == ("fp16", True)
    assert report["fp16"]["beside_torch"]["largest_difference"] > report["fp16"]["made_of"]["largest_difference"]
    run(str(tiny_bundle), "-o", str(tmp_path / "stored.onnx"), "--storage", "float16")
    report = json.loads((tmp_path / "export.json").read_text())["stored.onnx"]
    assert (report["precision"], report["storage"], report["passed"]) == ("fp32", "float16", True)
    assert report["fp16"]["beside_torch"]["largest_difference"] > report["fp16"]["made_of"]["largest_difference"]
    assert read(tmp_path / "stored.onnx").storage == "float16"
    with pytest.raises(UsageError, match="about files of images or volumes in fp32"):
        run(str(tiny_bundle), "-o", str(tmp_path / "other.onnx"), "--storage", "float16", "--form", "portable")
    with pytest.raises(UsageError, match="give --form portable too"):
        run(str(tiny_bundle), "-o", str(tmp_path / "other.onnx"), "--precision", "fp16")
    with pytest.raises(UsageError, match="leave --clips out, or give --form portable"):
        run(str(tiny_bundle), "-o", str(output), "--clips", "2", "--replace")


def test_a_file_that_exists_is_not_overwritten_silently(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"model\.onnx exists; .* \(--replace; in Python replace=True\)"):
        run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"), "--no-verify")
    assert (tmp_path / "model.onnx").read_bytes() == b"mine"


def _instant_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_onnx, "export", lambda net, path, *_, **__: path.write_bytes(b"onnx"))


def test_a_net_that_differs_is_an_error_and_stays_for_inspection(
    tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _instant_export(monkeypatch)
    wrong = replace(PERFECT, largest_difference=0.5, top1_agreement=0.75)
    monkeypatch.setattr(to_onnx, "compare", lambda *_: wrong)
    output = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match=r"differs by 5\.0e-01"):
        run(str(tiny_bundle), "-o", str(output), "--video", str(make_video("clip.mp4")))
    assert output.exists()
    assert json.loads((tmp_path / "export.json").read_text())["model.onnx"]["passed"] is False


def test_nothing_is_compared_when_told_so(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _instant_export(monkeypatch)
    (tmp_path / "model.golden.json").write_text("of what stood here before")
    run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"), "--no-verify")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_bundle_that_has_golden_clips_gets_no_second_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _instant_export(monkeypatch)
    monkeypatch.setattr(to_onnx, "compare", lambda *_: PERFECT)
    folder = Path(shutil.copytree(packaged("bundled") / "camera-motion-s", tmp_path / "camera-motion-s"))
    run(str(folder), "-o", str(folder / "other.onnx"))
    assert not (folder / "other.golden.json").exists()
    shutil.copy(packaged("bundled") / "camera-motion-st" / "golden.json", folder)
    run(str(folder), "-o", str(folder / "other.onnx"), "--replace")
    assert golden.read(folder / "other.golden.json").model == "camera-motion-s"


def test_the_sample_in_the_package_is_compared_by_default(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _instant_export(monkeypatch)
    monkeypatch.setattr(to_onnx, "compare", lambda *_: PERFECT)
    run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"))
    run(str(tiny_bundle), "-o", str(tmp_path / "other.onnx"))
    reports = json.loads((tmp_path / "export.json").read_text())
    assert [report["video"] for report in reports.values()] == ["sample.mp4", "sample.mp4"]
    assert list(reports) == ["model.onnx", "other.onnx"]


def test_a_file_that_nobody_compared_loses_its_old_report(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _instant_export(monkeypatch)
    (tmp_path / "export.json").write_text('{"model.onnx": {"passed": true}, "other.onnx": {}}')
    run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"), "--no-verify")
    assert json.loads((tmp_path / "export.json").read_text()) == {"other.onnx": {}}


def test_a_report_of_something_else_is_not_replaced(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text("[]")
    with pytest.raises(DataError, match="move it away"):
        run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"), "--no-verify")
    assert [path.name for path in tmp_path.iterdir()] == ["export.json"]


@pytest.mark.parametrize("options", [["--precision", "int8"], ["--calibrate", "."], ["--root", "."]])
def test_int8_and_its_videos_go_together(tiny_bundle: Path, tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(UsageError, match="both"):
        run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"), *options)
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_cannot_be_read_is_named_before_anything_is_written(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="nowhere"):
        run(str(tiny_bundle), "-o", str(tmp_path / "model.onnx"), "--video", str(tmp_path / "nowhere.mp4"))
    assert list(tmp_path.iterdir()) == []


def test_int8_is_calibrated_on_a_list_whose_paths_start_in_root(
    tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrated: list[Item] = []

    def quantise(predictor: Predictor, source: Path, target: Path, items: list[Item]) -> Int8Comparison:
        calibrated.extend(items)
        target.write_bytes(b"int8")
        estimate = Estimate(1.0, 1.0, 1.0, 1)
        return Int8Comparison(1, estimate, estimate, 0.0, 1.0, 0.0)

    _instant_export(monkeypatch)
    rough = replace(PERFECT, largest_difference=0.25, milliseconds_a_clip=7.0)
    monkeypatch.setattr(to_onnx, "compare", lambda net, path, *_: rough if path.read_bytes() == b"int8" else PERFECT)
    monkeypatch.setattr(to_int8, "quantise_and_measure", quantise)
    monkeypatch.setattr(exporting, "_keep_golden_clips", lambda *_, **__: None)
    video = make_video("clip.mp4")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "list.txt").write_text("clip.mp4 0\n")
    options = ["--precision", "int8", "--calibrate", str(tmp_path / "lists" / "list.txt"), "--root", str(video.parent)]
    text = run(str(tiny_bundle), "-o", str(tmp_path / "model.int8.onnx"), *options)
    assert calibrated == [Item(video, 0)]
    assert "In int8 on 1 videos" in text
    assert "largest difference of a logit 2.5e-01" in text, "what is printed belongs to the file that was written"
    assert "7.0 ms a clip" in text
    report = json.loads((tmp_path / "export.json").read_text())["model.int8.onnx"]
    assert (report["precision"], report["passed"]) == ("int8", True)
    assert (report["int8"]["calibrated_on"], report["int8"]["top1_lost"]) == ("list.txt", 0.0)
    assert report["int8"]["beside_torch"]["largest_difference"] == 0.25
    assert report["int8"]["made_of"]["largest_difference"] == PERFECT.largest_difference
    assert "largest_difference" not in report, "that is the other file's"


def test_a_model_repository_is_written_in_place_of_a_file(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = packaged("bundled") / "camera-motion-s" / "model.onnx"
    monkeypatch.setattr(to_onnx, "export", lambda net, path, *_, **__: shutil.copy(served, path.absolute()))
    (tmp_path / "tiny-opt" / "1").mkdir(parents=True)
    text = run(str(tiny_bundle), "--triton", str(tmp_path), "--no-verify")
    assert text.splitlines()[-1] == f"{tmp_path / 'tiny-opt'}: for Triton's onnxruntime backend"
    assert 'name: "tiny-opt"' in (tmp_path / "tiny-opt" / "config.pbtxt").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match=r"model\.onnx exists; choose another name"):
        run(str(tiny_bundle), "--triton", str(tmp_path))
    for wrong in ([], ["-o", str(tmp_path / "a.onnx"), "--triton", str(tmp_path)]):
        with pytest.raises(UsageError, match="give the file to write with -o, or a model repository with --triton"):
            run(str(tiny_bundle), *wrong)
