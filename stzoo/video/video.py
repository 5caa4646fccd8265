"""A video, whatever it is kept as: a file, a folder of numbered pictures, such a folder in a zip file, or memory.

A part of one is written as its path with the seconds from its first frame: `video.mp4#t=12.5,20`.

Reference: W3C, Media Fragments URI 1.0, section 4.2.1, for the temporal fragment.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

from stzoo.errors import UsageError

if TYPE_CHECKING:
    from stzoo.video.held import HeldFile, HeldFrames

_SUFFIXES = """
3g2 3gp 3gp2 3gpp amv asf av1 avc avi bik cavs dif divx dv evo f4v flc fli flv gif gxf h261 h263 h264 h265 hevc 264 265
266 ismv ivf m1v m2p m2t m2ts m2v m4v mj2 mjpeg mjpg mk3d mkv mod mov mp2v mp4 mpe mpeg mpg mpv mts mxf nsv nut obu ogm
ogv qt rm rmvb roq smk tod trp ts vc1 viv vob vro vvc webm wm wmv wtv y4m zip
"""
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())

PICTURE_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"])

FRAME = re.compile(
    r"(?P<prefix>.*?)(?P<number>[0-9]{1,18})(?P<suffix>[^0-9]*\.(?:jpe?g|png|webp|bmp|tiff?|ppm|pgm))", re.IGNORECASE
)
"""The name of a numbered picture; the last number counts."""


_PART = re.compile(r"(?P<whole>.+)#t=(?P<start>([0-9]+(\.[0-9]*)?)?)(,(?P<end>[0-9]+(\.[0-9]*)?))?", re.DOTALL)


@dataclass(frozen=True)
class Video:
    """Where a video is, and what its place does not say. A path may lead through a zip file, `frames.zip/1234`, and end
    in the part of the video that is meant, `video.mp4#t=12.5,20`.

    What it is kept as is looked at by `stzoo.video.source.look_into`.

    Raises `UsageError` for what is no path, for an empty one, for a frame rate out of range, and for a part that ends
    before it starts.
    """

    path: Path | str
    """As its user wrote it: results name it so."""
    frame_rate: float | None = None
    """Frames a second of pictures in a folder or in memory, above 0 and at most 1000; a file says its own."""
    held: HeldFile | HeldFrames | None = None
    """What is in memory in place of the path, which then only names it; `stzoo.video.given` makes it."""

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise UsageError(
                f"a video is a path, bytes, an open binary file, uint8 frames or a decoder, and this is "
                f"{_named(self.path)}; give clips that are read already to scores_of."
            )
        if self.path == "":
            raise UsageError("an empty path was given; give the path of a video")
        rate: object = self.frame_rate
        if rate is not None and not isinstance(rate, Real):
            raise UsageError(f"a frame rate is a number, and {rate!r:.40} is none; give frames a second")
        if self.frame_rate is not None and not 0 < self.frame_rate <= 1000:
            raise UsageError(
                f"a frame rate of {self.frame_rate} was given; give frames a second, above 0 and at most 1000"
            )
        if self.part is not None and self.part[0] >= self.part[1]:
            raise UsageError(f"{self.path} ends before it starts; write #t=START,END in seconds")

    @property
    def place(self) -> Path:
        """The path of the whole video, for opening; of what is in memory, what sentences call it."""
        return Path(split_part(str(self.path))[0]) if self.held is None else Path(self.held.name)

    @property
    def part(self) -> tuple[float, float] | None:
        """From when to when, in seconds from the first frame, if not the whole video is meant."""
        return None if self.held is not None else split_part(str(self.path))[1]

    @property
    def exists(self) -> bool:
        """Whether there is anything; what is in a zip file is not looked at."""
        return (archive_of(self.place) or self.place).exists()

    def size_and_time(self) -> tuple[int, int]:
        """Bytes and time of change, in nanoseconds, of what it is kept in: a file, or a folder and all that it holds.

        Raises `OSError` where there is nothing.
        """
        path = archive_of(self.place) or self.place
        states = [path.stat()]
        if path.is_dir():
            with os.scandir(path) as entries:
                states += [entry.stat() for entry in entries]
        return sum(state.st_size for state in states), max(state.st_mtime_ns for state in states)


def split_part(path: str) -> tuple[str, tuple[float, float] | None]:
    """The path of a whole video, and the part of it that is meant; a file of just that name is no part of another."""
    found = _PART.fullmatch(path) if "#t=" in path else None
    if found is None or not (found["start"] or found["end"]) or os.path.lexists(path):
        return path, None
    return found["whole"], (float(found["start"] or 0), float(found["end"] or math.inf))


def part_of(path: str, start: float, end: float) -> str:
    """The path of a part of a video, from and to so many seconds after its first frame, to the microsecond."""
    first, last = (f"{seconds:.6f}".rstrip("0").rstrip(".") for seconds in (start, end))
    return f"{path}#t={first},{last}"


def _named(value: object) -> str:
    """What a value is, for a sentence."""
    return "None" if value is None else f"of type {type(value).__name__}"


def archive_of(path: Path) -> Path | None:
    """The zip file that a path is, or leads through."""
    for part in (path, *path.parents):
        if part.suffix.lower() == ".zip" and part.is_file():
            return part
    return None


def is_frame(name: str) -> bool:
    """Whether a file name is that of a numbered picture; optical flow beside the frames (`flow_x_00001.jpg`) is not."""
    return FRAME.fullmatch(name) is not None and not name.startswith((".", "flow_"))
