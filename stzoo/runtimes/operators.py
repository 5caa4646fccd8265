"""The operators that stzoo writes into ONNX files, and what each makes of the shapes that it is given.

No other operator, attribute or kind of input is taken. Whole numbers, of which shapes are computed, are followed by
value, so nothing that a runtime would reject, divide by zero or blow up is ever handed to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from stzoo.runtimes import rearranging
from stzoo.runtimes.values import (
    FLOAT,
    FLOATS,
    INT8,
    INT32,
    INT64,
    UINT8,
    RefusalError,
    Value,
    alike,
    axis_of,
    numbers_of,
    require,
    taken,
    together,
    windows,
)

_MOST_NUMBER = 2**31
_MOST_COUNTED = 2**16
Attributes = Mapping[str, Any]
Follow = Callable[[Sequence[Value | None], Attributes], Value | tuple[Value, ...]]


class Operator(NamedTuple):
    """How many inputs an operator has, the types of its attributes, and how shapes go through it."""

    fewest: int
    most: int
    attributes: Mapping[str, type]
    follow: Follow


def _same(inputs: Sequence[Value | None], _: Attributes) -> Value:
    return replace(taken(inputs, 0, *FLOATS), numbers=None)


def _clip(inputs: Sequence[Value | None], _: Attributes) -> Value:
    for index in range(1, len(inputs)):
        if inputs[index] is not None:
            require(alike(inputs, 0, index)[1].shape == (), "has a bound that is no single number")
    return taken(inputs, 0, *FLOATS)


def _hard_sigmoid(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    require(all(math.isfinite(attributes.get(name, 0.0)) for name in ("alpha", "beta")), "does not fit")
    return _same(inputs, attributes)


def _arithmetic(compute: Callable[[int, int], int]) -> Follow:
    def follow(inputs: Sequence[Value | None], _: Attributes) -> Value:
        one, other = (taken(inputs, index, *FLOATS, INT64) for index in (0, 1))
        require(one.kind == other.kind, "has inputs of two types")
        shape = together(one.shape, other.shape)
        if one.kind in FLOATS:
            return Value(one.kind, shape)
        firsts, seconds = numbers_of(inputs, 0), numbers_of(inputs, 1)
        size = math.prod(shape)
        require(
            len(shape) < 2 and size == max(len(firsts), len(seconds)), "computes with whole numbers that are no shape"
        )
        spread = [numbers * size if len(numbers) == 1 else numbers for numbers in (firsts, seconds)]
        return Value(INT64, shape, tuple(compute(a, b) for a, b in zip(*spread, strict=True)))

    return follow


def _quotient(dividend: int, divisor: int) -> int:
    require(divisor != 0, "divides by zero")
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _conv(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value, weight = alike(inputs, 0, 1)
    group = attributes.get("group", 1)
    require(len(value.shape) in (4, 5) and len(weight.shape) == len(value.shape), "takes no images or volumes")
    require(weight.is_constant, "has weights that are computed")
    require(tuple(attributes.get("kernel_shape", weight.shape[2:])) == weight.shape[2:], "has another kernel")
    fits = 1 <= group <= weight.shape[0] and weight.shape[0] % group == 0
    require(fits and weight.shape[1] * group == value.shape[1], "has weights for other channels")
    if len(inputs) == 3:
        require(alike(inputs, 0, 2)[1].shape == weight.shape[:1], "has a bias of another shape")
    return Value(value.kind, (value.shape[0], weight.shape[0], *windows(value.shape[2:], weight.shape[2:], attributes)))


def _pool(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value = taken(inputs, 0, *FLOATS)
    require(len(value.shape) in (4, 5), "takes no images or volumes")
    flags = [attributes.get(name, 0) for name in ("ceil_mode", "count_include_pad")]
    require(set(flags) <= {0, 1} and attributes.get("storage_order", 0) == 0, "has an attribute out of range")
    counts = windows(value.shape[2:], tuple(attributes.get("kernel_shape", ())), attributes)
    return Value(value.kind, (*value.shape[:2], *counts))


def _batch_norm(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value, *others = alike(inputs, *range(5))
    require(attributes.get("training_mode", 0) == 0, "is in training")
    require(0 <= attributes.get("epsilon", 0.0) <= 1, "has an attribute out of range")
    wanted = value.shape[1:2]
    require(bool(wanted) and all(other.shape == wanted for other in others), "does not fit")
    return Value(value.kind, value.shape)


def _reduce_mean(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value = taken(inputs, 0, *FLOATS)
    axes = {axis_of(axis, len(value.shape)) for axis in numbers_of(inputs, 1)}
    require(len(axes) == len(numbers_of(inputs, 1)) > 0, "has the same axis twice, or none")
    require(attributes.get("keepdims", 1) in (0, 1) and not attributes.get("noop_with_empty_axes", 0), "does not fit")
    kept = attributes.get("keepdims", 1)
    shape = [1 if axis in axes else size for axis, size in enumerate(value.shape) if kept or axis not in axes]
    return Value(value.kind, tuple(shape))


def _gemm(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value, weight = alike(inputs, 0, 1)
    require(len(value.shape) == len(weight.shape) == 2, "multiplies what are no matrices")
    require(attributes.get("transA", 0) == 0 and attributes.get("transB", 0) in (0, 1), "does not fit")
    require(all(math.isfinite(attributes.get(name, 1.0)) for name in ("alpha", "beta")), "does not fit")
    rows, columns = reversed(weight.shape) if attributes.get("transB", 0) else weight.shape
    require(rows == value.shape[1], "has weights for other channels")
    if len(inputs) == 3:
        require(alike(inputs, 0, 2)[1].shape == (columns,), "has a bias of another shape")
    return Value(value.kind, (value.shape[0], columns))


def _matmul(inputs: Sequence[Value | None], _: Attributes) -> Value:
    one, other = alike(inputs, 0, 1)
    require(min(len(one.shape), len(other.shape)) >= 2, "multiplies what are no matrices")
    require(one.shape[-1] == other.shape[-2], "multiplies matrices that do not go together")
    return Value(one.kind, (*together(one.shape[:-2], other.shape[:-2]), one.shape[-2], other.shape[-1]))


def _layer_norm(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value, *scales = alike(inputs, *range(len(inputs)))
    axis = axis_of(attributes.get("axis", -1), len(value.shape))
    require(0 <= attributes.get("epsilon", 1e-5) <= 1 and attributes.get("stash_type", 1) == FLOAT, "does not fit")
    require(all(scale.shape == value.shape[axis:] for scale in scales), "has a scale of another shape")
    return Value(value.kind, value.shape)


def _range(inputs: Sequence[Value | None], _: Attributes) -> Value:
    """The whole numbers from 0 to a limit, of which there are no more than there may be sizes."""
    start, limit, step = (numbers_of(inputs, index) for index in range(3))
    require(start == (0,) and step == (1,) and len(limit) == 1, "counts otherwise than by one from zero")
    require(0 < limit[0] <= _MOST_COUNTED, "counts too far")
    return Value(INT64, limit, tuple(range(limit[0])))


def _scaled(kinds: tuple[int, ...], given: int | None) -> Follow:
    """QuantizeLinear and DequantizeLinear: one scale and zero for a tensor, or one for every slice along an axis."""

    def follow(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
        value, scale = taken(inputs, 0, *kinds), taken(inputs, 1, FLOAT)
        zero = taken(inputs, 2, UINT8, INT8, INT32)
        axis = axis_of(attributes.get("axis", 1), len(value.shape)) if scale.shape else 0
        require(scale.shape in ((), value.shape[axis : axis + 1]), "has scales of another shape")
        require(zero.shape == scale.shape and scale.is_constant and zero.is_constant, "has zeros of another shape")
        require(given is None or zero.kind == value.kind, "has zeros of another type")
        return Value(zero.kind if given is None else given, value.shape)

    return follow


def _cast(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    require(attributes["to"] in FLOATS, "makes numbers of a type that stzoo does not")
    return Value(attributes["to"], taken(inputs, 0, UINT8, INT64, *FLOATS).shape)


def _softmax(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value = taken(inputs, 0, *FLOATS)
    axis_of(attributes.get("axis", -1), len(value.shape))
    return value


_WINDOW = {"kernel_shape": tuple, "strides": tuple, "pads": tuple, "dilations": tuple, "auto_pad": bytes}
_POOL = _WINDOW | {"ceil_mode": int}

OPERATORS: dict[str, Operator] = {
    "Add": Operator(2, 2, {}, _arithmetic(lambda a, b: a + b)),
    "AveragePool": Operator(1, 1, _POOL | {"count_include_pad": int}, _pool),
    "BatchNormalization": Operator(5, 5, {"epsilon": float, "momentum": float, "training_mode": int}, _batch_norm),
    "Cast": Operator(1, 1, {"to": int}, _cast),
    "Clip": Operator(1, 3, {}, _clip),
    "Concat": Operator(1, 4096, {"axis": int}, rearranging.concat),
    "ConstantOfShape": Operator(1, 1, {}, rearranging.constant_of_shape),
    "Conv": Operator(2, 3, _WINDOW | {"group": int}, _conv),
    "DequantizeLinear": Operator(3, 3, {"axis": int}, _scaled((UINT8, INT8, INT32), FLOAT)),
    "Div": Operator(2, 2, {}, _arithmetic(_quotient)),
    "Erf": Operator(1, 1, {}, _same),
    "Expand": Operator(2, 2, {}, rearranging.expand),
    "Gather": Operator(2, 2, {"axis": int}, rearranging.gather),
    "Gemm": Operator(2, 3, {"alpha": float, "beta": float, "transA": int, "transB": int}, _gemm),
    "HardSigmoid": Operator(1, 1, {"alpha": float, "beta": float}, _hard_sigmoid),
    "HardSwish": Operator(1, 1, {}, _same),
    "LayerNormalization": Operator(2, 3, {"axis": int, "epsilon": float, "stash_type": int}, _layer_norm),
    "MatMul": Operator(2, 2, {}, _matmul),
    "MaxPool": Operator(1, 1, _POOL | {"storage_order": int}, _pool),
    "Mul": Operator(2, 2, {}, _arithmetic(lambda a, b: a * b)),
    "Pad": Operator(2, 3, {"mode": bytes}, rearranging.pad),
    "QuantizeLinear": Operator(3, 3, {"axis": int}, _scaled((FLOAT,), None)),
    "Range": Operator(3, 3, {}, _range),
    "ReduceMean": Operator(2, 2, {"keepdims": int, "noop_with_empty_axes": int}, _reduce_mean),
    "Relu": Operator(1, 1, {}, _same),
    "Reshape": Operator(2, 2, {"allowzero": int}, rearranging.reshape),
    "Shape": Operator(1, 1, {"start": int, "end": int}, rearranging.shape),
    "Sigmoid": Operator(1, 1, {}, _same),
    "Slice": Operator(3, 5, {}, rearranging.cut),
    "Softmax": Operator(1, 1, {"axis": int}, _softmax),
    "Split": Operator(2, 2, {"axis": int}, rearranging.split),
    "Sqrt": Operator(1, 1, {}, _same),
    "Squeeze": Operator(1, 2, {}, rearranging.squeeze),
    "Sub": Operator(2, 2, {}, _arithmetic(lambda a, b: a - b)),
    "Transpose": Operator(1, 1, {"perm": tuple}, rearranging.transpose),
    "Unsqueeze": Operator(2, 2, {}, rearranging.unsqueeze),
}


def follow(operator: str, inputs: Sequence[Value | None], attributes: Attributes) -> tuple[Value, ...]:
    """What an operator gives for its inputs. Raises `RefusalError` for whatever stzoo does not write."""
    kind = OPERATORS[operator]
    require(kind.fewest <= len(inputs) <= kind.most, f"has {len(inputs)} inputs")
    try:
        results = kind.follow(inputs, attributes)
    except KeyError as error:
        raise RefusalError(f"lacks its attribute {error}") from error
    results = results if isinstance(results, tuple) else (results,)
    for value in results:
        require(all(abs(number) < _MOST_NUMBER for number in value.numbers or ()), "computes an absurd number")
        require(all(size > 0 for size in value.shape), "makes a tensor without numbers")
        require(len(value.shape) <= 8, "makes a tensor of too many axes")
    is_constant = all(part is None or part.is_constant for part in inputs)
    return tuple(replace(value, is_constant=is_constant) for value in results)


def multiply_adds(operator: str, inputs: Sequence[Value | None], results: Sequence[Value]) -> int:
    """About how much work an operator is."""
    weight, result = inputs[1] if len(inputs) > 1 else None, results[0]
    if operator in ("Conv", "Gemm") and weight is not None:
        return result.size * max(1, weight.size // max(1, weight.shape[0] if operator == "Conv" else result.shape[1]))
    if operator == "MatMul" and inputs[0] is not None:
        return result.size * inputs[0].shape[-1]
    return sum(value.size for value in results) + max((value.size for value in inputs if value is not None), default=0)
