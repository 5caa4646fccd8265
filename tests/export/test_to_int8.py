from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

import stzoo
from stzoo import bundle as bundles
from stzoo.data.datasets import Item
from stzoo.errors import DataError, ExportError
from stzoo.export import to_onnx
from stzoo.export.to_int8 import compare_scores, quantise, quantise_and_measure
from stzoo.files import packaged
from stzoo.runtimes import is_there, open_session
from stzoo.runtimes.onnx_file import read
from tests.conftest import MakeVideo

MODEL = "camera-motion-opt"
FILE = packaged("bundled") / MODEL / "model.onnx"
SAMPLE = packaged("bundled") / "sample.mp4"


def test_a_model_in_int8_answers_nearly_the_same(make_video: MakeVideo, tmp_path: Path) -> None:
    model = stzoo.load(MODEL, device="cpu")
    still = model.labels.index("still")
    items = [Item(SAMPLE, still), Item(make_video("grey.mp4", 12), 0), Item(tmp_path / "missing.mp4", 0)]
    target = tmp_path / "model.int8.onnx"
    comparison = quantise_and_measure(model, FILE, target, items)
    assert comparison.videos == 2
    assert comparison.top1_fp32.n == comparison.top1_int8.n == 2
    assert comparison.top1_lost == comparison.top1_fp32.value - comparison.top1_int8.value
    assert 0 < comparison.largest_difference < 0.2
    before, after = onnx.load(str(FILE)), onnx.load(str(target))
    operators = Counter(node.op_type for node in after.graph.node)
    assert operators["QuantizeLinear"] > operators["Conv"] > 30
    assert target.stat().st_size < FILE.stat().st_size / 2
    metadata = {entry.key: entry.value for entry in before.metadata_props}
    assert {entry.key: entry.value for entry in after.metadata_props} == metadata | {"precision": "int8"}
    file = read(target)
    file.check(bundles.read(FILE.parent), model.digest)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 64, 64, 3), np.uint8)
    for runtime in ("onnxruntime", "openvino"):
        if is_there(runtime):
            scores = open_session(runtime, file, "cpu", "int8").scores(pixels, model.contract)
            np.testing.assert_allclose(scores, model.scores_of(pixels), atol=0.2)


def test_without_a_readable_video_nothing_is_written(tmp_path: Path) -> None:
    model = stzoo.load(MODEL, device="cpu")
    with pytest.raises(DataError, match=r"none of the 1 videos can be read .*missing\.mp4"):
        quantise_and_measure(model, FILE, tmp_path / "int8.onnx", [Item(tmp_path / "missing.mp4", 0)])
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_nobody_can_read_is_passed_over(make_video: MakeVideo, tmp_path: Path, odd: None) -> None:
    items = [Item(make_video(name, 8), 0) for name in ("odd.mp4", "a.mp4")]
    model = stzoo.load(MODEL, device="cpu")
    assert quantise_and_measure(model, FILE, tmp_path / "int8.onnx", items).videos == 1


def test_clips_that_the_file_does_not_take_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be written in int8"):
        quantise(FILE, tmp_path / "int8.onnx", [np.zeros((1, 3, 2, 64, 64), np.float32)])
    assert list(tmp_path.iterdir()) == []


def test_what_is_lost_is_a_difference_of_accuracies() -> None:
    before = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], np.float32)
    after = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.3, 0.7]], np.float32)
    comparison = compare_scores(before, after, np.array([0, 1, 0, 0]))
    assert (comparison.top1_fp32.value, comparison.top1_int8.value, comparison.top1_lost) == (0.75, 0.5, 0.25)
    assert comparison.same_best_label == 0.75
    assert comparison.largest_difference == pytest.approx(0.4)


def test_pixels_to_probabilities_in_int8(tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path) -> None:
    model = stzoo.load(tiny_bundle, device="cpu")
    source, target = tmp_path / "model.onnx", tmp_path / "model.int8.onnx"
    to_onnx.export(model.net, source, model.contract, model.labels, digest=model.digest, with_preprocess=True)
    comparison = quantise_and_measure(model, source, target, [Item(make_video("grey.mp4", 12), 0)])
    assert comparison.largest_difference < 0.2
    file = read(target)
    assert (file.takes_pixels, file.precision) == (True, "int8")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 32, 32, 3), np.uint8)
    for runtime in ("onnxruntime", "openvino"):
        if is_there(runtime):
            scores = open_session(runtime, file, "cpu", "int8").scores(pixels, model.contract)
            np.testing.assert_allclose(scores, model.scores_of(pixels), atol=0.2)
