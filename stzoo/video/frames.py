"""What happens to decoded frames before a net sees them: resize, crop, stack, normalise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from stzoo.contract import InputContract
from stzoo.errors import UsageError

Number = np.float32 | np.ndarray[Any, np.dtype[Any]]


def resize_and_crop(
    frame: UInt8[np.ndarray, "height width 3"],
    short_side: int,
    crop: int,
    pixel_aspect: float = 1.0,
    place: float = 0.5,
) -> UInt8[np.ndarray, "crop crop 3"]:
    """Scales the short side to `short_side` pixels and takes a square of `crop` pixels, by default the centre.

    The crop is never wider than the short side, so only a square of the frame is resized: the same scale in both
    directions, and a frame of any aspect ratio costs no more than a square one. A square is what is shown as one: where
    pixels are shown wider than high, it has fewer columns than rows.
    Filter: OpenCV's area when shrinking, bilinear when enlarging in either direction.

    Args:
        frame: one frame, upright.
        short_side: pixels.
        crop: pixels, at most `short_side`.
        pixel_aspect: how much wider than high a pixel of the frame is shown.
        place: where the square lies along the long side: 0 at the left or top end, 1 at the right or bottom end.

    Raises:
        UsageError: `crop` is not between 1 and `short_side`.
    """
    if not 1 <= crop <= short_side:
        raise UsageError(
            f"cannot crop {crop} pixels out of a short side of {short_side}; crop at least 1 and at most that."
        )
    height, width = frame.shape[:2]
    square = resize_square(frame[_square(height, width, pixel_aspect, place)], short_side)
    across, along = (short_side - crop) // 2, int((short_side - crop) * place)
    top, left = (along, across) if height > width * pixel_aspect else (across, along)
    return np.ascontiguousarray(square[top : top + crop, left : left + crop])


def crops_along(
    frame: UInt8[np.ndarray, "height width 3"], contract: InputContract, pixel_aspect: float = 1.0
) -> UInt8[np.ndarray, "crops crop crop 3"]:
    """The squares of a frame that a contract sees: the centre, or evenly from one end of the long side to the other."""
    places = np.linspace(0.0, 1.0, contract.crops).tolist() if contract.crops > 1 else [0.5]
    return np.stack([crop_at(frame, contract, pixel_aspect, place) for place in places])


def crop_at(
    frame: UInt8[np.ndarray, "height width 3"], contract: InputContract, pixel_aspect: float = 1.0, place: float = 0.5
) -> UInt8[np.ndarray, "crop crop 3"]:
    """One of them, `place` of the way along the long side: by `resize_and_crop`, or by `bilinear_window`."""
    if contract.interpolation == "area":
        return resize_and_crop(frame, contract.short_side, contract.crop, pixel_aspect, place)
    size = resized(frame, contract, pixel_aspect)
    down, across = (place, 0.5) if size[0] > size[1] else (0.5, place)
    top, left = round((size[0] - contract.crop) * down), round((size[1] - contract.crop) * across)
    return bilinear_window(frame, size, top, left, contract.crop)


def resized(
    frame: UInt8[np.ndarray, "height width 3"], contract: InputContract, pixel_aspect: float = 1.0
) -> tuple[int, int]:
    """Height and width of a whole frame before the crop, as torchvision's `Resize` counts them."""
    if not isinstance(contract.resize, int):
        return contract.resize
    height, width = frame.shape[0], frame.shape[1] * pixel_aspect
    short, long = contract.resize, int(contract.resize * max(height, width) / min(height, width))
    return (short, long) if height <= width else (long, short)


def bilinear_window(
    frame: UInt8[np.ndarray, "height width 3"], size: tuple[int, int], top: int, left: int, crop: int
) -> UInt8[np.ndarray, "crop crop 3"]:
    """A square of the frame resized to `size` (height, width), of which nothing else is computed.

    Every pixel lies between the four nearest ones of the frame, however much it shrinks: what torchvision's transforms
    for video do (`antialias=False`). The pixels are those of torch's kernel with several threads, on a processor that
    multiplies and adds in one rounding, as with AVX2. Otherwise, and for sizes that add up to 128 or less, torch rounds
    in another order, and of 100,000 pixels about one differs by 1.
    """
    rows, below, upper, lower = _neighbours(frame.shape[0], size[0], top, crop)
    columns, right, near, far = _neighbours(frame.shape[1], size[1], left, crop)
    near, far = near[:, None], far[:, None]
    above, under = (_multiply_add(near, line[:, columns], far * line[:, right]) for line in (frame[rows], frame[below]))
    mixed = _multiply_add(upper[:, None, None], above, lower[:, None, None] * under)
    return np.rint(mixed).astype(np.uint8)


def _neighbours(
    pixels: int, resized_to: int, first: int, count: int
) -> tuple[
    Int64[np.ndarray, " count"],
    Int64[np.ndarray, " count"],
    Float32[np.ndarray, " count"],
    Float32[np.ndarray, " count"],
]:
    """Both neighbours along one axis of `count` new pixels from `first` on, and the weights of both."""
    scale = np.float32(pixels) / np.float32(resized_to)
    centres = np.arange(first, first + count, dtype=np.float32) + np.float32(0.5)
    places = np.maximum(_multiply_add(scale, centres, np.float32(-0.5)), np.float32(0))
    before = np.minimum(places.astype(np.int64), pixels - 1)
    far = np.clip(places - before.astype(np.float32), np.float32(0), np.float32(1))
    return before, np.minimum(before + 1, pixels - 1), np.float32(1) - far, far


def _multiply_add(a: Number, b: Number, c: Number) -> Float32[np.ndarray, "..."]:
    """`a * b + c` of float32, rounded once: products of two of them are exact in float64."""
    return np.asarray(np.multiply(a, b, dtype=np.float64) + c, dtype=np.float32)


def resize_square(part: UInt8[np.ndarray, "height width 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Scales a part of a frame that is shown as a square to `side` pixels, with the filter of `resize_and_crop`."""
    part = np.ascontiguousarray(part)
    if part.shape[:2] == (side, side):
        return part
    filter_ = cv2.INTER_AREA if min(part.shape[:2]) >= side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (side, side), interpolation=filter_), dtype=np.uint8)


def _square(height: int, width: int, pixel_aspect: float, place: float) -> tuple[slice, slice]:
    """Rows and columns of the largest part of a frame that is shown as a square."""
    side = min(height, width * pixel_aspect)
    tall, wide = max(1, round(side)), max(1, min(width, round(side / pixel_aspect)))
    top, left = int((height - tall) * place), int((width - wide) * place)
    return slice(top, top + tall), slice(left, left + wide)


def normalise(
    clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
) -> Float32[np.ndarray, "clips 3 frames height width"]:
    """(pixel / 255 - mean) / std per colour, in the order of axes that the nets take."""
    mean = np.asarray(contract.mean, dtype=np.float32)
    std = np.asarray(contract.std, dtype=np.float32)
    scaled = clips.astype(np.float32) * (1.0 / (255.0 * std)) - mean / std
    return np.ascontiguousarray(scaled.astype(np.float32, copy=False).transpose(0, 4, 1, 2, 3))


def stacked(
    indices: Int64[np.ndarray, "..."], frames: Mapping[int, UInt8[np.ndarray, "... size size 3"]]
) -> UInt8[np.ndarray, "... size size 3"]:
    """The frames of these indices, in the indices' shape."""
    stack = np.stack([frames[index] for index in indices.ravel().tolist()])
    return stack.reshape(*indices.shape, *stack.shape[1:])
