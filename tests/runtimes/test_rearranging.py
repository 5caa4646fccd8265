"""The shapes that are followed are those that onnxruntime gives."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from stzoo.runtimes.graph import Graph
from stzoo.runtimes.operators import follow
from stzoo.runtimes.values import FLOAT, INT64, RefusalError, Value

SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


def followed_and_run(
    operator: str, shape: tuple[int, ...], *constants: object, **attributes: object
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape that is followed, and the one that ONNX's own evaluator gives."""
    tensors = [numpy_helper.from_array(np.asarray(value), f"c{index}") for index, value in enumerate(constants)]
    node = helper.make_node(operator, ["x", *(tensor.name for tensor in tensors)], ["y"], **attributes)
    ends = [helper.make_tensor_value_info(name, FLOAT, None) for name in "xy"]
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    (answer,) = ReferenceEvaluator(model).run(None, {"x": np.zeros(shape, np.float32)})
    return Graph(onnx.ModelProto.FromString(model.SerializeToString())).follow(FLOAT, shape).shape, answer.shape


@given(SHAPES, st.data())
def test_parts(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = shape[axis]
    start = data.draw(st.integers(-size - 2, size - 1))
    first = max(0, start + size if start < 0 else start)
    end = data.draw(st.one_of(st.integers(first + 1, size + 3), st.just(2**63 - 1)))
    step = data.draw(st.integers(1, 3))
    followed, run = followed_and_run("Slice", shape, *(np.array([value]) for value in (start, end, axis, step)))
    assert followed == run


@given(SHAPES, st.data())
def test_axes_of_one_come_and_go(shape: tuple[int, ...], data: st.DataObject) -> None:
    rank = len(shape) + 2
    axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=2, max_size=2, unique=True))
    followed, run = followed_and_run("Unsqueeze", shape, np.array(axes))
    assert followed == run
    one = data.draw(st.integers(0, len(shape) - 1))
    holed = (*shape[:one], 1, *shape[one:])
    followed, run = followed_and_run("Squeeze", holed, np.array([one - len(holed)]))
    assert followed == run
    followed, run = followed_and_run("Squeeze", holed)
    assert followed == run


@given(SHAPES, st.data())
def test_repeating(shape: tuple[int, ...], data: st.DataObject) -> None:
    small = tuple(data.draw(st.sampled_from([1, size])) for size in shape)
    followed, run = followed_and_run("Expand", small, np.array((2, *shape)))
    assert followed == run == (2, *shape)


@given(SHAPES, st.integers(1, 4), st.booleans())
def test_products_of_matrices(shape: tuple[int, ...], columns: int, alone: bool) -> None:
    other = (shape[-1], columns) if alone else (*([1] * (len(shape) - 2)), shape[-1], columns)
    followed, run = followed_and_run("MatMul", shape, np.zeros(other, np.float32))
    assert followed == run


@given(SHAPES, st.data())
def test_places_that_are_too_many_to_follow(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    places = np.resize(np.arange(-shape[axis], shape[axis]), (50, 100))
    followed, run = followed_and_run("Gather", shape, places, axis=axis)
    assert followed == run


def test_places_are_checked_after_they_are_laid_out_anew() -> None:
    many, flat = Value(INT64, (50, 100), None, (-4, 3)), Value(INT64, (1,), (-1,))
    (places,) = follow("Reshape", [many, flat], {})
    assert follow("Gather", [Value(FLOAT, (4, 2)), places], {"axis": 0})[0].shape == (5000, 2)
    with pytest.raises(RefusalError, match="index out of range"):
        follow("Gather", [Value(FLOAT, (3, 2)), places], {"axis": 0})
