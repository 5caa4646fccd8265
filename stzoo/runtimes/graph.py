"""The graph of an ONNX file that nobody vouches for: read into plain values, and followed before it is run.

Only what stzoo writes is read: no control flow, function, other domain or file, and no field of ONNX's that stzoo does
not use. What an input would take in memory and work is known, and bounded, before a runtime sees the file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import Message

from stzoo.runtimes import operators
from stzoo.runtimes.values import (
    FLOAT,
    FLOAT16,
    FLOATS,
    INT8,
    INT32,
    INT64,
    UINT8,
    RefusalError,
    Shape,
    Value,
    require,
)
from stzoo.validation import shortened

OPERATOR_SETS = range(18, 31)

_FIELDS = {
    "ModelProto": {
        "ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string", "graph",
        "opset_import", "metadata_props",
    },
    "GraphProto": {
        "name", "node", "initializer", "doc_string", "input", "output", "value_info", "metadata_props",
    },
    "NodeProto": {"name", "op_type", "domain", "input", "output", "attribute", "doc_string", "metadata_props"},
    "AttributeProto": {"name", "type", "i", "ints", "f", "s", "doc_string"},
    "TensorProto": {
        "name", "data_type", "dims", "raw_data", "float_data", "int32_data", "int64_data", "doc_string",
        "metadata_props", "data_location",
    },
    "ValueInfoProto": {"name", "type", "doc_string", "metadata_props"},
    "TypeProto": {"tensor_type", "denotation"},
    "Tensor": {"elem_type", "shape"},
    "TensorShapeProto": {"dim"},
    "Dimension": {"dim_value", "dim_param", "denotation"},
    "OperatorSetIdProto": {"domain", "version"},
    "StringStringEntryProto": {"key", "value"},
}  # fmt: skip
"""What a message may hold, by its name; a field that is not here is refused, and nothing in it is looked at."""

_DTYPES = {FLOAT: "<f4", FLOAT16: "<f2", UINT8: "u1", INT8: "i1", INT32: "<i4", INT64: "<i8"}
_TYPED_FIELDS = {FLOAT: "float_data", UINT8: "int32_data", INT8: "int32_data", INT32: "int32_data", INT64: "int64_data"}
"""Where numbers may stand but in `raw_data`; 16-bit floats stand there alone."""

_MOST_NODES = 20_000
_MOST_NUMBERS = 4096
"""The longest tensor of whole numbers that is followed by value."""

_MOST_GROWTH, _MOST_HELD_GROWTH, _MOST_WORK = 64, 256, 2**23
"""The largest tensor and all that is held at a time, as multiples of the input; multiply-adds for a number of it."""

_QUANTISING = frozenset(["QuantizeLinear", "DequantizeLinear"])
_AFTER_HEAD = _QUANTISING | {"Add", "Softmax", "ReduceMean", "Reshape", "Squeeze", "Identity"}
"""What may stand between a classifier's matrix product and the output."""
_MOST_FOLDED = 4
"""What is made of constants alone, as a multiple of them; a Swin transformer makes 2.7 times as much."""

_SMALL, _SMALL_WORK = 2**20, 2**30
"""So many numbers and so much work are never too many, however small the input is."""


class _Node(NamedTuple):
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def shown(self) -> str:
        return f"{self.operator} {shortened(repr(self.outputs[0]))}"


