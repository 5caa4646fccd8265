from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import ExportError, UsageError
from stzoo.export import targets, to_onnx
from stzoo.nets import Architecture
from stzoo.runtimes import open_session
from stzoo.runtimes.onnx_file import read

CONTRACT = InputContract(frames=4, fps=4.0, resize=32, crop=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
LABELS = ["left", "right", "still"]


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    torch.manual_seed(0)
    shape = Architecture("resnet_tiny", 3, {})
    return nets.fixed_net(shape, shape.uniform("S+ST")).eval()


@pytest.fixture(scope="module")
def portable(net: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("portable") / "model.onnx"
    to_onnx.export(net, path, CONTRACT, LABELS, form="portable", clips_at_once=2)
    return path


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 4, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_file_of_two_clips_is_run_by_twos(
    net: torch.nn.Module, portable: Path, pixels: np.ndarray, runtime: str
) -> None:
    file = read(portable)
    assert (file.form, file.clips_at_once) == ("portable", 2)
    session = open_session(runtime, file, "cpu", "fp32")
    clips = np.ascontiguousarray(pixels.transpose(0, 4, 1, 2, 3)).astype(np.float32) / 255
    with torch.inference_mode():
        expected = net(torch.from_numpy(clips))
    np.testing.assert_allclose(session.logits(clips), expected.numpy(), atol=1e-4)
    assert to_onnx.compare(net, portable, clips, (2,)).passed
    np.testing.assert_allclose(session.scores(pixels, CONTRACT), expected.softmax(dim=1).mean(dim=0).numpy(), atol=1e-5)
    np.testing.assert_allclose(session.logits(clips[:3]), expected.numpy()[:3], atol=1e-4)
    np.testing.assert_allclose(session.scores(pixels[:1], CONTRACT), expected[0].softmax(dim=0).numpy(), atol=1e-5)


def test_every_tensor_has_four_dimensions_at_most_and_every_weight_is_a_constant(portable: Path) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(portable))
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.value_info}
    made = [name for node in model.graph.node for name in node.output if name != "logits"]
    assert made
    assert max(ranks[name] for name in made) == 4
    weights = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    assert {weights[node.input[1]] for node in model.graph.node if node.op_type == "Conv"} == {4}
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize(
    "options",
    [
        {"form": "portable"},
        {"form": "images", "clips_at_once": 1},
        {"form": "portable", "clips_at_once": 1, "any_size": True},
        {"form": "portable", "clips_at_once": 1, "with_preprocess": True},
    ],
)
def test_what_no_portable_file_is_is_refused(net: torch.nn.Module, tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="portable file takes"):
        to_onnx.export(net, tmp_path / "model.onnx", CONTRACT, LABELS, **options)


def graph(node: onnx.NodeProto, shape: list[object], weight: onnx.TensorProto | None = None) -> onnx.ModelProto:
    """A node between an input `x` of a shape and an output, with Relu behind it."""
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("z", TensorProto.FLOAT, None),
    ]
    nodes = [node, helper.make_node("Relu", ["y"], ["z"])]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight] if weight is not None else [])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])


WEIGHT = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1, 1], [1.0])


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (graph(helper.make_node("Conv", ["x", "w"], ["y"]), [1, 1, 2, 2, 2], WEIGHT), "Conv makes y of the shape"),
        (graph(helper.make_node("Relu", ["x"], ["y"]), ["n", 1, 2, 2]), r"Relu makes y of the shape \[0, 1, 2, 2\]"),
        (
            graph(helper.make_node("Conv", ["x", "x"], ["y"]), [1, 1, 1, 1]),
            "Conv makes y with a weight that is computed",
        ),
        (
            graph(helper.make_node("Reshape", ["x", "s"], ["y"]), [1, 4]),
            "Reshape makes y of a shape that ONNX cannot tell",
        ),
    ],
    ids=["3D", "dynamic", "computed weight", "unknown shape"],
)
def test_what_targets_lack_is_refused(model: onnx.ModelProto, what: str) -> None:
    with pytest.raises(ExportError, match=what):
        targets.refuse_unportable(model)


def test_a_target_that_is_not_here_is_said(
    portable: Path, pixels: np.ndarray, net: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "is_there", lambda runtime: runtime != "openvino")
    clips = np.zeros((2, 3, 4, 32, 32), np.float32)
    known = targets.targets(portable, clips, np.full((2, 3), 7.0, np.float32))
    assert known["openvino"] == {"how": "not installed here"}
    assert known["onnxruntime"]["largest_difference"] > 1, "it is compared with what the net gives"
    assert known["coreml"]["partitions"] == known["nnapi"]["partitions"] == 1


def test_of_wasm_it_is_counted_what_has_run_in_a_browser(portable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips, logits = np.zeros((2, 3, 4, 32, 32), np.float32), np.zeros((2, 3), np.float32)
    known = targets.targets(portable, clips, logits)
    for provider in ("wasm", "webgpu"):
        assert known[provider]["supported_nodes"] == known[provider]["nodes"] > 0
    wasm = known["wasm"]
    convolutions = sum(node.op_type == "Conv" for node in onnx.load(portable).graph.node)
    monkeypatch.setattr(targets, "RUN_ON_WASM", targets.RUN_ON_WASM - {"Conv"})
    fewer = targets.targets(portable, clips, logits)["wasm"]
    assert wasm["nodes"] - fewer["supported_nodes"] == convolutions
