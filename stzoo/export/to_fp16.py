"""ONNX files whose numbers take 16 bits: half the size. No torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from stzoo.errors import ExportError
from stzoo.files import replacing
from stzoo.runtimes.values import FLOAT

_LARGEST = 65504.0


def halve(source: Path, target: Path) -> None:
    """Writes a portable ONNX file that computes in float16; what it takes and gives stays float32.

    What the source says about itself is kept; its `precision` becomes fp16.

    Raises `ExportError` when a number is too large for 16 bits, and when ONNX's checker refuses the file.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = onnx.load(str(source))
    _refuse_large(model, target)
    metadata = {entry.key: entry.value for entry in model.metadata_props} | {"precision": "fp16"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numbers below 1e-7 become 1e-7
            halved = OnnxModel(convert_float_to_float16(model, max_finite_val=_LARGEST, keep_io_types=True))
        halved.topological_sort()
        onnx.helper.set_model_props(halved.model, metadata)
        with replacing(target) as temporary:
            onnx.save(halved.model, str(temporary))
            onnx.checker.check_model(str(temporary), full_check=True)
    except (ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        raise ExportError(f"{target} cannot be written in fp16: {str(error).strip().partition(chr(10))[0]}") from error


def store_in_half(source: Path, target: Path) -> None:
    """Writes an ONNX file whose kernels take 16 bits, and which computes in float32 as its source does.

    A runtime widens the kernels once, when it loads the file. What has one dimension, such as scales and shifts, keeps
    its 32 bits. What the source says about itself is kept; its `storage` becomes float16.

    Raises `ExportError` when a number is too large for 16 bits, and when ONNX's checker refuses the file.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    _refuse_large(model, target)
    widened = []
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT and len(tensor.dims) > 1:
            name, stored = tensor.name, f"{tensor.name}.float16"
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), stored))
            widened.append(helper.make_node("Cast", [stored], [name], name=f"{name}.widened", to=FLOAT))
    nodes = [*widened, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    helper.set_model_props(model, {entry.key: entry.value for entry in model.metadata_props} | {"storage": "float16"})
    try:
        with replacing(target) as temporary:
            onnx.save(model, str(temporary))
            onnx.checker.check_model(str(temporary), full_check=True)
    except (ValueError, onnx.checker.ValidationError) as error:
        raise ExportError(f"{target} cannot be written: {str(error).strip().partition(chr(10))[0]}") from error


def _refuse_large(model: Any, target: Path) -> None:
    import onnx

    for tensor in model.graph.initializer:
        largest = np.abs(onnx.numpy_helper.to_array(tensor)).max() if tensor.data_type == FLOAT else 0.0
        if largest > _LARGEST:
            raise ExportError(
                f"{target} cannot be written in fp16: {tensor.name} holds {largest:g}, and 16 bits at most {_LARGEST:g}"
            )
