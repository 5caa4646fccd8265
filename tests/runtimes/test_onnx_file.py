from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stzoo.contract import InputContract
from stzoo.errors import BundleError
from stzoo.runtimes.onnx_file import read

CONTRACT = InputContract(frames=2, fps=4.0, resize=8, crop=8)
METADATA = {
    "labels": json.dumps(["left", "right"]),
    "input": CONTRACT.model_dump_json(),
    "model_digest": "0" * 64,
    "precision": "fp32",
}

Change = Callable[[onnx.ModelProto], object]


def model() -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.ones((3, 2), np.float32), "weight")
    nodes = [
        helper.make_node("ReduceMean", ["clips", "axes"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "weight"], ["logits"]),
    ]
    axes = numpy_helper.from_array(np.array([2, 3, 4]), "axes")
    takes = helper.make_tensor_value_info("clips", TensorProto.FLOAT, ["batch", 3, 2, 8, 8])
    gives = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    proto = helper.make_model(helper.make_graph(nodes, "toy", [takes], [gives], [weight, axes]))
    helper.set_model_props(proto, METADATA)
    return proto


def written(folder: Path, change: Change = lambda _: None) -> Path:
    proto = model()
    change(proto)
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    file = read(written(tmp_path))
    assert file.labels == ("left", "right")
    assert (file.contract, file.digest, file.precision) == (CONTRACT, "0" * 64, "fp32")
    assert file.form == "images"  # also where it does not say so
    assert read(written(tmp_path, form_volumes)).form == "volumes"
    assert file.shape == (None, 3, 2, 8, 8)
    assert file.frames_and_size == "2 frames of 8x8 pixels"
    assert file.takes(CONTRACT)
    assert file.takes(CONTRACT.changed(clips=3, crops=3, fps=8.0))
    assert not file.takes(CONTRACT.changed(frames=3))


def leave_tensor(tensor: TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def leave_weights(proto: onnx.ModelProto) -> None:
    leave_tensor(proto.graph.initializer[0], "../../secret")


def leave_weights_inside_a_branch(proto: onnx.ModelProto) -> None:
    constant = numpy_helper.from_array(np.zeros(3, np.float32))
    leave_tensor(constant, "/etc/hostname")
    inner = helper.make_graph([helper.make_node("Constant", [], ["x"], value=constant)], "inner", [], [])
    proto.graph.node.append(helper.make_node("If", ["clips"], ["y"], then_branch=inner, else_branch=inner))


def other_output(proto: onnx.ModelProto) -> None:
    proto.graph.output.append(helper.make_tensor_value_info(proto.graph.node[0].output[0], 1, None))


def rename_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].name = "image"


def take_bytes(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8


def fix_batch(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def forget_labels(proto: onnx.ModelProto) -> None:
    helper.set_model_props(proto, {key: value for key, value in METADATA.items() if key != "labels"})


def number_labels(proto: onnx.ModelProto) -> None:
    helper.set_model_props(proto, METADATA | {"labels": "[1, 2]"})


def form_volumes(proto: onnx.ModelProto) -> None:
    helper.set_model_props(proto, METADATA | {"form": "volumes"})


def form_portable(proto: onnx.ModelProto) -> None:
    helper.set_model_props(proto, METADATA | {"form": "portable"})


def break_form(proto: onnx.ModelProto) -> None:
    helper.set_model_props(proto, METADATA | {"form": "scrolls"})


def break_contract(proto: onnx.ModelProto) -> None:
    helper.set_model_props(proto, METADATA | {"input": "{}"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (leave_weights, "'weight' in another file"),
        (leave_weights_inside_a_branch, "'a tensor' in another file"),
        (rename_input, "does not take `clips`"),
        (other_output, "does not take `clips` and give `logits`, alone or with `features`"),
        (take_bytes, "clips are float32"),
        (fix_batch, "clips are float32"),
        (form_portable, "clips are float32"),
        (forget_labels, "no labels of stzoo"),
        (number_labels, "no right metadata"),
        (break_contract, "no right metadata"),
        (break_form, "no right metadata"),
    ],
)
def test_a_file_that_is_not_to_be_trusted_is_refused(tmp_path: Path, change: Change, sentence: str) -> None:
    with pytest.raises(BundleError, match=sentence):
        read(written(tmp_path, change))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model at all")
    with pytest.raises(BundleError, match="not an ONNX model"):
        read(tmp_path / "model.onnx")
