from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torchvision.models.video import mvit
from torchvision.models.video.mvit import MSBlockConfig, MViT

import stzoo
from stzoo.export import to_onnx
from stzoo.export.to_int8 import quantise
from stzoo.export.torchvision import writable
from stzoo.files import packaged
from stzoo.runtimes import is_there, open_session
from stzoo.runtimes.graph import Graph
from stzoo.runtimes.onnx_file import read
from stzoo.runtimes.values import FLOAT
from stzoo.terminal.quiet import quietly
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.video import Video


def multiscale(second: bool) -> MViT:
    """A small multiscale transformer of torchvision, of the first kind or the second."""
    widths = [(8, 8), (8, 16)] if second else [(8, 16), (16, 16)]
    kernels = [[3, 3, 3] if second else [], [3, 3, 3]]
    strides = [[1, 1, 1] if second else [], [1, 2, 2]]
    blocks = [
        MSBlockConfig(heads, *width, kernel, [3, 3, 3], stride, [1, 2, 2])
        for heads, width, kernel, stride in zip((1, 2), widths, kernels, strides, strict=True)
    ]
    kind = {"residual_pool": second, "rel_pos_embed": second, "proj_after_attn": second}
    net = MViT((32, 32), 8, blocks, residual_with_cls_embed=False, num_classes=5, **kind)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
        parameter.requires_grad_(False)
    return net.eval()


@pytest.mark.parametrize("second", [False, True])
def test_multiscale_transformers_are_written_in_operators_that_are_read(second: bool, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net, clips = multiscale(second), torch.randn(2, 3, 8, 32, 32)
    expected, before = net(clips), (mvit._add_rel_pos, mvit._add_shortcut)
    assert expected.std() > 0.1
    with writable(net, clips):
        torch.testing.assert_close(net(clips), expected, rtol=0, atol=1e-5)
        with quietly("torch.onnx", "onnxscript", "onnx_ir"):
            program = torch.onnx.export(
                net, (clips,), dynamo=True, verbose=False, dynamic_shapes=({0: "batch"},), opset_version=18
            )
    assert (mvit._add_rel_pos, mvit._add_shortcut) == before
    assert program is not None
    program.save(tmp_path / "net.onnx")
    assert Graph(onnx.load(str(tmp_path / "net.onnx"))).follow(FLOAT, (3, 3, 8, 32, 32)).shape == (3, 5)


def test_a_net_of_shifted_windows_goes_through_every_runtime(small_swin: Path, tmp_path: Path) -> None:
    model = stzoo.load("torchvision:swin_small", weights=small_swin, device="cpu", protocol={"frames": 8})
    exact, quantised = tmp_path / "model.onnx", tmp_path / "model.int8.onnx"
    assert isinstance(model.net, nn.Module)
    to_onnx.export(model.net, exact, model.contract, model.labels, name=model.name, digest=model.digest)
    sample = packaged("bundled") / "sample.mp4"
    clips = normalise(read_clips(Video(sample), model.contract, 3).clips, model.contract)
    agreement = to_onnx.compare(model.net, exact, clips)
    assert agreement.passed, agreement
    file = read(exact)
    assert (file.form, file.strategy, file.labels) == ("volumes", None, model.labels)
    logits = open_session("onnxruntime", file, "cpu", "fp32").logits(clips)
    assert logits.std() > 0.1
    if is_there("openvino"):
        np.testing.assert_allclose(open_session("openvino", file, "cpu", "fp32").logits(clips), logits, atol=1e-4)
    quantise(exact, quantised, (clip[None] for clip in clips))
    graph = onnx.load(str(quantised)).graph
    made = {name: node for node in graph.node for name in node.output}
    weights = {tensor.name for tensor in graph.initializer}
    products = [[made[name].op_type for name in node.input] for node in graph.node if node.op_type == "MatMul"]
    assert products.count(["DequantizeLinear", "DequantizeLinear"]) == 17, "four a block, and one between stages"
    assert sum("DequantizeLinear" not in both for both in products) == 8, "two an attention"
    assert all(made[node.input[1]].input[0] in weights for node in graph.node if node.op_type == "Conv")
    answer = open_session("onnxruntime", read(quantised), "cpu", "int8").logits(clips)
    assert np.corrcoef(answer.ravel(), logits.ravel())[0, 1] > 0.9
