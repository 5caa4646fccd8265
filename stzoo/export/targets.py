"""Where a portable file runs: what phones and browsers ask of it, and what is known of each target here. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from stzoo.errors import ExportError, StzooError
from stzoo.runtimes import OnnxFile, Runtime, is_there, open_session
from stzoo.runtimes.onnx_file import read

Clips = Float32[np.ndarray, "clips 3 frames height width"]
Logits = Float32[np.ndarray, "clips classes"]

MOST_DIMENSIONS = 4
"""Of a tensor inside a portable file; the file's input may have one more."""

_TELL = "no net of stzoo's should, so tell its authors"
_CHECKER = "not run: onnxruntime's usability checker, which goes by operators and shapes"
_WASM = "not run: by operators, of which these ran in headless Chromium"
_WEBGPU = "not run: by operators, of which these ran in headless Chromium without a GPU (SwiftShader)"

RUN_ON_WEBGPU = frozenset(
    ["Add", "AveragePool", "Concat", "Conv", "Gemm", "MaxPool", "Mul", "ReduceMean", "Relu", "Reshape", "Transpose"]
)
"""The operators of camera-motion-opt, which onnxruntime-web ran on WebGPU: docs/results/portable.md."""

RUN_ON_WASM = RUN_ON_WEBGPU | {"Cast", "Clip", "DequantizeLinear", "QuantizeLinear", "Split"}
"""The operators of all nets that onnxruntime-web ran on wasm: docs/results/portable.md."""


def refuse_unportable(model: Any) -> None:
    """Raises `ExportError` for a graph with an operation that targets lack.

    That is a convolution or a pool that is not 2D, one whose weight is computed, a tensor of more than four dimensions
    that the graph makes, or one of a size that is not known.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            constants.add(node.output[0])
    tensors = {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.output)}
    for node in graph.node:
        if node.op_type == "Conv" and not constants.issuperset(node.input[1:]):
            raise ExportError(f"{node.op_type} makes {node.output[0]} with a weight that is computed; {_TELL}")
        for name in node.output:
            if name not in tensors or not tensors[name].HasField("shape"):
                raise ExportError(f"{node.op_type} makes {name} of a shape that ONNX cannot tell; {_TELL}")
            shape = [dim.dim_value for dim in tensors[name].shape.dim]
            if len(shape) > MOST_DIMENSIONS or min(shape, default=1) < 1:
                raise ExportError(f"{node.op_type} makes {name} of the shape {shape}; {_TELL}")


def targets(path: Path, clips: Clips, logits: Logits) -> dict[str, Any]:
    """What is known of each target, by its name, and how.

    onnxruntime and openvino run the file on clips whose `logits` are those of the net in torch. CoreML and NNAPI are
    not here: it is counted how many nodes onnxruntime's providers for them take, and in how many partitions. Nor is a
    browser: of wasm and WebGPU it is counted how many nodes have an operator that ran in one.
    """
    file = read(path)
    known = {runtime: _run(runtime, file, clips, logits) for runtime in ("onnxruntime", "openvino")}
    return known | _partitions(file) | _browsers(file)


def _run(runtime: Runtime, file: OnnxFile, clips: Clips, logits: Logits) -> dict[str, Any]:
    if not is_there(runtime):
        return {"how": "not installed here"}
    try:
        answer = open_session(runtime, file, "cpu", file.precision).logits(clips)
    except StzooError as error:
        return {"how": "run", "error": str(error)}
    return {"how": "run", "largest_difference": float(np.abs(answer - logits).max())}


def _partitions(file: OnnxFile) -> dict[str, dict[str, Any]]:
    import onnx
    from onnxruntime.tools.mobile_helpers import usability_checker

    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(file.content))
    checks = {
        "coreml": usability_checker.check_coreml_partitions(model, True, "coreml_supported_mlprogram_ops.md"),
        "nnapi": usability_checker.check_nnapi_partitions(model, True),
    }
    return {
        name: {
            "how": _CHECKER,
            "nodes": found.num_nodes,
            "supported_nodes": found.num_supported_nodes,
            "partitions": found.num_partitions,
        }
        for name, found in checks.items()
    }


def _browsers(file: OnnxFile) -> dict[str, dict[str, Any]]:
    import onnx

    operators = [node.op_type for node in onnx.load_model_from_string(file.content).graph.node]
    return {
        provider: {"how": how, "nodes": len(operators), "supported_nodes": sum(one in ran for one in operators)}
        for provider, how, ran in (("wasm", _WASM, RUN_ON_WASM), ("webgpu", _WEBGPU, RUN_ON_WEBGPU))
    }
