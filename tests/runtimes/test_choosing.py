from __future__ import annotations

import importlib.util
import sys

import pytest

from stzoo.errors import UsageError
from stzoo.files import packaged
from stzoo.runtimes import OnnxFile, Precision, Runtime, open_session, refuse_unknown
from stzoo.runtimes.onnx_file import read


@pytest.fixture(scope="module")
def file() -> OnnxFile:
    return read(packaged("bundled") / "camera-motion-opt" / "model.onnx")


@pytest.mark.parametrize(
    ("runtime", "device", "precision", "sentence"),
    [
        ("onnxruntime", "cpu", "bf16", "use openvino"),
        ("onnxruntime", "cpu", "int8", "computes in fp32"),
        ("openvino", "cuda", "fp32", "choose the device cpu"),
        ("torch", "cpu", "fp32", "choose onnxruntime"),
        ("onnxruntime", "mps", "fp32", "onnxruntime runs on cpu or cuda, not on mps; choose one of them"),
        ("onnxruntime", "cuda:1", "fp32", "not on cuda:1"),
    ],
)
def test_what_a_runtime_cannot_do_is_one_sentence(
    runtime: Runtime, device: str, precision: Precision, sentence: str, file: OnnxFile
) -> None:
    with pytest.raises(UsageError, match=sentence):
        open_session(runtime, file, device, precision)


def test_a_runtime_that_is_not_installed_is_named(file: OnnxFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"stzoo\[openvino\]"):
        open_session("openvino", file, "cpu", "fp32")


@pytest.mark.parametrize(
    ("runtime", "precision", "sentence"),
    [
        ("onnx", "fp32", 'no runtime "onnx"; choose one of auto, torch, onnxruntime, openvino'),
        ("auto", "fp17", 'no precision "fp17"; choose one of fp32, fp16, bf16, int8. Did you mean'),
    ],
)
def test_what_nobody_knows_is_named_with_what_there_is(runtime: str, precision: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        refuse_unknown(runtime, precision)
