"""What training changes of a clip that has been cut out: the order of its frames, a part that is erased, its class."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, UInt8

from stzoo.training.draws import Draws
from stzoo.video.augment import is_mirrored
from stzoo.video.frame_order import FrameOrder, reordered

_ORDER = 2**32  # added to a sample's number, so that what is drawn here shares no draws with its crop
_ERASING = 3 * 2**32
_AREA = (0.02, 1 / 3)
_ASPECT = (0.3, 1 / 0.3)

Mirrored = tuple[int | None, ...]
"""The class of a mirrored video of each class; `None` where it must not be mirrored."""


def varied(
    clip: UInt8[np.ndarray, "frames crop crop 3"], order: FrameOrder, erase: float, sample: int, draws: Draws
) -> UInt8[np.ndarray, "frames crop crop 3"]:
    """A sample's clip with its frames in that order, and with a part erased in so many of the draws.

    Frames are mixed in another way in every epoch.
    """
    if order != "given":
        clip = reordered(clip, order, draws.uniforms(_ORDER + sample, len(clip)))
    return erased(clip, erase, draws.uniforms(_ERASING + sample, 5)) if erase else clip


def erased(
    clip: UInt8[np.ndarray, "frames crop crop 3"], probability: float, draws: Float64[np.ndarray, " 5"]
) -> UInt8[np.ndarray, "frames crop crop 3"]:
    """The clip with a rectangle, the same one in all frames, in the clip's mean colour.

    Args:
        clip: stays as it is.
        probability: of a rectangle.
        draws: uniform numbers in [0, 1) that choose whether, the area (2 % to a third), the ratio of width to height
            (0.3 to 3.3), top and left. What would not fit is cut to the frame.

    Reference: Zhong et al. 2020, Random Erasing Data Augmentation.
    """
    if draws[0] >= probability:
        return clip
    size = clip.shape[1]
    area = _AREA[0] + draws[1] * (_AREA[1] - _AREA[0])
    aspect = _ASPECT[0] * (_ASPECT[1] / _ASPECT[0]) ** draws[2]
    height, width = (min(size, max(1, round(size * side))) for side in ((area / aspect) ** 0.5, (area * aspect) ** 0.5))
    top, left = (int(draw * (size - side + 1)) for draw, side in zip(draws[3:], (height, width), strict=True))
    changed = clip.copy()
    changed[:, top : top + height, left : left + width] = clip.mean(axis=(0, 1, 2)).round()
    return changed


def may_flip(label: int, mirrored: Mirrored | None) -> bool:
    """Whether clips of a class may be mirrored."""
    return mirrored is None or mirrored[label] is not None


def seen_label(label: int, draws: Float64[np.ndarray, " draws"], flip: bool, mirrored: Mirrored | None) -> int:
    """The class of a clip as its draws show it: another one where it is mirrored and left and right are classes."""
    other = None if mirrored is None or not flip or not is_mirrored(draws) else mirrored[label]
    return label if other is None else other
