"""Videos kept as pictures: a folder of numbered frames, also inside a zip file.

A path may lead through a zip file as if that were a folder: `frames.zip/1234`. A zip that holds one video's frames, and
a folder that holds nothing but such a zip, are that video. Nothing is ever unpacked to disk.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TypeVar

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from stzoo.errors import VideoError
from stzoo.video.decode import VideoInfo

Transformed = TypeVar("Transformed")

_FRAME = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]{1,12})(?P<suffix>\.(?:jpe?g|png|webp|bmp))", re.IGNORECASE)
_MOST_PICTURE_BYTES = 64 * 2**20
_OPEN_ARCHIVES = 8


@dataclasses.dataclass(frozen=True, eq=False)
class FrameFolder:
    """The frames of one video, in order."""

    path: Path
    archive: Path | None
    """The zip file that the frames are in."""
    names: tuple[str, ...]
    """File names in the folder, or entries of the zip."""
    numbers: Int64[np.ndarray, " frames"]
    """The number in each name, ascending: a gap is a frame that is missing."""

    @property
    def truncated(self) -> bool:
        """Whether the numbers do not start at 0 or 1, or one is missing between them."""
        return bool(self.numbers[0] > 1 or np.any(np.diff(self.numbers) != 1))


def archive_of(path: Path) -> Path | None:
    """The zip file that a path is, or leads through."""
    for part in (path, *path.parents):
        if part.suffix.lower() == ".zip" and part.is_file():
            return part
    return None


def size_and_time(path: Path) -> tuple[int, int]:
    """Bytes and time of change, in nanoseconds, of what a video is kept in: a file, or a folder and all that it holds.

    Raises `OSError` where there is nothing.
    """
    path = archive_of(path) or path
    found = [path.stat()]
    if path.is_dir():
        with os.scandir(path) as entries:
            found += [entry.stat() for entry in entries]
    return sum(status.st_size for status in found), max(status.st_mtime_ns for status in found)


def is_frame(name: str) -> bool:
    """Whether a file name is that of a numbered picture; optical flow beside the frames (`flow_x_00001.jpg`) is not."""
    return _FRAME.fullmatch(name) is not None and not name.startswith((".", "flow_"))


def find_frames(path: Path) -> FrameFolder | None:
    """The frames that a folder, a zip file or a folder within one holds; `None` where the path is none of these.

    Raises:
        VideoError: a folder or zip file that cannot be read or trusted, a zip file that has no such folder, or frames
            whose order is unclear.
    """
    archive = archive_of(path)
    if archive is None:
        if not path.is_dir():
            return None
        try:
            names = os.listdir(path)
        except OSError as error:
            raise VideoError(f"{path} cannot be opened ({error.strerror}); check its permissions.") from error
        zips = [name for name in names if name.lower().endswith(".zip")]
        if len(zips) == 1 and not any(_FRAME.fullmatch(name) for name in names):
            return find_frames(path / zips[0])
        return _ordered(path, None, "", names)
    folders = _read_archive(archive).folders
    inner = path.relative_to(archive).as_posix().removeprefix(".")
    held = [folder for folder in folders if folder]
    if not inner and not folders.get("") and len(held) == 1:
        inner = held[0]
    found = _ordered(path, archive, inner, folders.get(inner, ()))
    if found is None:
        raise VideoError(f"{archive} holds no frames in {inner or 'its top folder'}; check the path and the zip file.")
    return found


def list_folder(path: Path) -> set[str]:
    """The names of what is in a folder or in a folder within a zip file; none where there is no such folder.

    Raises:
        VideoError: a zip file that cannot be read or trusted.
    """
    archive = archive_of(path)
    if archive is None:
        return set(os.listdir(path)) if path.is_dir() else set()
    inner = PurePosixPath(path.relative_to(archive).as_posix())
    below = (PurePosixPath(folder) for folder in _read_archive(archive).folders)
    return {folder.relative_to(inner).parts[0] for folder in below if folder != inner and folder.is_relative_to(inner)}


def read_pictures(
    folder: FrameFolder,
    rate: float | None,
    choose: Callable[[VideoInfo], Int64[np.ndarray, "..."]],
    transform: Callable[[UInt8[np.ndarray, "height width 3"]], Transformed],
) -> tuple[Int64[np.ndarray, "..."], dict[int, Transformed], VideoInfo]:
    """The frames that `choose` wants of a video, transformed; chosen again without those that cannot be decoded.

    Args:
        folder: the video.
        rate: frames a second; `None` where the choice only counts frames.
        choose: indices of frames, from what is known about the video.
        transform: what is kept of a frame.

    Returns:
        The choice, index -> transformed frame, and what is known about the video.

    Raises:
        VideoError: no frame can be decoded.
    """
    good = np.ones(len(folder.names), dtype=bool)
    kept: dict[int, Transformed] = {}
    size = (0, 0)
    while good.any():
        rows = np.flatnonzero(good)
        info = describe(folder, rows, rate, size)
        chosen = choose(info)
        for row in {int(rows[index]) for index in chosen.ravel()} - kept.keys():
            picture = read_picture(folder, row)
            if picture is None:
                good[row] = False
            else:
                size = picture.shape[:2]
                kept[row] = transform(picture)
        if good[rows].all():
            index_of = {int(row): index for index, row in enumerate(rows)}
            info = dataclasses.replace(info, height=size[0], width=size[1])
            return chosen, {index_of[row]: value for row, value in kept.items() if row in index_of}, info
    raise VideoError(f"{folder.path} holds no frame that can be decoded; its pictures are damaged.")


def describe(
    folder: FrameFolder, rows: Int64[np.ndarray, " frames"], rate: float | None, size: tuple[int, int]
) -> VideoInfo:
    """What is known about a video of which these rows can be decoded, in pictures of `size` (height, width)."""
    return VideoInfo(
        path=folder.path,
        width=size[1],
        height=size[0],
        rotation_degrees=0,
        mirrored=False,
        timestamps_seconds=(folder.numbers[rows] - folder.numbers[0]) / (rate or 1.0),
        counted=rate is None,
        truncated=folder.truncated or len(rows) < len(folder.names),
    )


def read_picture(folder: FrameFolder, row: int) -> UInt8[np.ndarray, "height width 3"] | None:
    """One frame as RGB; `None` where its file cannot be read or decoded."""
    content = read_bytes(folder, row)
    if not content or (content.startswith(b"\xff\xd8") and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")):
        return None  # a JPEG that is cut off: some versions of OpenCV fill it up with grey
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if picture is None else np.asarray(picture[:, :, ::-1], dtype=np.uint8)


def read_bytes(folder: FrameFolder, row: int) -> bytes | None:
    """The file of one frame; `None` where it cannot be read or is larger than 64 MiB."""
    name = folder.names[row]
    try:
        if folder.archive is None:
            file = folder.path / name
            return file.read_bytes() if file.stat().st_size <= _MOST_PICTURE_BYTES else None
        archive = _read_archive(folder.archive).file
        return archive.read(name) if archive.getinfo(name).file_size <= _MOST_PICTURE_BYTES else None
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error):
        return None


@dataclasses.dataclass(frozen=True, eq=False)
class _Archive:
    """An open zip file and the names in each of its folders; the top one's name is empty."""

    file: zipfile.ZipFile
    folders: dict[str, list[str]]


