"""The operators that stzoo writes into ONNX files, and what each makes of the shapes that it is given.

No other operator, attribute or kind of input is taken. Whole numbers, of which shapes are computed, are followed by
value, so nothing that a runtime would reject, divide by zero or blow up is ever handed to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from stzoo.runtimes.values import (
    FLOAT,
    FLOATS,
    INT8,
    INT32,
    INT64,
    MOST_WINDOW,
    UINT8,
    RefusalError,
    Value,
    alike,
    axis_of,
    numbers_of,
    require,
    taken,
    windows,
)

_MOST_NUMBER = 2**31
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


def _arithmetic(compute: Callable[[int, int], int]) -> Follow:
    def follow(inputs: Sequence[Value | None], _: Attributes) -> Value:
        one, other = (taken(inputs, index, *FLOATS, INT64) for index in (0, 1))
        require(one.kind == other.kind, "has inputs of two types")
        rank = max(len(one.shape), len(other.shape))
        pairs = list(zip(*((1,) * (rank - len(value.shape)) + value.shape for value in (one, other)), strict=True))
        require(all(a == b or 1 in (a, b) for a, b in pairs), "has inputs whose shapes do not go together")
        shape = tuple(b if a == 1 else a for a, b in pairs)
        if one.kind in FLOATS:
            return Value(one.kind, shape)
        firsts, seconds = numbers_of(inputs, 0), numbers_of(inputs, 1)
        size = math.prod(shape)
        require(rank < 2 and size == max(len(firsts), len(seconds)), "computes with whole numbers that are no shape")
        spread = [numbers * size if len(numbers) == 1 else numbers for numbers in (firsts, seconds)]
        return Value(INT64, shape, tuple(compute(a, b) for a, b in zip(*spread, strict=True)))

    return follow


def _quotient(dividend: int, divisor: int) -> int:
    require(divisor != 0, "divides by zero")
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _transpose(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value, order = taken(inputs, 0, *FLOATS, UINT8), attributes.get("perm", ())
    require(sorted(order) == list(range(len(value.shape))), "has a permutation that is none")
    return Value(value.kind, tuple(value.shape[axis] for axis in order))


def _reshape(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value, target = taken(inputs, 0, *FLOATS, INT64, UINT8), list(numbers_of(inputs, 1))
    require(attributes.get("allowzero", 0) in (0, 1), "has an attribute out of range")
    for axis, size in enumerate(target):
        if size == 0 and not attributes.get("allowzero", 0) and axis < len(value.shape):
            target[axis] = value.shape[axis]
    rest = math.prod(size for size in target if size != -1)
    fits = target.count(-1) <= 1 and all(size > 0 or size == -1 for size in target) and value.size % rest == 0
    require(fits, f"cannot make {list(value.shape)} into {target}")
    shape = tuple(value.size // rest if size == -1 else size for size in target)
    require(math.prod(shape) == value.size, f"cannot make {list(value.shape)} into {target}")
    return Value(value.kind, shape, value.numbers)


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


def _constant_of_shape(inputs: Sequence[Value | None], _: Attributes) -> Value:
    return Value(FLOAT, numbers_of(inputs, 0))


def _batch_norm(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value, *others = alike(inputs, *range(5))
    require(attributes.get("training_mode", 0) == 0, "is in training")
    require(0 <= attributes.get("epsilon", 0.0) <= 1, "has an attribute out of range")
    wanted = value.shape[1:2]
    require(bool(wanted) and all(other.shape == wanted for other in others), "does not fit")
    return Value(value.kind, value.shape)


def _concat(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    values = [taken(inputs, index, *FLOATS, INT64) for index in range(len(inputs))]
    first = values[0]
    axis = axis_of(attributes["axis"], len(first.shape))
    others = {(value.kind, value.shape[:axis], value.shape[axis + 1 :], len(value.shape)) for value in values}
    require(len(others) == 1, "has inputs whose shapes do not go together")
    shape = (*first.shape[:axis], sum(value.shape[axis] for value in values), *first.shape[axis + 1 :])
    if first.kind in FLOATS:
        return Value(first.kind, shape)
    parts = [numbers_of(inputs, index) for index in range(len(inputs))]
    require(len(shape) == 1, "computes with whole numbers that are no shape")
    return Value(INT64, shape, tuple(number for part in parts for number in part))


def _gather(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value, places, where = taken(inputs, 0, *FLOATS, INT64), numbers_of(inputs, 1), taken(inputs, 1, INT64).shape
    axis = axis_of(attributes.get("axis", 0), len(value.shape))
    require(all(-value.shape[axis] <= place < value.shape[axis] for place in places), "has an index out of range")
    shape = (*value.shape[:axis], *where, *value.shape[axis + 1 :])
    if value.numbers is None or len(value.shape) != 1:
        return Value(value.kind, shape)
    return Value(INT64, shape, tuple(value.numbers[place] for place in places))


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


def _shape(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    shape = taken(inputs, 0, *FLOATS, UINT8).shape[attributes.get("start", 0) : attributes.get("end", 8)]
    return Value(INT64, (len(shape),), shape)


def _split(inputs: Sequence[Value | None], attributes: Attributes) -> tuple[Value, ...]:
    value, sizes = taken(inputs, 0, *FLOATS), numbers_of(inputs, 1)
    axis = axis_of(attributes.get("axis", 0), len(value.shape))
    require(sum(sizes) == value.shape[axis] and min(sizes, default=0) > 0, "has parts that are not the whole")
    return tuple(Value(value.kind, (*value.shape[:axis], size, *value.shape[axis + 1 :])) for size in sizes)


def _squeeze(inputs: Sequence[Value | None], _: Attributes) -> Value:
    value = taken(inputs, 0, INT64)
    require(value.shape == (1,), "takes what is no single number")
    return Value(INT64, (), value.numbers)


def _pad(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    value, pads = taken(inputs, 0, *FLOATS), numbers_of(inputs, 1)
    rank = len(value.shape)
    require(attributes.get("mode", b"constant") == b"constant", "pads by a rule")
    require(len(pads) == 2 * rank and all(0 <= pad <= MOST_WINDOW for pad in pads), "has a border out of range")
    if len(inputs) == 3 and inputs[2] is not None:
        require(alike(inputs, 0, 2)[1].shape == (), "has a border of more than one number")
    return Value(value.kind, tuple(size + pads[axis] + pads[axis + rank] for axis, size in enumerate(value.shape)))


_WINDOW = {"kernel_shape": tuple, "strides": tuple, "pads": tuple, "dilations": tuple, "auto_pad": bytes}
_POOL = _WINDOW | {"ceil_mode": int}

OPERATORS: dict[str, Operator] = {
    "Add": Operator(2, 2, {}, _arithmetic(lambda a, b: a + b)),
    "AveragePool": Operator(1, 1, _POOL | {"count_include_pad": int}, _pool),
    "BatchNormalization": Operator(5, 5, {"epsilon": float, "momentum": float, "training_mode": int}, _batch_norm),
    "Cast": Operator(1, 1, {"to": int}, _cast),
    "Clip": Operator(1, 3, {}, _clip),
    "Concat": Operator(1, 4096, {"axis": int}, _concat),
    "ConstantOfShape": Operator(1, 1, {}, _constant_of_shape),
    "Conv": Operator(2, 3, _WINDOW | {"group": int}, _conv),
    "DequantizeLinear": Operator(3, 3, {"axis": int}, _scaled((UINT8, INT8, INT32), FLOAT)),
    "Div": Operator(2, 2, {}, _arithmetic(_quotient)),
    "Gather": Operator(2, 2, {"axis": int}, _gather),
    "Gemm": Operator(2, 3, {"alpha": float, "beta": float, "transA": int, "transB": int}, _gemm),
    "MaxPool": Operator(1, 1, _POOL | {"storage_order": int}, _pool),
    "Mul": Operator(2, 2, {}, _arithmetic(lambda a, b: a * b)),
    "Pad": Operator(2, 3, {"mode": bytes}, _pad),
    "QuantizeLinear": Operator(3, 3, {"axis": int}, _scaled((FLOAT,), None)),
    "ReduceMean": Operator(2, 2, {"keepdims": int, "noop_with_empty_axes": int}, _reduce_mean),
    "Relu": Operator(1, 1, {}, _same),
    "Reshape": Operator(2, 2, {"allowzero": int}, _reshape),
    "Shape": Operator(1, 1, {"start": int, "end": int}, _shape),
    "Softmax": Operator(1, 1, {"axis": int}, _softmax),
    "Split": Operator(2, 2, {"axis": int}, _split),
    "Squeeze": Operator(1, 1, {}, _squeeze),
    "Sub": Operator(2, 2, {}, _arithmetic(lambda a, b: a - b)),
    "Transpose": Operator(1, 1, {"perm": tuple}, _transpose),
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
    return sum(value.size for value in results) + max((value.size for value in inputs if value is not None), default=0)
