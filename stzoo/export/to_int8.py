"""ONNX files in int8: static quantisation, calibrated on clips, and what it costs in accuracy. No torch."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from stzoo import metrics
from stzoo.data.datasets import Item
from stzoo.errors import DataError, ExportError, VideoError
from stzoo.files import replacing
from stzoo.metrics import Estimate
from stzoo.prediction.predictor import Predictor
from stzoo.runtimes import open_session
from stzoo.runtimes.onnx_file import read
from stzoo.runtimes.onnxruntime_session import explaining
from stzoo.video.frames import normalise
from stzoo.video.reader import read_or_say

_CALIBRATION_VIDEOS = 64


@dataclass(frozen=True)
class Int8Comparison:
    """What a quantised file answers beside the one that it was made of, on labelled videos."""

    videos: int
    top1_fp32: Estimate
    top1_int8: Estimate
    top1_lost: float
    """A fraction; negative where int8 is right more often."""
    same_best_label: float
    largest_difference: float
    """Of a probability."""


def quantise(source: Path, target: Path, inputs: Iterable[np.ndarray[Any, np.dtype[Any]]]) -> None:
    """Writes an ONNX file whose convolutions and linear layers compute in int8, with a scale a channel of the weights.

    Ranges are those that the activations take on `inputs`, each of which the source takes as its only input. What the
    source says about itself is kept; its `precision` becomes int8.

    Raises `ExportError` when onnxruntime cannot quantise the file.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str, inputs: Iterator[np.ndarray[Any, np.dtype[Any]]]) -> None:
            self._name, self._inputs = name, inputs

        def get_next(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]] | None:
            clip = next(self._inputs, None)
            return None if clip is None else {self._name: clip}

    metadata = {entry.key: entry.value for entry in onnx.load(str(source)).metadata_props} | {"precision": "int8"}
    name = onnx.load(str(source)).graph.input[0].name
    level = logging.root.level
    try:
        logging.root.setLevel(logging.ERROR)
        with (
            explaining(f"{target} cannot be written in int8", ExportError),
            tempfile.TemporaryDirectory() as folder,
            replacing(target) as temporary,
        ):
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(temporary),
                Reader(name, iter(inputs)),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv", "Gemm", "MatMul"],
                nodes_to_exclude=_products_of_activations(onnx.load(str(prepared)).graph),
            )
            model = onnx.load(str(temporary))
            onnx.helper.set_model_props(model, metadata)
            onnx.save(model, str(temporary))
            onnx.checker.check_model(str(temporary), full_check=True)
    except (ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        raise ExportError(f"{target} cannot be written in int8: {str(error).strip().partition(chr(10))[0]}") from error
    finally:
        logging.root.setLevel(level)


def _products_of_activations(graph: Any) -> list[str]:
    """The products of matrices of which neither is a weight, as in attention: they lose more than they save."""
    weights = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type == "MatMul" and not weights & {*node.input}]


def quantise_and_measure(predictor: Predictor, source: Path, target: Path, items: Sequence[Item]) -> Int8Comparison:
    """Quantises the predictor's ONNX file on clips of up to 64 of the videos, and measures what is lost on all of them.

    Raises:
        DataError: none of the videos can be read.
        ExportError: onnxruntime cannot quantise the file.
    """
    step = max(1, len(items) // _CALIBRATION_VIDEOS)
    takes_pixels = read(source).takes_pixels
    calibration = _pixels(predictor, items[::step])
    inputs = (pixels if takes_pixels else normalise(pixels, predictor.contract) for _, pixels in calibration)
    quantise(source, target, (clip[None] for clips in inputs for clip in clips))
    file = read(target)
    session = open_session("onnxruntime", file, "cpu", "int8")
    scores: list[tuple[np.ndarray[Any, np.dtype[Any]], np.ndarray[Any, np.dtype[Any]]]] = []
    labels = []
    for item, pixels in _pixels(predictor, items):
        scores.append((predictor.scores_of(pixels), session.scores(pixels, predictor.contract).astype(np.float32)))
        labels.append(item.label)
    before, after = (np.stack(column) for column in zip(*scores, strict=True))
    return compare_scores(before, after, np.array(labels, dtype=np.int64))


def _pixels(
    predictor: Predictor, items: Sequence[Item]
) -> Iterator[tuple[Item, UInt8[np.ndarray, "clips frames side side 3"]]]:
    """The clips of the videos that can be read. Raises `DataError` where none can."""
    reason = "the list is empty"
    readable = 0
    for item in items:
        read = read_or_say(item.video, predictor.contract)
        if isinstance(read, VideoError):
            reason = str(read)
            continue
        readable += 1
        yield item, read.clips
    if not readable:
        raise DataError(f"none of the {len(items)} videos can be read to calibrate with: {reason}")


def compare_scores(
    before: Float32[np.ndarray, "videos classes"],
    after: Float32[np.ndarray, "videos classes"],
    labels: Int64[np.ndarray, " videos"],
) -> Int8Comparison:
    """Compares the scores of the file in fp32, `before`, with those of the file in int8, `after`."""
    right, still_right = metrics.accuracy(before, labels), metrics.accuracy(after, labels)
    return Int8Comparison(
        videos=len(labels),
        top1_fp32=right,
        top1_int8=still_right,
        top1_lost=right.value - still_right.value,
        same_best_label=float(np.mean(before.argmax(axis=1) == after.argmax(axis=1))),
        largest_difference=float(np.abs(after - before).max()),
    )