def _read_archive(path: Path) -> _Archive:
    status = path.stat()
    return _opened_archive(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=_OPEN_ARCHIVES)
def _opened_archive(path: Path, size: int, modified_ns: int) -> _Archive:
    """A zip file's directory, read once as long as the file does not change."""
    try:
        file = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise VideoError(f"{path} is not a zip file that can be read ({error}); copy or download it again.") from error
    folders: dict[str, list[str]] = {}
    for name in file.namelist():
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            file.close()
            raise VideoError(f"{path} holds the entry {name!r:.80}, which leads out of the zip file; do not trust it.")
        if not name.endswith("/"):
            folder, _, base = name.rpartition("/")
            folders.setdefault(folder, []).append(base)
    return _Archive(file, folders)


def _ordered(path: Path, archive: Path | None, inner: str, names: Iterable[str]) -> FrameFolder | None:
    """The frames among the names of a folder, in the order of their numbers; `None` where there is none."""
    families: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in names:
        match = _FRAME.fullmatch(name)
        if match and is_frame(name):
            families.setdefault((match["prefix"], match["suffix"].lower()), []).append((int(match["number"]), name))
    if not families:
        return None
    if len(families) > 1:
        kinds = " and ".join(sorted(f"{prefix}*{suffix}" for prefix, suffix in families))
        raise VideoError(f"{path} holds frames under several names ({kinds:.80}); keep one kind in a folder.")
    (frames,) = families.values()
    frames.sort()
    numbers = np.array([number for number, _ in frames], dtype=np.int64)
    if len(twice := numbers[1:][np.diff(numbers) == 0]):
        raise VideoError(f"{path} holds two pictures of frame {twice[0]}; keep one.")
    above = f"{inner}/" if inner else ""
    return FrameFolder(path, archive, tuple(f"{above}{name}" for _, name in frames), numbers)
