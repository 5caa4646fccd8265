"""The order in which the frames of a clip are seen: as they were filmed, backwards, or mixed."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np
from jaxtyping import Float64, UInt8

FrameOrder = Literal["given", "reversed", "shuffled"]


def reordered(
    clip: UInt8[np.ndarray, "frames height width 3"], order: FrameOrder, draws: Float64[np.ndarray, " frames"]
) -> UInt8[np.ndarray, "frames height width 3"]:
    """The same frames in that order; `draws`, uniform numbers in [0, 1), decide how they are mixed."""
    if order == "given":
        return clip
    return clip[::-1] if order == "reversed" else clip[np.argsort(draws, kind="stable")]


def reordered_views(
    views: UInt8[np.ndarray, "views frames height width 3"], order: FrameOrder, name: str
) -> UInt8[np.ndarray, "views frames height width 3"]:
    """Every view of a video in that order; how its frames are mixed follows from the video's name, always the same."""
    if order == "given":
        return views
    seed = zlib.crc32(name.encode("utf-8", "surrogateescape"))
    draws = (np.random.default_rng([seed, view]).random((views.shape[1],)) for view in range(len(views)))
    return np.stack([reordered(clip, order, mixing) for clip, mixing in zip(views, draws, strict=True)])
