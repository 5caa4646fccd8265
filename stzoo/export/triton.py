"""A model repository of NVIDIA's Triton Inference Server, for its onnxruntime backend. No torch.

NAME/config.pbtxt says what the model takes and gives, NAME/labels.txt what its answers mean, NAME/1/model.onnx is it.
Reference: https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.text_encoding import CEscape

from stzoo.files import slug, write_text
from stzoo.runtimes.onnx_file import FEATURES, read
from stzoo.runtimes.values import FLOAT, UINT8

MOST_CLIPS = 64
"""What Triton puts together into one batch at most, of requests that come at the same time."""

_VERSION, _FILE, _CONFIG, _LABELS = "1", "model.onnx", "config.pbtxt", "labels.txt"
_TYPES = {FLOAT: "TYPE_FP32", UINT8: "TYPE_UINT8"}


def served_file(repository: Path, name: str) -> Path:
    """Where the ONNX file of a model stands in a repository."""
    return repository / slug(name, "A-Za-z0-9._-", "model") / _VERSION / _FILE


def write_config(file: Path) -> Path:
    """Writes configuration and labels of the file that stands at `served_file`; returns the model's folder.

    A file that takes any number of clips is served in batches of up to `MOST_CLIPS`. The input contract is a parameter
    of the configuration, as JSON, under the name that the file's own metadata has for it.

    Raises `UnusableFileError` for a file that `stzoo export` has not written.
    """
    import onnx

    folder = file.parent.parent
    described = read(file)
    graph = onnx.load_model_from_string(described.content).graph
    tensors = [("input", graph.input[0]), *(("output", output) for output in graph.output)]
    is_batched = all(_dims(tensor)[0] < 0 for _, tensor in tensors)
    lines = [
        f"name: {_quoted(folder.name)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {MOST_CLIPS if is_batched else 0}",
        *(_tensor(role, tensor, is_batched) for role, tensor in tensors),
        *["dynamic_batching { }"] * is_batched,
        f'parameters {{ key: "input" value {{ string_value: {_quoted(described.contract.model_dump_json())} }} }}',
    ]
    write_text(folder / _LABELS, "".join(f"{label}\n" for label in described.labels))
    write_text(folder / _CONFIG, "\n".join(lines) + "\n")
    return folder


def _tensor(role: str, tensor: Any, is_batched: bool) -> str:
    kind = _TYPES[tensor.type.tensor_type.elem_type]
    dims = ", ".join(map(str, _dims(tensor)[is_batched:]))
    labels = f" label_filename: {_quoted(_LABELS)}" if role == "output" and tensor.name != FEATURES else ""
    return f"{role} {{ name: {_quoted(tensor.name)} data_type: {kind} dims: [{dims}]{labels} }}"


def _dims(tensor: Any) -> list[int]:
    """The sizes of a tensor; -1 for one that is free, as Triton writes it."""
    return [dim.dim_value or -1 for dim in tensor.type.tensor_type.shape.dim]


def _quoted(text: str) -> str:
    return f'"{CEscape(text, as_utf8=True)}"'
