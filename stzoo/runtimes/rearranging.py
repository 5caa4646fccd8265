"""The operators of ONNX files that move numbers about and compute none: what each makes of the shapes it is given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stzoo.runtimes.values import (
    FLOAT,
    FLOATS,
    INT64,
    MOST_WINDOW,
    UINT8,
    Value,
    alike,
    axis_of,
    numbers_of,
    require,
    taken,
    together,
)

Attributes = Mapping[str, Any]


def transpose(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    """The axes in another order."""
    value, order = taken(inputs, 0, *FLOATS, UINT8), attributes.get("perm", ())
    require(sorted(order) == list(range(len(value.shape))), "has a permutation that is none")
    return Value(value.kind, tuple(value.shape[axis] for axis in order))


def reshape(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    """The same numbers in another shape; 0 keeps a size, -1 is what is left."""
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
    return Value(value.kind, shape, value.numbers, value.bounds)


def constant_of_shape(inputs: Sequence[Value | None], _: Attributes) -> Value:
    """Zeros of a shape."""
    return Value(FLOAT, numbers_of(inputs, 0))


def concat(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    """One after the other along an axis; shapes are put together so."""
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


def gather(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    """Slices along an axis, at places that are known."""
    value, where = taken(inputs, 0, *FLOATS, INT64), taken(inputs, 1, INT64)
    axis = axis_of(attributes.get("axis", 0), len(value.shape))
    places = where.bounds or numbers_of(inputs, 1)
    require(all(-value.shape[axis] <= place < value.shape[axis] for place in places), "has an index out of range")
    shape = (*value.shape[:axis], *where.shape, *value.shape[axis + 1 :])
    if value.numbers is None or len(value.shape) != 1:
        return Value(value.kind, shape)
    places = numbers_of(inputs, 1)
    return Value(INT64, shape, tuple(value.numbers[place] for place in places))


def shape(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    """The sizes of a tensor, or some of them."""
    shape = taken(inputs, 0, *FLOATS, UINT8).shape[attributes.get("start", 0) : attributes.get("end", 8)]
    return Value(INT64, (len(shape),), shape)


def split(inputs: Sequence[Value | None], attributes: Attributes) -> tuple[Value, ...]:
    """Parts along an axis."""
    value, sizes = taken(inputs, 0, *FLOATS), numbers_of(inputs, 1)
    axis = axis_of(attributes.get("axis", 0), len(value.shape))
    require(sum(sizes) == value.shape[axis] and min(sizes, default=0) > 0, "has parts that are not the whole")
    return tuple(Value(value.kind, (*value.shape[:axis], size, *value.shape[axis + 1 :])) for size in sizes)


def squeeze(inputs: Sequence[Value | None], _: Attributes) -> Value:
    """Without axes of one."""
    value = taken(inputs, 0, *FLOATS, INT64)
    axes = {axis_of(axis, len(value.shape)) for axis in numbers_of(inputs, 1)} if len(inputs) > 1 else None
    dropped = {axis for axis, size in enumerate(value.shape) if size == 1} if axes is None else axes
    require(all(value.shape[axis] == 1 for axis in dropped), "drops an axis of more than one")
    shape = tuple(size for axis, size in enumerate(value.shape) if axis not in dropped)
    return Value(value.kind, shape, value.numbers)


def unsqueeze(inputs: Sequence[Value | None], _: Attributes) -> Value:
    """With further axes of one."""
    value, axes = taken(inputs, 0, *FLOATS, INT64), numbers_of(inputs, 1)
    rank = len(value.shape) + len(axes)
    places = {axis_of(axis, rank) for axis in axes}
    require(len(places) == len(axes), "has the same axis twice")
    sizes = iter(value.shape)
    return Value(value.kind, tuple(1 if axis in places else next(sizes) for axis in range(rank)), value.numbers)


def expand(inputs: Sequence[Value | None], _: Attributes) -> Value:
    """Repeated along axes of one."""
    value = taken(inputs, 0, *FLOATS)
    return Value(value.kind, together(value.shape, numbers_of(inputs, 1)))


def cut(inputs: Sequence[Value | None], _: Attributes) -> Value:
    """A part along some axes: from a start to an end, by steps."""
    value, starts, ends = taken(inputs, 0, *FLOATS, INT64), numbers_of(inputs, 1), numbers_of(inputs, 2)
    axes = numbers_of(inputs, 3) if len(inputs) > 3 else tuple(range(len(starts)))
    steps = numbers_of(inputs, 4) if len(inputs) > 4 else (1,) * len(starts)
    require(
        len(starts) == len(ends) == len(axes) == len(steps) and min(steps, default=1) > 0, "has a part that is none"
    )
    ranges = [range(size) for size in value.shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = axis_of(axis, len(value.shape))
        require(ranges[place] == range(value.shape[place]), "has the same axis twice")
        ranges[place] = ranges[place][start:end:step]
    numbers = None
    if value.numbers is not None and len(value.shape) == 1:
        numbers = tuple(value.numbers[place] for place in ranges[0])
    return Value(value.kind, tuple(map(len, ranges)), numbers)


def pad(inputs: Sequence[Value | None], attributes: Attributes) -> Value:
    """A border around a tensor."""
    value, pads = taken(inputs, 0, *FLOATS), numbers_of(inputs, 1)
    rank = len(value.shape)
    require(attributes.get("mode", b"constant") == b"constant", "pads by a rule")
    require(len(pads) == 2 * rank and all(0 <= pad <= MOST_WINDOW for pad in pads), "has a border out of range")
    if len(inputs) == 3 and inputs[2] is not None:
        require(alike(inputs, 0, 2)[1].shape == (), "has a border of more than one number")
    return Value(value.kind, tuple(size + pads[axis] + pads[axis + rank] for axis, size in enumerate(value.shape)))
