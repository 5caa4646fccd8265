"""The frames of a video one after the other, whether it is a file, a folder of pictures, or one in a zip file."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from stzoo.errors import UsageError, VideoError
from stzoo.video.decode import VideoInfo, decodable, probe, stream_frames
from stzoo.video.images import FrameFolder, describe, find_frames, read_picture

Frame = UInt8[np.ndarray, "height width 3"]


@dataclasses.dataclass(frozen=True, eq=False)
class Source(ABC):
    """A video that can be read from its beginning to its end, one frame in memory at a time."""

    info: VideoInfo

    @abstractmethod
    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[tuple[int, Frame]]:
        """The wanted frames (ascending, each once), upright RGB, with their indices; those not found are left out."""

    @abstractmethod
    def repaired(self) -> Source:
        """The same video with only those frames that can really be decoded; reads all of it.

        Raises `VideoError` where none can.
        """


def open_source(path: Path | str, frame_rate: float | None = None) -> Source:
    """Looks into a video: a file, a folder of frames (`frame_rate` a second), or such a folder within a zip file.

    One that is known to be cut off has only the frames that can be decoded.

    Raises:
        VideoError: nothing can be decoded; the sentence says why.
        UsageError: a folder of frames without `frame_rate`.
    """
    folder = find_frames(Path(path))
    if folder is None:
        info = probe(path)
        return _File(info, in_order=False).repaired() if info.truncated else _File(info, in_order=False)
    if frame_rate is None:
        raise UsageError(
            f"{path} is a folder of frames; say how many a second it holds (--frame-rate, in Python frame_rate)."
        )
    return _Pictures.of(folder, np.arange(len(folder.names)), frame_rate)


@dataclasses.dataclass(frozen=True, eq=False)
class _File(Source):
    in_order: bool

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[tuple[int, Frame]]:
        return stream_frames(self.info, wanted, in_order=self.in_order)

    def repaired(self) -> Source:
        return _File(_some(decodable(self.info)), in_order=True)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pictures(Source):
    folder: FrameFolder
    rows: Int64[np.ndarray, " frames"]
    rate: float

    @classmethod
    def of(cls, folder: FrameFolder, rows: Int64[np.ndarray, " frames"], rate: float) -> _Pictures:
        """The pictures in some of the folder's rows; their size is that of the first that can be decoded."""
        pictures = (read_picture(folder, row) for row in rows.tolist())
        size = next((picture.shape[:2] for picture in pictures if picture is not None), None)
        if size is None:
            raise VideoError(f"{folder.path} holds no frame that can be decoded; its pictures are damaged.")
        return cls(describe(folder, rows, rate, size), folder, rows, rate)

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[tuple[int, Frame]]:
        for index in wanted.tolist():
            picture = read_picture(self.folder, int(self.rows[index]))
            if picture is not None:
                yield index, picture

    def repaired(self) -> Source:
        good = [row for row in self.rows.tolist() if read_picture(self.folder, row) is not None]
        return _Pictures.of(self.folder, np.array(good, dtype=np.int64), self.rate)


def _some(info: VideoInfo) -> VideoInfo:
    if info.frames == 0:
        raise VideoError(f"{info.path} holds no frame that can be decoded; it may be cut off or damaged.")
    return info
