"""How a decoded frame is turned and mirrored so that it stands upright: its display matrix."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.sidedata.sidedata import Type
from jaxtyping import UInt8

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

_KINDS = range(64)  # of side data, by FFmpeg's numbers; it has 32 of them


def orientation(frame: VideoFrame) -> tuple[int, bool]:
    """(counterclockwise degrees, mirrored first) out of the frame's display matrix, to the nearest quarter turn.

    The matrix sends a decoded point (x, y) to (a x + c y, b x + d y) on the screen, y pointing down.
    """
    try:
        matrices = [bytes(data) for data in _side_data(frame) if data.type.name == "DISPLAYMATRIX"]
    except (ValueError, av.FFmpegError):
        return round(frame.rotation / 90) % 4 * 90, False
    if not matrices:
        return 0, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(matrices[0], dtype=np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return round(math.degrees(math.atan2(-b, a)) / 90) % 4 * 90, mirrored


def upright(
    pixels: UInt8[np.ndarray, "decoded_height decoded_width 3"], rotation_degrees: int, mirrored: bool
) -> UInt8[np.ndarray, "height width 3"]:
    """A decoded frame as `orientation` says that it is shown."""
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, rotation_degrees // 90)


def _side_data(frame: VideoFrame) -> list[SideData]:
    """PyAV types the container as a mapping, but going through it gives the values."""
    try:
        return cast("list[SideData]", list(frame.side_data))
    except ValueError:  # PyAV refuses the whole list where one entry is of a kind that it does not know, as EXIF is
        return cast("list[SideData]", list(_with_known_side_data(frame).side_data))


def _with_known_side_data(frame: VideoFrame) -> VideoFrame:
    """The frame without the kinds of side data that PyAV does not know: FFmpeg takes them away."""
    from av.filter import Graph

    graph = Graph()
    last = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1)
    )
    for kind in sorted({*_KINDS} - {known.value for known in Type}):
        remover = graph.add("sidedata", mode="delete", type=str(kind))
        last.link_to(remover)
        last = remover
    last.link_to(graph.add("buffersink"))
    graph.configure()
    graph.push(frame)
    return cast("VideoFrame", graph.pull())
