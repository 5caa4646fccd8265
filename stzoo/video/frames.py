"""What happens to a decoded frame before a net sees it: resize, crop, normalise."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from stzoo.contract import InputContract
from stzoo.errors import UsageError


def resize_and_crop(
    frame: UInt8[np.ndarray, "height width 3"], short_side: int, crop: int, pixel_aspect: float = 1.0
) -> UInt8[np.ndarray, "crop crop 3"]:
    """Scales the short side to `short_side` pixels and takes the centre square of `crop` pixels.

    The crop is never wider than the short side, so only the frame's centre square is resized: the same scale in both
    directions, and a frame of any aspect ratio costs no more than a square one. A square is what is shown as one: where
    pixels are shown wider than high, it has fewer columns than rows.
    Filter: OpenCV's area when shrinking, bilinear when enlarging in either direction.

    Args:
        frame: one frame, upright.
        short_side: pixels.
        crop: pixels, at most `short_side`.
        pixel_aspect: how much wider than high a pixel of the frame is shown.

    Raises:
        UsageError: `crop` is not between 1 and `short_side`.
    """
    if not 1 <= crop <= short_side:
        raise UsageError(
            f"cannot crop {crop} pixels out of a short side of {short_side}; crop at least 1 and at most that."
        )
    rows, columns = _centre_square(*frame.shape[:2], pixel_aspect)
    square = np.ascontiguousarray(frame[rows, columns])
    height, width = square.shape[:2]
    if (height, width) != (short_side, short_side):
        filter_ = cv2.INTER_AREA if min(height, width) >= short_side else cv2.INTER_LINEAR
        square = np.asarray(cv2.resize(square, (short_side, short_side), interpolation=filter_), dtype=np.uint8)
    margin = (short_side - crop) // 2
    return np.ascontiguousarray(square[margin : margin + crop, margin : margin + crop])


def _centre_square(height: int, width: int, pixel_aspect: float) -> tuple[slice, slice]:
    """Rows and columns of the largest centred part of a frame that is shown as a square."""
    side = min(height, width * pixel_aspect)
    tall, wide = max(1, round(side)), max(1, min(width, round(side / pixel_aspect)))
    top, left = (height - tall) // 2, (width - wide) // 2
    return slice(top, top + tall), slice(left, left + wide)


def normalise(
    clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
) -> Float32[np.ndarray, "clips 3 frames height width"]:
    """(pixel / 255 - mean) / std per colour, in the order of axes that the nets take."""
    mean = np.asarray(contract.mean, dtype=np.float32)
    std = np.asarray(contract.std, dtype=np.float32)
    scaled = clips.astype(np.float32) * (1.0 / (255.0 * std)) - mean / std
    return np.ascontiguousarray(scaled.astype(np.float32, copy=False).transpose(0, 4, 1, 2, 3))
