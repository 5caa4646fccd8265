"""An ONNX file that nobody vouches for: what it says about itself, and whether that is the model it is used for."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from google.protobuf.message import DecodeError
from pydantic import ValidationError

from stzoo.bundle.confidence import Confidence
from stzoo.bundle.reading import parse_json
from stzoo.bundle.schema import Classes
from stzoo.bundle.tensors import Storage
from stzoo.contract import InputContract
from stzoo.errors import BundleError, StrategyError, UsageError
from stzoo.files import stand_in
from stzoo.runtimes.graph import Graph
from stzoo.runtimes.values import FLOAT, UINT8, RefusalError
from stzoo.strategies.strategy import Strategy
from stzoo.validation import problems, shortened

if TYPE_CHECKING:
    from stzoo.bundle import Bundle

Precision = Literal["fp32", "fp16", "bf16", "int8"]
Form = Literal["images", "volumes", "portable"]
"""Whether a file has 2D operations on images and on lines through time, or 3D operations, or such 2D operations as any
target has: on tensors of four dimensions at most, with constant weights, for a fixed number of clips."""
INPUT, OUTPUT = "clips", "logits"
FEATURES = "features"
"""A second output of either kind of file: what enters the classifier."""
FRAMES, PROBABILITIES = "frames", "probabilities"
"""Input and output of a file that begins with pixels and ends with probabilities."""

MOST_BYTES = 2 * 2**30
"""The largest ONNX file that can hold its own weights: protobuf's limit."""

_MOST_METADATA = 16 * 2**20


class UnusableFileError(BundleError):
    """An ONNX file that is not run, whatever model it is of; torch may run the net instead."""


