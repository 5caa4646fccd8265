from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner, Result

import stzoo
from stzoo import cli
from stzoo.files import packaged
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from tests.conftest import MakeVideo
from tests.data.layouts import write_frames

MODEL = "camera-motion-opt"


def run(*args: object) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, args)], prog_name="stzoo")


@pytest.fixture
def video(make_video: MakeVideo) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 16, 3), np.uint8).repeat(8, 1).repeat(8, 2).repeat(9, 0)
    return make_video("odd.mp4", 54, fps=Fraction(24000, 1001), width=128, height=72, pixels=pixels)


@pytest.mark.parametrize("options", [[], ["--clips", 2, "--crops", 3, "--stride", 3]])
def test_evaluate_predict_python_and_onnx_give_the_same_scores(
    video: Path, tmp_path: Path, options: list[object]
) -> None:
    (tmp_path / "list.txt").write_text("odd.mp4 still\n")
    evaluated = run("evaluate", MODEL, "--data", tmp_path / "list.txt", "--out", tmp_path / "out", *options)
    assert evaluated.exit_code == 0, evaluated.output
    with np.load(tmp_path / "out" / "scores.npz") as arrays:
        (expected,) = arrays["scores"]
    model = stzoo.load(MODEL, device="cpu", protocol={"clips": 2, "crops": 3, "stride_frames": 3} if options else {})
    contract = model.contract
    predicted = json.loads(run("predict", video, "--model", MODEL, "--format", "json", "--topk", 99, *options).stdout)[
        0
    ]
    by_label = {entry["label"]: entry["score"] for entry in predicted["predictions"]}
    views = normalise(read_clips(Video(video), contract).clips, contract)
    session = onnxruntime.InferenceSession(
        packaged("bundled") / MODEL / "model.onnx", providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run(None, {session.get_inputs()[0].name: views})
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    found = {
        "predict": [by_label[label] for label in model.labels],
        "Python": model.scores(video),
        "ONNX": (exponents / exponents.sum(axis=1, keepdims=True)).mean(axis=0),
    }
    for name, scores in found.items():
        np.testing.assert_allclose(scores, expected, atol=1e-4, err_msg=name)
    assert len(views) == contract.clips * contract.crops
    assert ("Input: " in evaluated.stderr) == bool(options)


def test_an_exported_file_is_measured_like_its_model(video: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{video} still\n")
    shutil.copy(packaged("bundled") / MODEL / "model.onnx", tmp_path)
    common = ("--data", tmp_path / "list.txt", "--format", "json", "--out")
    of_file = run("evaluate", tmp_path / "model.onnx", *common, tmp_path / "file")
    assert of_file.exit_code == 0, of_file.output
    of_model = run("evaluate", MODEL, *common, tmp_path / "model")
    assert json.loads(of_file.stdout)["top1"] == json.loads(of_model.stdout)["top1"]


def test_a_folder_a_class_and_failures(video: Path, tmp_path: Path) -> None:
    for label in ("still", "approach"):
        (tmp_path / "data" / label).mkdir(parents=True)
    video.rename(tmp_path / "data" / "still" / "a.mp4")
    broken = tmp_path / "data" / "approach" / "b.mp4"
    broken.write_text("no video")
    common = ("evaluate", MODEL, "--data", tmp_path / "data", "--out", tmp_path / "out")
    result = run(*common, "--format", "json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [entry["path"] for entry in found["failed"]] == [str(broken)]
    assert result.stderr == f"Error: {found['failed'][0]['reason']}\n"
    assert [entry["label"] for entry in found["classes"] if entry["top1"]] == ["still"]
    text = run(*common)
    assert "1 of 2 files could not be read." in text.stdout
    assert "expected calibration error" in text.stdout


def test_a_label_that_the_model_does_not_know_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.mp4 stil\n")
    result = run("evaluate", MODEL, "--data", tmp_path / "list.txt", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert 'line 1: the label "stil" is none of the 10 class names or an index from 0 to 9. Did you mean "still"?' in (
        result.stderr
    )
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_folders_of_frames_are_measured_at_their_rate(tmp_path: Path) -> None:
    write_frames(tmp_path / "data" / "still" / "1")
    common = ("evaluate", MODEL, "--data", tmp_path / "data", "--clips", 1, "--format", "json")
    lacking = run(*common, "--out", tmp_path / "lacking")
    assert lacking.exit_code == 1
    assert "holds frames and not their rate" in lacking.stderr
    result = run(*common, "--out", tmp_path / "out", "--frame-rate", 12)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["frame_rate"] == 12.0
    other = run(*common, "--out", tmp_path / "out", "--frame-rate", 6)
    assert "holds scores with another frame_rate" in other.stderr


def test_another_strategy_is_measured_with_its_own_statistics(video: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("odd.mp4 still\n")
    calibrated = ("--calibrate", tmp_path / "list.txt")
    scores = []
    for options in ((), ("--strategy", "mc3", *calibrated), ("--strategy", "most-probable", *calibrated)):
        folder = tmp_path / f"out-{len(scores)}"
        result = run("evaluate", MODEL, "--data", tmp_path / "list.txt", "--out", folder, *options)
        assert result.exit_code == 0, result.output
        with np.load(folder / "scores.npz") as arrays:
            scores.append(arrays["scores"][0])
    expected = stzoo.load(MODEL, device="cpu", strategy="mc3", calibrate=video).scores(video)
    np.testing.assert_allclose(scores[1], expected, atol=1e-5)
    assert not np.allclose(scores[0], scores[1], atol=1e-3)
    assert not np.allclose(scores[1], scores[2], atol=1e-3)
    mixed = run("evaluate", MODEL, "--data", tmp_path / "list.txt", "--out", tmp_path / "out-1", "--strategy", "mc3")
    assert "holds scores with another calibration" in mixed.stderr
    other = run("evaluate", MODEL, "--data", tmp_path / "list.txt", "--out", tmp_path / "out-1")
    assert "holds scores with another " in other.stderr
