"""What happens to decoded frames before a net sees them: resize, crop, stack, normalise."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from stzoo.contract import InputContract
from stzoo.errors import UsageError


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
    frame: UInt8[np.ndarray, "height width 3"], short_side: int, crop: int, crops: int, pixel_aspect: float = 1.0
) -> UInt8[np.ndarray, "crops crop crop 3"]:
    """`crops` squares of a frame as `resize_and_crop` takes them: the centre, or evenly from one end to the other.

    Errors are those of `resize_and_crop`.
    """
    places = np.linspace(0.0, 1.0, crops).tolist() if crops > 1 else [0.5]
    return np.stack([resize_and_crop(frame, short_side, crop, pixel_aspect, place) for place in places])


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