class Graph:
    """What an ONNX model computes, in the order in which it does.

    Raises `RefusalError` for whatever stzoo does not write.
    """

    def __init__(self, model: Any) -> None:
        _refuse_fields(model)
        versions = {entry.domain: entry.version for entry in model.opset_import}
        require(versions.get("") in OPERATOR_SETS, f"has the operator set {versions.get('')}")
        require(len(model.graph.node) <= _MOST_NODES, f"has {len(model.graph.node)} nodes")
        require(len(model.graph.input) == 1 and len(model.graph.output) in (1, 2), "has several inputs or outputs")
        self.input, self.output = model.graph.input[0].name, model.graph.output[0].name
        self._constants = {tensor.name: _constant(tensor) for tensor in model.graph.initializer}
        require(len(self._constants) == len(model.graph.initializer), "has two tensors of one name")
        self._nodes = [_node(node) for node in model.graph.node]
        names = Counter([self.input, *self._constants, *(name for node in self._nodes for name in node.outputs)])
        require(max(names.values()) == 1, "has two tensors of one name")
        self._declared = [*model.graph.value_info, *model.graph.output]
        self._uses = Counter(name for node in self._nodes for name in node.inputs)
        self._results: dict[tuple[int, Shape], dict[str, Value]] = {}
        self.vectors = model.graph.output[1].name if len(model.graph.output) == 2 else self._entering_head()
        """The tensor of what enters the classifier: the second output, or what a graph with one holds; else None."""

    def follow(self, kind: int, shape: Shape) -> Value:
        """What the graph gives for an input of a type and shape, without running it.

        Raises `RefusalError` for a graph that cannot be run on it, or would take more memory or work than a net does.
        """
        if (kind, shape) not in self._results:
            values = self._followed(Value(kind, shape))
            self._refuse_other_shapes(values)
            self._results[kind, shape] = {name: values[name] for name in (self.output, self.vectors) if name}
        return self._results[kind, shape][self.output]

    def follow_vectors(self, kind: int, shape: Shape) -> Value:
        """What `follow` says, of `vectors`."""
        self.follow(kind, shape)
        require(self.vectors is not None, "ends in no classifier")
        return self._results[kind, shape][str(self.vectors)]

    def _entering_head(self) -> str | None:
        """What enters the last matrix product before the output."""
        makers = {name: node for node in self._nodes for name in node.outputs}
        node, is_before = makers.get(self.output), False
        while node is not None and (is_before or node.operator in ("Gemm", "MatMul") or node.operator in _AFTER_HEAD):
            if is_before and node.operator not in _QUANTISING:
                return node.outputs[0]
            is_before |= node.operator in ("Gemm", "MatMul")
            node = makers.get(node.inputs[0]) if node.inputs else None
        return None

    def _followed(self, start: Value) -> dict[str, Value]:
        values = {**self._constants, self.input: start}
        stored = sum(value.size for value in self._constants.values())
        uses, held, folded, work = Counter(self._uses), start.size, 0, 0
        for node in self._nodes:
            missing = [name for name in node.inputs if name and name not in values]
            require(not missing, f"has {node.shown} before what it takes")
            inputs = [values[name] if name else None for name in node.inputs]
            try:
                results = operators.follow(node.operator, inputs, node.attributes)
                require(len(results) == len(node.outputs), f"has {len(node.outputs)} outputs")
            except RefusalError as error:
                raise RefusalError(f"has {node.shown}, which {error}") from error
            values.update(zip(node.outputs, results, strict=True))
            size = sum(result.size for result in results)
            held += size
            folded += size if results[0].is_constant else 0
            work += operators.multiply_adds(node.operator, inputs, results)
            require(size <= start.size * _MOST_GROWTH + _SMALL, f"has {node.shown}, which makes {size} numbers")
            require(folded <= stored * _MOST_FOLDED + _SMALL, f"makes {folded} numbers out of none")
            require(held <= start.size * _MOST_HELD_GROWTH + stored + _SMALL, f"holds {held} numbers at a time")
            require(work <= start.size * _MOST_WORK + _SMALL_WORK, f"takes {work} multiply-adds")
            for name in node.inputs:
                uses[name] -= 1
                if not uses[name] and name in values and not values[name].is_constant:
                    held -= values[name].size
        for wanted in filter(None, (self.output, self.vectors)):
            require(wanted in values, f"never makes {shortened(repr(wanted))}")
        return values

    def _refuse_other_shapes(self, values: Mapping[str, Value]) -> None:
        """Refuses a type or shape that the file declares of a tensor and that is not so."""
        for declared in self._declared:
            value, tensor = values.get(declared.name), declared.type.tensor_type
            if value is None:
                continue
            dims = [dim.dim_value for dim in tensor.shape.dim]
            fits = not tensor.HasField("shape") or (
                len(dims) == len(value.shape)
                and all(size in (0, known) for size, known in zip(dims, value.shape, strict=True))
            )
            require(fits and tensor.elem_type in (0, value.kind), f"says what is not so of {declared.name!r}")


