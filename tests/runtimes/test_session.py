"""The same clips on every runtime that is installed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import stzoo
from stzoo.errors import BundleError, UsageError
from stzoo.files import packaged
from stzoo.runtimes import OnnxFile, Precision, Runtime, has_gpu, is_there, open_session
from stzoo.runtimes.onnx_file import read

MODEL = "camera-motion-opt"
FILE = packaged("bundled") / MODEL / "model.onnx"
SAMPLE = packaged("bundled") / "sample.mp4"


@pytest.fixture(scope="module")
def file() -> OnnxFile:
    return read(FILE)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 8, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(pixels: np.ndarray) -> np.ndarray:
    return stzoo.load(MODEL, device="cpu").scores_of(pixels)


@pytest.mark.parametrize(
    ("runtime", "precision", "tolerance"),
    [("onnxruntime", "fp32", 1e-4), ("openvino", "fp32", 1e-3), ("openvino", "bf16", 0.05)],
)
def test_scores_are_those_of_torch(
    runtime: Runtime,
    precision: Precision,
    tolerance: float,
    file: OnnxFile,
    pixels: np.ndarray,
    expected: np.ndarray,
) -> None:
    pytest.importorskip(runtime)
    try:
        session = open_session(runtime, file, "cpu", precision)
    except UsageError as error:
        pytest.skip(str(error))  # not every processor has bfloat16
    assert (session.runtime, session.precision, session.device) == (runtime, precision, "cpu")
    scores = session.scores(pixels, file.contract)
    np.testing.assert_allclose(scores, expected, atol=tolerance)
    assert (np.abs(scores - expected).max() < 1e-5) == (precision == "fp32")


def test_loading_gives_the_same_predictions_on_every_runtime() -> None:
    model = stzoo.load(MODEL, device="cpu")
    other = stzoo.load(MODEL, device="cpu", runtime="onnxruntime")
    assert (other.runtime, other.precision, other.device) == ("onnxruntime", "fp32", "cpu")
    assert (other.labels, other.contract, other.digest) == (model.labels, model.contract, model.digest)
    assert other.strategy == model.strategy
    np.testing.assert_allclose(other.scores(SAMPLE), model.scores(SAMPLE), atol=1e-4)
    with pytest.raises(UsageError, match="load it anew"):
        other.to("cpu")


def test_a_graph_that_no_runtime_takes_is_one_sentence(file: OnnxFile, tmp_path: Path) -> None:
    import dataclasses

    import onnx

    model = onnx.load_model_from_string(file.content)
    model.graph.node[3].op_type = "Nonsense"
    broken = dataclasses.replace(file, content=model.SerializeToString())
    for runtime in ("onnxruntime", "openvino"):
        if is_there(runtime):
            with pytest.raises(BundleError, match=f"{runtime} refuses .*model.onnx.*Nonsense"):
                open_session(runtime, broken, "cpu", "fp32")


@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(file: OnnxFile) -> None:
    with pytest.raises(UsageError, match="finds no GPU"):
        open_session("onnxruntime", file, "cuda", "fp32")


@pytest.mark.skipif(not has_gpu(), reason="no GPU")
def test_a_gpu_gives_the_same_scores(file: OnnxFile, pixels: np.ndarray, expected: np.ndarray) -> None:
    session = open_session("onnxruntime", file, "cuda", "fp32")
    assert session.device == "cuda"
    np.testing.assert_allclose(session.scores(pixels, file.contract), expected, atol=1e-4)


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino"])
def test_sixteen_threads_get_the_answers_to_their_own_clips(runtime: Runtime) -> None:
    pytest.importorskip(runtime)
    model = stzoo.load("camera-motion-s", device="cpu", runtime=runtime)
    clips = [np.random.default_rng(seed).integers(0, 256, (2, 8, 64, 64, 3), np.uint8) for seed in range(16)]
    expected = [model.scores_of(each) for each in clips]
    with ThreadPoolExecutor(16) as pool:
        for _ in range(3):
            np.testing.assert_allclose(list(pool.map(model.scores_of, clips)), expected, atol=1e-5)