@dataclass(frozen=True)
class OnnxFile:
    """The bytes of a model that takes clips, what its metadata says, and what its graph would do."""

    path: Path
    content: bytes = field(repr=False)
    graph: Graph = field(repr=False, compare=False)
    name: str
    labels: tuple[str, ...] = field(repr=False)
    contract: InputContract
    strategy: Strategy | None = field(repr=False)
    digest: str
    """SHA-256 of the weights file that it was exported from; empty where there was none."""
    precision: Precision
    form: Form
    takes_pixels: bool
    """Whether it takes the pixels of a video's clips and gives its probabilities, or normalised clips for logits."""
    gives_vectors: bool
    """Whether what enters the classifier is its second output."""
    confidence: Confidence | None = field(repr=False)
    """What its bundle was calibrated with."""
    storage: Storage
    """What kernels are stored in; they are computed with in the file's `precision`."""
    shape: tuple[int | None, ...]
    """Of the clips, as [clips, 3, frames, H, W]; None where the graph takes any size."""

    @property
    def clips_at_once(self) -> int | None:
        """The number of clips that the graph takes, and no other; None where it takes any."""
        return self.shape[0]

    def takes(self, contract: InputContract) -> bool:
        """Whether the graph takes the contract's clips."""
        wanted = (None, 3, contract.frames, contract.crop, contract.crop)
        return all(free in (None, size) for free, size in zip(self.shape[1:], wanted[1:], strict=True))

    @property
    def frames_and_size(self) -> str:
        """What clips the graph takes, for people: `8 frames of 64x64 pixels`."""
        frames, height, width = (str(size or "any") for size in self.shape[2:])
        return f"{frames} frames of {width}x{height} pixels"

    def check(self, bundle: Bundle, digest: str) -> None:
        """Raises `BundleError` unless the file is this bundle's net, labels and input included."""
        contract = bundle.contract
        for what, agrees in (
            ("labels", self.labels == bundle.labels),
            ("weights", self.digest == digest),
            ("normalisation", (self.contract.mean, self.contract.std) == (contract.mean, contract.std)),
        ):
            if not agrees:
                raise BundleError(
                    f"{self.path} was exported from a model with other {what} than {bundle.name}; remove it, or write "
                    f"it again with `stzoo export`"
                )
        if self.takes_pixels:
            raise BundleError(
                f"{self.path} takes pixels, a bundle's ONNX file normalised clips; export it without --with-preprocess"
            )

    def refuse_unrunnable(self) -> None:
        """Raises `UnusableFileError` for a file whose graph cannot be run on one clip; asked before a runtime is."""
        sizes = self.contract.frames, self.contract.crop, self.contract.crop
        frames, height, width = (known or size for known, size in zip(self.shape[2:], sizes, strict=True))
        clips = self.clips_at_once or 1
        self.refuse_input((clips, frames, height, width, 3) if self.takes_pixels else (clips, 3, frames, height, width))

    def refuse_input(self, shape: tuple[int, ...]) -> None:
        """Raises `UnusableFileError` for an input that the graph cannot be run on, or would need too much for."""
        try:
            answer = self.graph.follow(UINT8 if self.takes_pixels else FLOAT, shape)
        except RefusalError as error:
            raise UnusableFileError(f"{self.path} {error}; write it again with `stzoo export`") from error
        wanted = self.answer_shape(shape[0])
        if answer.kind != FLOAT or answer.shape != wanted:
            raise UnusableFileError(f"{self.path} gives {list(answer.shape)} numbers in place of {list(wanted)}")

    def giving_vectors(self) -> OnnxFile:
        """The same file with what enters the classifier as its second output, in memory.

        Raises `UsageError` where the graph does not end in a classifier.
        """
        import onnx

        if self.graph.vectors is None or self.clips_at_once not in (None, 1) or self.precision == "fp16":
            raise UsageError(
                f"{self.path} does not show what enters its classifier; write it again with `stzoo export "
                "--with-features`, or choose the runtime torch"
            )
        model = onnx.load_model_from_string(self.content)
        model.graph.output.append(onnx.helper.make_tensor_value_info(self.graph.vectors, FLOAT, None))
        return dataclasses.replace(self, content=model.SerializeToString(), gives_vectors=True)

    def refuse_vector(self, vector: np.ndarray[Any, np.dtype[Any]]) -> None:
        """Raises `BundleError` for what no classifier takes of one clip: not one row of finite numbers."""
        if vector.size != vector.shape[-1] or not np.isfinite(vector).all():
            raise BundleError(f"{self.path} gives features of shape {list(vector.shape)}, or none that are finite")

    def answer_shape(self, clips: int) -> tuple[int, ...]:
        """What the graph gives for so many clips."""
        return (len(self.labels),) if self.takes_pixels else (clips, len(self.labels))

    def refuse_answer(self, answer: np.ndarray[Any, np.dtype[Any]], clips: int) -> None:
        """Raises `BundleError` for an answer that is none: of another shape, or not finite."""
        if answer.shape != self.answer_shape(clips):
            raise BundleError(
                f"{self.path} answers with {list(answer.shape)} numbers in place of {list(self.answer_shape(clips))}; "
                "write it again with `stzoo export`"
            )
        is_share = not self.takes_pixels or (answer.min() >= 0 and math.isclose(answer.sum(), 1, abs_tol=1e-3))
        if not np.isfinite(answer).all() or not is_share:
            raise BundleError(
                f"{self.path} answers with numbers that are not finite, or no probabilities; its weights or its input "
                "contract cannot be right"
            )


def read(path: Path) -> OnnxFile:
    """Reads a file that `stzoo export` has written.

    Raises `UnusableFileError` for a file that is no ONNX model, was not written by `stzoo export`, takes or gives
    something else than clips and logits, or pixels and probabilities, or holds anything that stzoo does not write.
    """
    import onnx

    size = path.stat().st_size
    if size >= MOST_BYTES:
        raise UnusableFileError(f"{path} has {size} bytes; an ONNX file has less than {MOST_BYTES}")
    if (what := stand_in(path)) is not None:
        raise UnusableFileError(f"{path} {what}")
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise UnusableFileError(
            f"{path} is not an ONNX model, or one that is cut off; write it again with `stzoo export`"
        ) from error
    try:
        graph = Graph(model)
    except RefusalError as error:
        raise UnusableFileError(f"{path} {error}; write it again with `stzoo export`") from error
    described = _described(path, model)
    return OnnxFile(path, content, graph, shape=_shape(path, model, described["form"]), **described)