def _refuse_fields(model: Message) -> None:
    """Refuses a message, at any depth, that has a field which stzoo does not write."""
    for message in _messages(model):
        if getattr(message, "data_location", 0) != 0:
            name = shortened(repr(getattr(message, "name", "") or "a tensor"))
            raise RefusalError(f"keeps {name} in another file; a bundle's ONNX file holds it all")
    for message in _messages(model):
        known = _FIELDS.get(message.DESCRIPTOR.name, set())
        for field, _ in message.ListFields():
            require(field.name in known, f"uses {field.name} of ONNX, which stzoo does not")


def _messages(message: Message) -> Iterator[Message]:
    waiting = [message]
    while waiting:
        current = waiting.pop()
        yield current
        for field, value in current.ListFields():
            if field.message_type is not None:
                waiting.extend([value] if isinstance(value, Message) else value)


def _node(node: Any) -> _Node:
    operator = shortened(repr(node.op_type))
    require(node.domain in ("", "ai.onnx") and node.op_type in operators.OPERATORS, f"has the operator {operator}")
    require(bool(node.output) and all(node.output), f"has {node.op_type} without an output")
    known = operators.OPERATORS[node.op_type].attributes
    attributes = {}
    for attribute in node.attribute:
        name = attribute.name
        require(name in known, f"has the attribute {shortened(repr(name))} of {node.op_type}")
        value = _attribute(attribute)
        require(isinstance(value, known[name]), f"has the attribute {name} of {node.op_type} in another type")
        attributes[name] = value
    require(len(attributes) == len(node.attribute), f"has an attribute of {node.op_type} twice")
    return _Node(node.op_type, tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: Any) -> object:
    kinds = {1: attribute.f, 2: attribute.i, 3: attribute.s, 7: tuple(attribute.ints)}
    value = kinds.get(attribute.type)
    finite = not isinstance(value, float) or math.isfinite(value)
    short = not isinstance(value, tuple) or len(value) <= 16
    return value if finite and short else None


def _constant(tensor: Any) -> Value:
    name, shape = shortened(repr(tensor.name)), tuple(tensor.dims)
    require(tensor.data_type in _DTYPES, f"has the tensor {name} of a type that stzoo does not write")
    require(len(shape) <= 8 and all(0 < size < 2**31 for size in shape), f"has the tensor {name} of shape {shape[:8]}")
    dtype = np.dtype(_DTYPES[tensor.data_type])
    if tensor.HasField("raw_data"):
        count, rest = divmod(len(tensor.raw_data), dtype.itemsize)
        array = np.frombuffer(tensor.raw_data, dtype, count)
    else:
        require(tensor.data_type in _TYPED_FIELDS, f"has the tensor {name} without its numbers, or twice")
        array, rest = np.asarray(getattr(tensor, _TYPED_FIELDS[tensor.data_type])), 0
    fields = [field.name for field, _ in tensor.ListFields() if field.name.endswith("_data")]
    require(len(fields) == 1 and rest == 0, f"has the tensor {name} without its numbers, or twice")
    require(array.size == math.prod(shape), f"has the tensor {name} of shape {shape} with {array.size} numbers")
    if tensor.data_type in FLOATS:
        require(bool(np.isfinite(array).all()), f"has the tensor {name} with numbers that are not finite")
    followed = tensor.data_type == INT64 and array.size <= _MOST_NUMBERS
    numbers = tuple(array.tolist()) if followed else None
    bounds = (int(array.min()), int(array.max())) if tensor.data_type == INT64 else None
    return Value(tensor.data_type, shape, numbers, bounds, is_constant=True)
