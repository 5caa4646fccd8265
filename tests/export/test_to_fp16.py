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
