from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from torch import nn

from stzoo.contract import InputContract
from stzoo.export import to_onnx
from stzoo.export.triton import served_file, write_config
from stzoo.files import packaged
from stzoo.runtimes import UnusableFileError
from stzoo.runtimes.onnx_file import read

BUNDLED = packaged("bundled") / "camera-motion-s" / "model.onnx"

_KINDS = {"string": 9, "int32": 5, "int64": 3, "message": 11, "enum": 14}
_MESSAGES = {
    "ModelParameter": [("string_value", "string", False, "")],
    "ModelDynamicBatching": [("max_queue_delay_microseconds", "int64", False, "")],
    "ModelInput": [
        ("name", "string", False, ""),
        ("data_type", "enum", False, "DataType"),
        ("dims", "int64", True, ""),
    ],
    "ModelOutput": [
        ("name", "string", False, ""),
        ("data_type", "enum", False, "DataType"),
        ("dims", "int64", True, ""),
        ("label_filename", "string", False, ""),
    ],
    "ParametersEntry": [("key", "string", False, ""), ("value", "message", False, "ModelParameter")],
    "ModelConfig": [
        ("name", "string", False, ""),
        ("backend", "string", False, ""),
        ("max_batch_size", "int32", False, ""),
        ("input", "message", True, "ModelInput"),
        ("output", "message", True, "ModelOutput"),
        ("dynamic_batching", "message", False, "ModelDynamicBatching"),
        ("parameters", "message", True, "ParametersEntry"),
    ],
}
"""As far as stzoo writes them, the messages of Triton's model_config.proto: field, type, whether repeated, message."""


def parsed(path: Path) -> Any:
    """The configuration as protobuf's own reader of text takes it; it refuses fields and values that are not there."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", syntax="proto3")
    kinds = file.enum_type.add(name="DataType")
    for number, name in enumerate(("TYPE_INVALID", "TYPE_UINT8", "TYPE_FP32")):
        kinds.value.add(name=name, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind, is_repeated, of) in enumerate(fields, start=1):
            message.field.add(
                name=field,
                number=number,
                type=_KINDS[kind],
                label=3 if is_repeated else 1,
                type_name=f".{of}" if of else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    config = message_factory.GetMessageClass(pool.FindMessageTypeByName("ModelConfig"))()
    return text_format.Parse(path.read_text(encoding="utf-8"), config)


class OfPixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(clips.mean(dim=(2, 3, 4)))


def test_a_repository_says_what_the_file_takes_and_gives(tmp_path: Path) -> None:
    file = served_file(tmp_path, "a/model of mine")
    assert file == tmp_path / "a-model-of-mine" / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    shutil.copy(BUNDLED, file)
    assert write_config(file) == tmp_path / "a-model-of-mine"
    config = parsed(tmp_path / "a-model-of-mine" / "config.pbtxt")
    assert (config.name, config.backend, config.max_batch_size) == ("a-model-of-mine", "onnxruntime", 64)
    assert config.HasField("dynamic_batching")
    (taken,), (given,) = config.input, config.output
    assert (taken.name, taken.data_type, list(taken.dims)) == ("clips", 2, [3, 8, 64, 64])
    assert (given.name, given.data_type, list(given.dims), given.label_filename) == ("logits", 2, [10], "labels.txt")
    (parameter,) = config.parameters
    described = read(BUNDLED)
    assert InputContract.model_validate_json(parameter.value.string_value) == described.contract
    labels = (tmp_path / "a-model-of-mine" / "labels.txt").read_text(encoding="utf-8")
    assert tuple(labels.splitlines()) == described.labels


def test_a_file_of_pixels_has_the_number_of_clips_as_its_first_size(tmp_path: Path) -> None:
    contract = InputContract(frames=2, fps=4.0, resize=8, crop=8)
    file = served_file(tmp_path, "toy")
    file.parent.mkdir(parents=True)
    torch.manual_seed(0)
    labels = ['"quoted"', "über", "back\\slash"]
    to_onnx.export(OfPixels().eval(), file, contract, labels, with_preprocess=True, any_size=True)
    config = parsed(write_config(file) / "config.pbtxt")
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
    (taken,), (given,) = config.input, config.output
    assert (taken.name, taken.data_type, list(taken.dims)) == ("frames", 1, [-1, -1, -1, -1, 3])
    assert (given.name, list(given.dims)) == ("probabilities", [3])
    assert json.loads(config.parameters[0].value.string_value)["crop"] == 8


def test_what_stzoo_has_not_written_is_not_served(tmp_path: Path) -> None:
    file = served_file(tmp_path, "other")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no model")
    with pytest.raises(UnusableFileError, match="is not an ONNX model"):
        write_config(file)
    assert not (tmp_path / "other" / "config.pbtxt").exists()
