"""Golden clips: a few short clips, and the probabilities that a model's net gives for them in torch.

Whoever runs the model elsewhere runs them first. They are one JSON file beside the model, which any language reads and
a browser too: pixels are PNG pictures in `data:` addresses, the frames of a clip one below the other.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stzoo.bundle.reading import locate, parse_json, read_text
from stzoo.bundle.schema import Line, Sha256
from stzoo.contract import MOST_CLIP_PIXELS
from stzoo.errors import BundleError
from stzoo.files import write_text
from stzoo.validation import problems

GOLDEN = "golden.json"
"""The file of a bundle."""

GOLDEN_INT8 = f"model.int8.{GOLDEN}"
"""Those of its net in int8, which answers otherwise."""

MOST_PIXEL_BYTES = 150_000
"""The most that the pictures of all clips take in the file."""

_PNG = "data:image/png;base64,"
_DIGITS = 8

Probability = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[int, Field(ge=1, le=4096)]
Pixels = UInt8[np.ndarray, "clips frames height width 3"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class GoldenClip(_Value):
    """One clip: `times_seconds` says when each of its frames is shown in the video."""

    times_seconds: Annotated[tuple[float, ...], Field(min_length=1, max_length=1024)]
    pixels: str = Field(repr=False)
    probabilities: Annotated[tuple[Probability, ...], Field(repr=False)]


class GoldenVideo(_Value):
    """The file that the clips are of, and the probabilities that the model gives for all of it."""

    name: Line
    sha256: Sha256
    probabilities: Annotated[tuple[Probability, ...], Field(repr=False)]


class Golden(_Value):
    """The file. A clip is RGB of `frames` pictures of `size` by `size` pixels, in squares of `block` of one colour."""

    format: Literal[1] = 1
    model: Annotated[str, Field(max_length=96)]
    model_digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    frames: Annotated[int, Field(ge=1, le=1024)]
    size: Size
    block: Size
    clips: Annotated[tuple[GoldenClip, ...], Field(min_length=1, max_length=16)]
    video: GoldenVideo | None

    @model_validator(mode="after")
    def _consistent(self) -> Golden:
        if self.size % self.block:
            raise ValueError(f"blocks of {self.block} pixels do not fill {self.size}")
        if self.frames * self.size**2 > MOST_CLIP_PIXELS:
            raise ValueError(f"a clip of {self.frames} frames and size {self.size} is too large")
        if {len(clip.times_seconds) for clip in self.clips} != {self.frames}:
            raise ValueError(f"a clip has not the times of its {self.frames} frames")
        answers: list[GoldenClip | GoldenVideo] = [*self.clips]
        if self.video is not None:
            answers.append(self.video)
        if len({len(answer.probabilities) for answer in answers}) != 1:
            raise ValueError("its answers have different numbers of classes")
        return self

    @property
    def classes(self) -> int:
        return len(self.clips[0].probabilities)

    @property
    def times_seconds(self) -> Float64[np.ndarray, "clips frames"]:
        return np.array([clip.times_seconds for clip in self.clips])

    @property
    def probabilities(self) -> Float32[np.ndarray, "clips classes"]:
        return np.array([clip.probabilities for clip in self.clips], dtype=np.float32)

    def pixels(self) -> Pixels:
        """Of all clips. Raises `BundleError` for pictures that are none, or of another size."""
        return np.stack([_unpacked(clip.pixels, self.frames, self.size) for clip in self.clips])

    def to_json(self) -> str:
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        write_text(path, self.to_json())


def packed(clip: UInt8[np.ndarray, "frames height width 3"]) -> str:
    """A clip as one PNG picture in a `data:` address, its frames one below the other."""
    rows = np.ascontiguousarray(clip.reshape(-1, *clip.shape[2:])[..., ::-1])
    done, png = cv2.imencode(".png", rows, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    return _PNG + base64.b64encode(png.tobytes()).decode("ascii")


def mosaic(clips: Pixels, block: int) -> Pixels:
    """The clips in squares of `block` pixels, each of its mean colour."""
    means = block_means(clips, block)
    return np.rint(means).astype(np.uint8).repeat(block, axis=2).repeat(block, axis=3)


def block_means(clips: Pixels, block: int) -> Float64[np.ndarray, "clips frames rows columns 3"]:
    """The mean colour of every square of `block` pixels."""
    count, frames, height, width, _ = clips.shape
    squares = clips.reshape(count, frames, height // block, block, width // block, block, 3)
    return np.asarray(squares.mean(axis=(3, 5)))


def rounded(probabilities: Float32[np.ndarray, " classes"]) -> tuple[float, ...]:
    """Probabilities as the file has them."""
    return tuple(min(1.0, round(value, _DIGITS)) for value in probabilities.tolist())


def beside(model: Path) -> Path | None:
    """The golden clips of a bundle's folder or of an ONNX file: `NAME.golden.json`, or `golden.json` beside it.

    Raises `BundleError` as `stzoo.bundle.reading.locate` does.
    """
    if model.is_dir():
        return locate(model, GOLDEN)
    return locate(model.parent, golden_of(model).name) or locate(model.parent, GOLDEN)


def golden_of(file: Path) -> Path:
    """Where the golden clips of an ONNX file are written."""
    return file.with_suffix(f".{GOLDEN}")


def read(path: Path) -> Golden:
    """The golden clips of a file. Raises `BundleError` naming the file for anything malformed or contradictory."""
    value = parse_json(read_text(path), path)
    try:
        return Golden.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise BundleError(f"{path} holds no golden clips: {problems(error)}; make them again") from error


def _unpacked(pixels: str, frames: int, size: int) -> UInt8[np.ndarray, "frames height width 3"]:
    what = f"the golden clips hold a picture that is no PNG of {size}x{frames * size} pixels; make them again"
    if not pixels.startswith(_PNG):
        raise BundleError(what)
    try:
        png = base64.b64decode(pixels.removeprefix(_PNG), validate=True)
    except binascii.Error as error:
        raise BundleError(what) from error
    # The header is believed before anything is decoded: a small file may claim any size.
    if png[:16] != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" or png[16:24] != struct.pack(">II", size, frames * size):
        raise BundleError(what)
    rows = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_COLOR)
    if rows is None:
        raise BundleError(what)
    return np.ascontiguousarray(rows[..., ::-1]).reshape(frames, size, size, 3)