def _shape(path: Path, model: Any, form: Form) -> tuple[int | None, ...]:
    graph = model.graph
    ends = graph.input[0].name, graph.output[0].name
    others = [output.name for output in graph.output[1:]]
    if ends not in ((INPUT, OUTPUT), (FRAMES, PROBABILITIES)) or others not in ([], [FEATURES]):
        raise UnusableFileError(
            f"{path} does not take `{INPUT}` and give `{OUTPUT}`, alone or with `{FEATURES}`; it is no model for "
            "prediction"
        )
    tensor = graph.input[0].type.tensor_type
    shape = tuple(dim.dim_value or None for dim in tensor.shape.dim)
    if ends == (FRAMES, PROBABILITIES) and len(shape) == 5:
        shape = shape[0], shape[4], shape[1], shape[2], shape[3]
    kind = FLOAT if ends == (INPUT, OUTPUT) else UINT8
    is_portable = form == "portable"
    fits = len(shape) == 5 and (shape[0] is not None) == is_portable and not (is_portable and kind == UINT8)
    if tensor.elem_type != kind or not fits or shape[1] != 3 or min(_known(shape)) < 1:
        raise UnusableFileError(
            f"{path} takes a tensor of shape {list(shape)}; clips are float32 [clips, 3, frames, H, W]"
        )
    return shape


def _known(shape: tuple[int | None, ...]) -> list[int]:
    return [size for size in shape if size is not None]


def _described(path: Path, model: Any) -> dict[str, Any]:
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if sum(len(value) for value in metadata.values()) > _MOST_METADATA:
        raise UnusableFileError(
            f"{path} has more than {_MOST_METADATA} letters of metadata; it was not written by stzoo"
        )
    try:
        labels = parse_json(metadata["labels"], path)
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise ValueError("labels")
        precision = metadata["precision"]
        if precision not in ("fp32", "fp16", "int8"):
            raise ValueError("precision")
        form = metadata.get("form", "images")
        if form not in get_args(Form):
            raise ValueError("form")
        storage = metadata.get("storage", "float32")
        if storage not in get_args(Storage):
            raise ValueError("storage")
        return {
            "name": shortened(metadata.get("name", ""), 96),
            "labels": Classes.of(labels).labels,
            "contract": InputContract.model_validate_json(json.dumps(parse_json(metadata["input"], path))),
            "strategy": Strategy.from_text(metadata["strategy"]) if "strategy" in metadata else None,
            "digest": metadata["model_digest"],
            "precision": precision,
            "form": form,
            "storage": storage,
            "takes_pixels": model.graph.input[0].name == FRAMES,
            "gives_vectors": len(model.graph.output) == 2,
            "confidence": Confidence.model_validate_json(json.dumps(parse_json(metadata["confidence"], path)))
            if "confidence" in metadata
            else None,
        }
    except (BundleError, StrategyError) as error:
        raise UnusableFileError(
            f"{path} has wrong metadata: {shortened(str(error), 300)}; write it again with `stzoo export`"
        ) from error
    except ValidationError as error:
        raise UnusableFileError(
            f"{path} has no right metadata of stzoo in it: {problems(error)}; write it again with `stzoo export`"
        ) from error
    except (KeyError, ValueError) as error:
        what = error.args[0] if isinstance(error, KeyError) else "right metadata"
        raise UnusableFileError(f"{path} has no {what} of stzoo in it; write it again with `stzoo export`") from error
