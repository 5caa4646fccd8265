"""Tensors of an ONNX graph as far as they are known before it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FLOAT, UINT8, INT8, INT32, INT64, FLOAT16 = 1, 2, 3, 6, 7, 10
"""ONNX's numbers of the types that a file may have."""

FLOATS = (FLOAT, FLOAT16)

Shape = tuple[int, ...]


MOST_WINDOW = 64
"""The largest side of a kernel, its step and its border."""


class RefusalError(ValueError):
    """What is wrong with a graph, as the end of a sentence."""


@dataclass(frozen=True)
class Value:
    """A tensor as far as it is known without running the graph."""

    kind: int
    shape: Shape
    numbers: tuple[int, ...] | None = None
    """Whole numbers in order, for tensors that shapes are made of."""
    bounds: tuple[int, int] | None = None
    """The least and the largest of whole numbers that are too many to be followed one by one."""
    is_constant: bool = False
    """Whether it is the same whatever the input is."""

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def require(holds: bool, what: str) -> None:
    """Raises `RefusalError` with `what` unless something holds."""
    if not holds:
        raise RefusalError(what)


def taken(inputs: Sequence[Value | None], index: int, *kinds: int) -> Value:
    """An input that must be there, of one of the types."""
    value = inputs[index] if index < len(inputs) else None
    if value is None:
        raise RefusalError(f"lacks its input {index + 1}")
    require(value.kind in kinds, f"has an input {index + 1} of a type that it does not take")
    return value


def alike(inputs: Sequence[Value | None], *indices: int) -> tuple[Value, ...]:
    """Inputs that must be there, all of them floats of one type."""
    values = tuple(taken(inputs, index, *FLOATS) for index in indices)
    require(len({value.kind for value in values}) == 1, "has inputs of two types")
    return values


def numbers_of(inputs: Sequence[Value | None], index: int) -> tuple[int, ...]:
    """The whole numbers of an input, which must be known."""
    value = taken(inputs, index, INT64)
    if value.numbers is None:
        raise RefusalError(f"has an input {index + 1} that is not known before the graph runs")
    return value.numbers


def axis_of(axis: int, rank: int) -> int:
    """An axis, counted from the front, of a tensor with so many."""
    require(-rank <= axis < rank, f"has the axis {axis} of a tensor with {rank}")
    return axis % rank


def together(one: Shape, other: Shape) -> Shape:
    """The shape of two tensors that are combined number by number, axes of one repeated."""
    rank = max(len(one), len(other))
    pairs = list(zip(*((1,) * (rank - len(shape)) + shape for shape in (one, other)), strict=True))
    require(all(a == b or 1 in (a, b) for a, b in pairs), "has inputs whose shapes do not go together")
    return tuple(b if a == 1 else a for a, b in pairs)


def windows(sizes: Shape, kernel: Shape, attributes: Mapping[str, Any]) -> Shape:
    """How many windows of a kernel there are along every axis, as convolutions and pools count them."""
    rank = len(sizes)
    strides = tuple(attributes.get("strides", (1,) * rank))
    pads = tuple(attributes.get("pads", (0,) * 2 * rank))
    require(attributes.get("auto_pad", b"NOTSET") == b"NOTSET", "pads by a rule")
    require(set(attributes.get("dilations", ())) <= {1}, "has holes in its kernel")
    require(len(attributes.get("dilations", kernel)) == rank, "has a kernel of another rank")
    require(len(kernel) == len(strides) == rank and len(pads) == 2 * rank, "has a kernel of another rank")
    require(all(1 <= size <= MOST_WINDOW for size in (*kernel, *strides)), "has a kernel or a step out of range")
    require(all(0 <= pad < size for pad, size in zip(pads, kernel * 2, strict=True)), "has a border out of range")
    up = strides if attributes.get("ceil_mode", 0) else (1,) * rank
    counts = tuple(
        (size + pads[axis] + pads[axis + rank] - kernel[axis] + up[axis] - 1) // strides[axis] + 1
        for axis, size in enumerate(sizes)
    )
    require(min(counts) >= 1, f"has a kernel {list(kernel)} for {list(sizes)}")
    return counts
