"""What a hostile ONNX file may not do: each change to a good file is refused before a runtime sees it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import stzoo
from stzoo.errors import BundleError
from stzoo.files import packaged
from stzoo.runtimes import UnusableFileError
from stzoo.runtimes.graph import Graph
from stzoo.runtimes.onnx_file import read
from stzoo.runtimes.operators import follow
from stzoo.runtimes.values import FLOAT, INT64, RefusalError, Value

FILE = packaged("bundled") / "camera-motion-s" / "model.onnx"
Change = Callable[[onnx.ModelProto], object]


def add(proto: onnx.ModelProto, operator: str, inputs: list[str], **attributes: object) -> None:
    """Puts a node before all others; what it gives is used by nobody."""
    proto.graph.node.insert(0, helper.make_node(operator, inputs, [f"made{len(proto.graph.node)}"], **attributes))


def numbers(proto: onnx.ModelProto, name: str, values: object, dtype: str = "int64") -> str:
    proto.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype), name))
    return name


def loop(proto: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    add(proto, "Loop", ["", ""], body=body)


def function(proto: onnx.ModelProto) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    proto.functions.append(helper.make_function("mine", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 18)]))


def other_domain(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].domain = "com.microsoft"


def gigabytes(proto: onnx.ModelProto) -> None:
    add(proto, "ConstantOfShape", [numbers(proto, "many", [2**30])])


def many_constants(proto: onnx.ModelProto) -> None:
    numbers(proto, "many", [2**19])
    for _ in range(4):
        add(proto, "ConstantOfShape", ["many"])


def expand(proto: onnx.ModelProto) -> None:
    add(proto, "Expand", [numbers(proto, "one", [1.0], "f4"), numbers(proto, "many", [2**30])])


def expand_to_nothing(proto: onnx.ModelProto) -> None:
    add(proto, "Expand", [numbers(proto, "one", [1.0], "f4"), numbers(proto, "none", [0])])


def place_that_is_not_there(proto: onnx.ModelProto) -> None:
    table = numbers(proto, "table", np.zeros((4, 2)), "f4")
    add(proto, "Gather", [table, numbers(proto, "places", [0] * 5000 + [4])], axis=0)


def sliced(proto: onnx.ModelProto, start: int, end: int, axes: list[int], step: int) -> None:
    many = len(axes)
    parts = {"start": [start] * many, "end": [end] * many, "axes": axes, "step": [step] * many}
    add(proto, "Slice", ["clips", *(numbers(proto, name, values) for name, values in parts.items())])


def backward_slice(proto: onnx.ModelProto) -> None:
    sliced(proto, 5, 0, [3], -1)


def slice_twice(proto: onnx.ModelProto) -> None:
    sliced(proto, 1, 5, [3, -2], 1)


def empty_slice(proto: onnx.ModelProto) -> None:
    sliced(proto, 5, 5, [3], 1)


def matrices_that_do_not_fit(proto: onnx.ModelProto) -> None:
    add(proto, "MatMul", ["clips", numbers(proto, "weights", np.zeros((3, 3)), "f4")])


def vector_times_vector(proto: onnx.ModelProto) -> None:
    numbers(proto, "vector", np.zeros(3), "f4")
    add(proto, "MatMul", ["vector", "vector"])


def scale_of_another_shape(proto: onnx.ModelProto) -> None:
    add(proto, "LayerNormalization", ["clips", numbers(proto, "scale", np.zeros(3), "f4")], axis=-1)


def squeezed_frames(proto: onnx.ModelProto) -> None:
    add(proto, "Squeeze", ["clips", numbers(proto, "axes", [2])])


def outer_sum(proto: onnx.ModelProto) -> None:
    add(proto, "Add", [numbers(proto, "a", np.zeros((5000, 1)), "f4"), numbers(proto, "b", np.zeros((1, 5000)), "f4")])


def least_by_minus_one(proto: onnx.ModelProto) -> None:
    add(proto, "Div", [numbers(proto, "a", [-(2**63)]), numbers(proto, "b", [-1])])


def by_zero(proto: onnx.ModelProto) -> None:
    add(proto, "Div", [numbers(proto, "a", [1]), numbers(proto, "b", [0])])


def modulo(proto: onnx.ModelProto) -> None:
    add(proto, "Mod", [numbers(proto, "a", [1]), numbers(proto, "b", [0])])


def index_out_of_range(proto: onnx.ModelProto) -> None:
    add(proto, "Gather", ["clips", numbers(proto, "a", [7])], axis=1)


def absurd_dims(proto: onnx.ModelProto) -> None:
    tensor = TensorProto(name="absurd", data_type=TensorProto.FLOAT, dims=[2**62, 4], raw_data=b"")
    proto.graph.initializer.append(tensor)


def fewer_bytes(proto: onnx.ModelProto) -> None:
    tensor = TensorProto(name="absurd", data_type=TensorProto.FLOAT, dims=[10**6], raw_data=b"1234")
    proto.graph.initializer.append(tensor)


def sparse(proto: onnx.ModelProto) -> None:
    proto.graph.sparse_initializer.add()


def not_finite(proto: onnx.ModelProto) -> None:
    numbers(proto, "nan", [np.nan], "f4")


def absurd_kernel(proto: onnx.ModelProto) -> None:
    conv = next(node for node in proto.graph.node if node.op_type == "Conv")
    next(entry for entry in conv.attribute if entry.name == "pads").ints[0] = 2**40


def no_step(proto: onnx.ModelProto) -> None:
    conv = next(node for node in proto.graph.node if node.op_type == "Conv")
    next(entry for entry in conv.attribute if entry.name == "strides").ints[0] = 0


def unknown_attribute(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].attribute.append(helper.make_attribute("x", 1))


def too_many_columns(proto: onnx.ModelProto) -> None:
    proto.graph.node[-1].output[0] = "half"
    proto.graph.node.append(helper.make_node("Concat", ["half", "half"], ["logits"], axis=1))
    del proto.graph.output[0].type.tensor_type.shape.dim[1]
    proto.graph.output[0].type.tensor_type.ClearField("shape")


def no_columns(proto: onnx.ModelProto) -> None:
    proto.graph.node[-1].output[0] = "half"
    numbers(proto, "axes", [0, 1])
    proto.graph.node.append(helper.make_node("ReduceMean", ["half", "axes"], ["logits"], keepdims=0))
    proto.graph.output[0].type.tensor_type.ClearField("shape")


def lie_about_a_shape(proto: onnx.ModelProto) -> None:
    name = proto.graph.node[0].output[0]
    proto.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [2**62]))


def cycle(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].input[0] = "logits"


def two_of_one_name(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].output[0] = proto.graph.node[0].output[0]


def ages_of_work(proto: onnx.ModelProto) -> None:
    for index in range(3000):
        proto.graph.node.insert(index, helper.make_node("Relu", ["clips"], [f"r{index}"]))
    weights = numbers(proto, "w", np.ones((64, 3, 8, 63, 63)), "f4")
    for index in range(300):
        proto.graph.node.insert(
            index, helper.make_node("Conv", ["clips", weights], [f"c{index}"], pads=[0, *[31] * 2] * 2)
        )


def deep_metadata(proto: onnx.ModelProto) -> None:
    helper.set_model_props(proto, {**metadata(proto), "labels": "[" * 100_000 + "]" * 100_000})


def repeated_labels(proto: onnx.ModelProto) -> None:
    helper.set_model_props(proto, {**metadata(proto), "labels": '["a", "a"]'})


def metadata(proto: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in proto.metadata_props}


HOSTILE = {
    loop: "operator 'Loop'|uses g of ONNX",
    function: "uses functions of ONNX",
    other_domain: "has the operator",
    gigabytes: "makes 1073741824 numbers",
    many_constants: "numbers out of none",
    expand: "makes 1073741824 numbers",
    expand_to_nothing: "without numbers",
    place_that_is_not_there: "index out of range",
    backward_slice: "a part that is none",
    slice_twice: "the same axis twice",
    empty_slice: "without numbers",
    matrices_that_do_not_fit: "multiplies matrices that do not go together",
    vector_times_vector: "multiplies what are no matrices",
    scale_of_another_shape: "a scale of another shape",
    squeezed_frames: "drops an axis of more than one",
    outer_sum: "makes 25000000 numbers",
    least_by_minus_one: "absurd number",
    by_zero: "divides by zero",
    modulo: "the operator 'Mod'",
    index_out_of_range: "index out of range",
    absurd_dims: "of shape",
    fewer_bytes: "with 1 numbers",
    sparse: "uses sparse_initializer",
    not_finite: "not finite",
    absurd_kernel: "border out of range",
    no_step: "step out of range",
    unknown_attribute: "the attribute 'x'",
    too_many_columns: r"gives \[1, 20\] numbers",
    no_columns: r"gives \[\] numbers",
    lie_about_a_shape: "says what is not so",
    cycle: "before what it takes",
    two_of_one_name: "two tensors of one name",
    ages_of_work: "multiply-adds|at a time",
    deep_metadata: "nests its values too deeply",
    repeated_labels: "occurs twice",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "copy"
    shutil.copytree(FILE.parent, target)
    (target / "export.json").unlink()
    return target


def change_file(folder: Path, change: Change) -> None:
    proto = onnx.load(str(FILE))
    change(proto)
    (folder / "model.onnx").write_bytes(proto.SerializeToString())


@pytest.mark.parametrize(("change", "sentence"), HOSTILE.items(), ids=lambda part: getattr(part, "__name__", ""))
def test_what_stzoo_does_not_write_is_refused(change: Change, sentence: str, folder: Path) -> None:
    change_file(folder, change)
    began = time.monotonic()
    with pytest.raises(UnusableFileError, match=sentence):
        read(folder / "model.onnx").refuse_unrunnable()
    assert time.monotonic() - began < 10


def test_auto_says_so_and_lets_torch_run_the_net(folder: Path) -> None:
    change_file(folder, gigabytes)
    said: list[str] = []
    model = stzoo.load(folder, device="cpu", runtime="auto", say=said.append)
    assert model.runtime == "torch"
    assert ["1073741824 numbers" in sentence and "torch runs" in sentence for sentence in said] == [True]
    with pytest.raises(BundleError, match="1073741824 numbers"):
        stzoo.load(folder, device="cpu", runtime="onnxruntime")


def test_a_good_graph_is_followed_for_every_number_of_clips() -> None:
    graph = Graph(onnx.load(str(FILE)))
    for clips in (1, 2, 8):
        assert graph.follow(FLOAT, (clips, 3, 8, 64, 64)).shape == (clips, 10)
    file = read(FILE)
    with pytest.raises(UnusableFileError, match="write it again"):
        file.refuse_input((1, 3, 8, 7, 7))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (np.zeros(10, np.float32), r"\[10\] numbers in place of \[1, 10\]"),
        (np.zeros((1, 20), np.float32), r"\[1, 20\] numbers"),
        (np.full((1, 10), np.inf, np.float32), "not finite"),
    ],
)
def test_answers_are_checked_before_they_are_believed(answer: np.ndarray, sentence: str) -> None:
    with pytest.raises(BundleError, match=sentence):
        read(FILE).refuse_answer(answer, 1)


def test_a_tensor_is_split_into_parts_that_are_the_whole() -> None:
    image, sizes = Value(FLOAT, (2, 5, 4, 4)), Value(INT64, (2,), (2, 3), is_constant=True)
    parts = follow("Split", [image, sizes], {"axis": 1})
    assert [part.shape for part in parts] == [(2, 2, 4, 4), (2, 3, 4, 4)]
    with pytest.raises(RefusalError, match="parts that are not the whole"):
        follow("Split", [image, sizes], {"axis": 2})


def counted(*numbers: tuple[int, ...]) -> list[Value | None]:
    """Inputs of Range: start, limit and step."""
    return [Value(INT64, () if len(value) == 1 else (len(value),), value) for value in numbers]


def test_whole_numbers_are_counted_from_zero() -> None:
    (value,) = follow("Range", counted((0,), (5,), (1,)), {})
    assert (value.shape, value.numbers) == ((5,), (0, 1, 2, 3, 4))


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        (((0,), (0,), (1,)), "counts too far"),
        (((0,), (2**30,), (1,)), "counts too far"),
        (((1,), (5,), (1,)), "counts otherwise"),
        (((0,), (5,), (0,)), "counts otherwise"),
        (((0,), (5, 6), (1,)), "counts otherwise"),
    ],
)
def test_nothing_is_counted_that_would_not_end_or_is_no_length(
    numbers: tuple[tuple[int, ...], ...], sentence: str
) -> None:
    with pytest.raises(RefusalError, match=sentence):
        follow("Range", counted(*numbers), {})
