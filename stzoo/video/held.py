"""Videos in memory: the bytes of a file, frames that are decoded already, and an object that decodes them."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from stzoo.errors import UsageError, VideoError

_AT_ONCE = 8  # frames that a decoder is asked for at a time


@dataclass(frozen=True)
class HeldFile:
    """The bytes of a video file."""

    name: str
    """What sentences call it."""
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name

    def open(self, mode: str = "rb") -> io.BufferedIOBase:
        """The bytes as a file that is open at its beginning."""
        return io.BytesIO(self.content)


Place = Path | HeldFile
"""What can be opened to read an encoded video."""


def size_of(place: Place) -> int:
    """Bytes of a file."""
    return len(place.content) if isinstance(place, HeldFile) else place.stat().st_size


@runtime_checkable
class BinaryFile(Protocol):
    """What is open to be read as bytes."""

    def read(self, size: int, /) -> bytes: ...


@runtime_checkable
class Tensor(Protocol):
    """What a tensor of torch can do, which is not imported for it."""

    ndim: int
    shape: Any
    dtype: Any

    def detach(self) -> Any: ...

    def cpu(self) -> Any: ...

    def numpy(self) -> Any: ...


@runtime_checkable
class Decoder(Protocol):
    """What a `VideoDecoder` of torchcodec can do, which `datasets` hands out too."""

    metadata: Any

    def __len__(self) -> int: ...

    def get_frames_at(self, indices: list[int]) -> Any:
        """Frames as `.data`, a tensor in either layout, and when each is shown as `.pts_seconds`."""


class HeldFrames(ABC):
    """Frames in memory, or an object that decodes them; upright RGB.

    Args:
        name: what sentences call them.
        size: height and width of all of them.
        count: how many there are.
        pixel_aspect: how much wider than high a pixel is shown.
    """

    def __init__(self, name: str, size: tuple[int, int], count: int, pixel_aspect: float = 1.0) -> None:
        self.name, self.size, self.count, self.pixel_aspect = name, size, count, pixel_aspect

    def times_seconds(self) -> Float64[np.ndarray, " frames"] | None:
        """When each frame is shown, ascending; None where only a frame rate can tell."""
        return None

    @abstractmethod
    def pictures(
        self, wanted: Int64[np.ndarray, " wanted"]
    ) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
        """The wanted frames (ascending, each once) with their indices.

        Raises `VideoError` where a decoder fails.
        """


class ArrayFrames(HeldFrames):
    """Frames as arrays or tensors, one after another or all in one, in either layout.

    Raises:
        UsageError: they are no frames of one size in uint8; the sentence says what they are.
    """

    def __init__(self, name: str, frames: Any, *, bgr: bool = False) -> None:
        one_by_one = isinstance(frames, Sequence)
        _refuse_shape(name, frames[0] if one_by_one else frames, 3 if one_by_one else 4)
        if one_by_one:
            for index, frame in enumerate(frames):
                if (frame.shape, str(frame.dtype)) != (frames[0].shape, str(frames[0].dtype)):
                    raise UsageError(
                        f"{name} differ: number {index} is {frame.dtype} {list(frame.shape)}, the first is "
                        f"{frames[0].dtype} {list(frames[0].shape)}; bring all to one size."
                    )
        self._frames, self._step = frames, -1 if bgr else 1
        height, width, _ = self._upright(frames[0]).shape
        super().__init__(name, (height, width), len(frames))

    def pictures(
        self, wanted: Int64[np.ndarray, " wanted"]
    ) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
        for index in wanted.tolist():
            yield index, self._upright(self._frames[index])[:, :, :: self._step]

    @staticmethod
    def _upright(frame: Any) -> UInt8[np.ndarray, "height width 3"]:
        return channels_last(as_array(frame))


class DecodedFrames(HeldFrames):
    """Frames that an object decodes when they are wanted.

    Raises:
        VideoError: it holds no frame, or fails.
    """

    def __init__(self, name: str, decoder: Decoder) -> None:
        self._decoder = decoder
        if len(decoder) == 0:
            raise VideoError(f"{name} holds no frame; give a decoder of a video that has some.")
        first, _ = self._batch(name, [0])
        aspect = float(getattr(decoder.metadata, "pixel_aspect_ratio", None) or 1)
        super().__init__(name, first.shape[1:3], len(decoder), aspect)

    def times_seconds(self) -> Float64[np.ndarray, " frames"]:
        """The times of all frames, for which a decoder has to be asked frame by frame."""
        batches = [self._batch(self.name, indices)[1] for indices in _batches(range(self.count))]
        return np.concatenate(batches).astype(np.float64)

    def pictures(
        self, wanted: Int64[np.ndarray, " wanted"]
    ) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
        for indices in _batches(wanted.tolist()):
            yield from zip(indices, self._batch(self.name, indices)[0], strict=True)

    def _batch(
        self, name: str, indices: list[int]
    ) -> tuple[UInt8[np.ndarray, "n h w 3"], np.ndarray[Any, np.dtype[Any]]]:
        try:
            batch = self._decoder.get_frames_at(indices)
            frames, times = batch.data, as_array(batch.pts_seconds)
        except Exception as error:  # of whatever kind its library has
            reason = " ".join(str(error).split())[:200]
            raise VideoError(f"{name} fails at frame {indices[0]} ({reason}); play the video to check.") from error
        _refuse_shape(name, frames, 4)
        return channels_last(as_array(frames)), times


def _batches(indices: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(indices), _AT_ONCE):
        yield list(indices[start : start + _AT_ONCE])


def as_array(value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """A tensor of any device, or an array, as a NumPy array; without a copy where it lies in this memory."""
    return np.asarray(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)


def channels_last(frames: UInt8[np.ndarray, "... a b c"]) -> UInt8[np.ndarray, "... height width 3"]:
    """One frame or several, whose three colours come last or before height and width, with colours last."""
    return frames if frames.shape[-1] == 3 else np.moveaxis(frames, -3, -1)


def _refuse_shape(name: str, frames: Any, axes: int) -> None:
    """Raises `UsageError` for what is not uint8 in RGB, colours first or last, with `axes` of them."""
    wanted = "uint8 [frames, height, width, 3] or [frames, 3, height, width]"
    kind, shape = str(frames.dtype).removeprefix("torch."), list(frames.shape)
    if kind != "uint8":
        raise UsageError(
            f"{name} are {kind}, and frames are {wanted} with colours from 0 to 255; multiply what lies between 0 and "
            "1 by 255, round it, and convert it to uint8."
        )
    if len(shape) != axes or 0 in shape or 3 not in (shape[-1], shape[-3]):
        what = "are one frame" if len(shape) == 3 and axes == 4 else f"are uint8 {shape}"
        raise UsageError(
            f"{name} {what}, and frames of one video are {wanted}; give several videos as a list, and clips that are "
            "read already to scores_of."
        )
    if shape[-1] == shape[-3] == 3:
        raise UsageError(f"{name} are {shape}, which can be read in both layouts; give frames wider than 3 pixels.")
