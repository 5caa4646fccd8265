from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import ExportError, UsageError
from stzoo.export import to_fp16, to_onnx
from stzoo.nets import Architecture
from stzoo.runtimes import open_session
from stzoo.runtimes.onnx_file import read

CONTRACT = InputContract(frames=4, fps=4.0, resize=32, crop=32)


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    shape = Architecture("densenet_tiny", 3, {})
    path = tmp_path_factory.mktemp("fp16") / "exact.onnx"
    net = nets.fixed_net(shape, shape.uniform("S+ST")).eval()
    labels = ["left", "right", "still"]
    to_onnx.export(net, path, CONTRACT, labels, name="tiny", digest="0" * 64, form="portable", clips_at_once=1)
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_half_the_bits_give_about_the_same_probabilities(exact: Path, tmp_path: Path, runtime: str) -> None:
    to_fp16.halve(exact, tmp_path / "half.onnx")
    file = read(tmp_path / "half.onnx")
    assert (file.precision, file.name, file.digest, file.form) == ("fp16", "tiny", "0" * 64, "portable")
    assert file.path.stat().st_size < 0.6 * exact.stat().st_size
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 32, 32, 3), dtype=np.uint8)
    scores = [open_session(runtime, one, "cpu", one.precision).scores(pixels, CONTRACT) for one in (file, read(exact))]
    np.testing.assert_allclose(*scores, atol=0.02)
    assert (scores[0] != scores[1]).any()
    with pytest.raises(UsageError, match="computes in fp16, not in fp32"):
        open_session(runtime, file, "cpu", "fp32")


def test_a_weight_that_is_too_large_is_named(exact: Path, tmp_path: Path) -> None:
    model = onnx.load(exact)
    (bias,) = (tensor for tensor in model.graph.initializer if tensor.name.endswith("head.bias"))
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([0.0, 1e5, 0.0], np.float32), bias.name))
    onnx.save(model, tmp_path / "large.onnx")
    with pytest.raises(ExportError, match=r"head\.bias holds 100000, and 16 bits at most 65504"):
        to_fp16.halve(tmp_path / "large.onnx", tmp_path / "half.onnx")
    assert not (tmp_path / "half.onnx").exists()


@pytest.fixture(scope="module", params=["images", "volumes"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    shape = Architecture("densenet_tiny", 3, {})
    path = tmp_path_factory.mktemp("whole") / "whole.onnx"
    net = nets.fixed_net(shape, shape.uniform("S+ST")).eval()
    to_onnx.export(net, path, CONTRACT, ["left", "right", "still"], name="tiny", digest="0" * 64, form=request.param)
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_kernels_stored_in_16_bits_are_computed_with_in_32(whole: Path, tmp_path: Path, runtime: str) -> None:
    to_fp16.store_in_half(whole, tmp_path / "stored.onnx")
    stored, exact = read(tmp_path / "stored.onnx"), read(whole)
    stored.refuse_unrunnable()
    assert (stored.storage, exact.storage) == ("float16", "float32")
    assert (stored.precision, stored.form, stored.digest) == ("fp32", exact.form, exact.digest)
    rounded = onnx.load(whole)
    for tensor in rounded.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(rounded, tmp_path / "rounded.onnx")
    clips = np.random.default_rng(0).normal(size=(2, 3, 4, 32, 32)).astype(np.float32)
    logits = [open_session(runtime, file, "cpu", "fp32").logits(clips) for file in (stored, exact)]
    expected = open_session(runtime, read(tmp_path / "rounded.onnx"), "cpu", "fp32").logits(clips)
    np.testing.assert_allclose(logits[0], expected, atol=1e-6)
    assert 0 < np.abs(logits[0] - logits[1]).max() < 0.02
    kernels = [t for t in onnx.load(stored.path).graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    assert sum(np.prod(tensor.dims) for tensor in kernels) > 100_000
    assert whole.stat().st_size - stored.path.stat().st_size > 1.8 * sum(np.prod(tensor.dims) for tensor in kernels)


def test_a_kernel_that_is_too_large_for_16_bits_is_named(whole: Path, tmp_path: Path) -> None:
    model = onnx.load(whole)
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name.endswith("head.weight"))
    weight.CopyFrom(onnx.numpy_helper.from_array(np.full(tuple(weight.dims), 1e5, np.float32), weight.name))
    onnx.save(model, tmp_path / "large.onnx")
    with pytest.raises(ExportError, match=r"head\.weight holds 100000"):
        to_fp16.store_in_half(tmp_path / "large.onnx", tmp_path / "stored.onnx")
    assert not (tmp_path / "stored.onnx").exists()
