"""What training varies from epoch to epoch: the run of frames, the crop, and whether a clip is mirrored."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, UInt8

DRAWS = 4


def random_clip(
    strip: UInt8[np.ndarray, "strip_frames size size 3"],
    draws: Float64[np.ndarray, "4"],
    *,
    frames: int,
    crop: int,
    flip: bool,
) -> UInt8[np.ndarray, "frames crop crop 3"]:
    """One clip of a strip: the same crop for all of its frames.

    Args:
        strip: consecutive frames at the contract's rate, wider and longer than a clip.
        draws: uniform numbers in [0, 1) that choose first frame, top, left and mirroring.
        frames: frames of the clip.
        crop: side of the clip in pixels.
        flip: mirror left and right for half of the draws.
    """
    spare = np.array([strip.shape[0] - frames, strip.shape[1] - crop, strip.shape[2] - crop])
    first, top, left = np.floor(draws[:3] * (spare + 1)).astype(int)
    clip = strip[first : first + frames, top : top + crop, left : left + crop]
    return clip[:, :, ::-1] if flip and draws[3] < 0.5 else clip
