"""Videos kept as pictures: a folder of numbered frames, also inside a zip file.

A zip that holds one video's frames, and a folder that holds nothing but such a zip, are that video. Nothing is ever
unpacked to disk.
"""

from __future__ import annotations

import dataclasses
import io
import os
import struct
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import imagesize
import numpy as np
from jaxtyping import Int64, UInt8

from stzoo.errors import VideoError
from stzoo.video.archives import read_archive
from stzoo.video.container import MAX_PIXELS
from stzoo.video.decode import Choose, Excerpt, Transform, VideoInfo
from stzoo.video.frames import stacked
from stzoo.video.kinds import why_no_frames
from stzoo.video.video import FRAME, Video, archive_of, is_frame

_MOST_PICTURE_BYTES = 64 * 2**20
_MOST_DAMAGED = 1_000  # pictures of a video, of those that are looked at; each may lead to another choice


@dataclasses.dataclass(frozen=True, eq=False)
class FrameFolder:
    """The frames of one video, in order."""

    path: Path
    archive: Path | None
    """The zip file that the frames are in."""
    names: tuple[str, ...]
    """File names in the folder, or entries of the zip."""
    places: Int64[np.ndarray, " frames"]
    """Where in the video each frame is, ascending from 0: a gap is a frame that is missing."""
    truncated: bool
    """Whether frames are missing, as far as the names tell."""
    rate: float | None
    """Frames a second, where it is known."""
    remarks: tuple[str, ...] = ()


def find_frames(video: Video) -> FrameFolder | None:
    """The frames of a video that is a folder, a zip file or a folder within one; `None` where it is none of these.

    Raises:
        VideoError: a folder or zip file that cannot be read or trusted, a zip file that has no such folder, or frames
            whose order is unclear.
    """
    path = video.place
    archive = archive_of(path)
    if archive is None:
        if not path.is_dir():
            return None
        try:
            names = os.listdir(path)
        except OSError as error:
            raise VideoError(f"{path} cannot be opened ({error.strerror}); check its permissions.") from error
        zips = [name for name in names if name.lower().endswith(".zip")]
        if len(zips) == 1 and not any(FRAME.fullmatch(name) for name in names):
            return find_frames(dataclasses.replace(video, path=path / zips[0]))
        return _ordered(video, None, "", names)
    folders = read_archive(archive).folders
    inner = path.relative_to(archive).as_posix().removeprefix(".")
    held = [folder for folder in folders if folder]
    if not inner and not folders.get("") and len(held) == 1:
        inner = held[0]
    folder = _ordered(video, archive, inner, folders.get(inner, ()))
    if folder is None:
        where = f"{archive / inner if inner else archive}"
        if pictures := why_no_frames(folders.get(inner, [])):
            raise VideoError(f"{where} {pictures}")
        raise VideoError(f"{archive} holds no frames in {inner or 'its top folder'}; check the path and the zip file.")
    return folder


def list_folder(path: Path) -> set[str]:
    """The names of what is in a folder or in a folder within a zip file; none where there is no such folder.

    Raises:
        VideoError: a zip file that cannot be read or trusted.
    """
    archive = archive_of(path)
    if archive is None:
        return set(os.listdir(path)) if path.is_dir() else set()
    inner = PurePosixPath(path.relative_to(archive).as_posix())
    below = (PurePosixPath(folder) for folder in read_archive(archive).folders)
    return {folder.relative_to(inner).parts[0] for folder in below if folder != inner and folder.is_relative_to(inner)}


def read_pictures(folder: FrameFolder, choose: Choose, transform: Transform) -> Excerpt:
    """The frames that `choose` wants of a video, transformed; chosen again without those that cannot be decoded.

    Raises:
        VideoError: no frame can be decoded, or a thousand that were looked at cannot.
    """
    good = np.ones(len(folder.names), dtype=bool)
    kept: dict[int, UInt8[np.ndarray, "... size size 3"]] = {}
    size = (0, 0)
    while good.any() and (~good).sum() < _MOST_DAMAGED:
        rows = np.flatnonzero(good)
        info = describe(folder, rows, size)
        wanted = rows[choose(info)]
        for row in set(wanted.ravel().tolist()) - kept.keys():
            picture = read_picture(folder, row)
            if picture is None:
                good[row] = False
            else:
                size = picture.shape[:2]
                kept[row] = transform(picture)
        if good[rows].all():
            return Excerpt(stacked(wanted, kept), dataclasses.replace(info, height=size[0], width=size[1]))
    if good.any():
        raise VideoError(f"{folder.path} holds {(~good).sum():,} or more pictures that are damaged; copy it again.")
    raise VideoError(f"{folder.path} holds no frame that can be decoded; its pictures are damaged.")


def describe(folder: FrameFolder, rows: Int64[np.ndarray, " frames"], size: tuple[int, int]) -> VideoInfo:
    """What is known about a video of which these rows can be decoded, in pictures of `size` (height, width)."""
    return VideoInfo(
        path=folder.path,
        width=size[1],
        height=size[0],
        rotation_degrees=0,
        mirrored=False,
        timestamps_seconds=folder.places[rows] / (folder.rate or 1.0),
        counted=folder.rate is None,
        truncated=folder.truncated or len(rows) < len(folder.names),
        remarks=folder.remarks,
    )


def read_picture(folder: FrameFolder, row: int) -> UInt8[np.ndarray, "height width 3"] | None:
    """One frame as RGB; `None` where its file cannot be read or decoded, or holds more than `MAX_PIXELS`."""
    content = read_bytes(folder, row)
    if not content or not _ends(content):
        return None
    try:
        width, height = imagesize.get(io.BytesIO(content))
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError, EOFError, OSError, struct.error):
        return None
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        return None
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if picture is None else np.asarray(picture[:, :, ::-1], dtype=np.uint8)


def _ends(content: bytes) -> bool:
    """Whether a JPEG or PNG is not cut off, and no chunk of a PNG claims more bytes than follow.

    OpenCV fills some pictures that are cut off up with grey, and takes as much memory as a chunk claims.
    """
    if content.startswith(b"\xff\xd8"):
        return content.rfind(b"\xff\xd9") >= content.rfind(b"\xff\xda")
    if not content.startswith(b"\x89PNG"):
        return True
    start = 8
    while start + 12 <= len(content):
        (size, kind) = struct.unpack_from(">I4s", content, start)
        start += 12 + size
        if kind == b"IEND":
            return start <= len(content)
    return False


def read_bytes(folder: FrameFolder, row: int) -> bytes | None:
    """The file of one frame; `None` where it cannot be read or is larger than 64 MiB."""
    name = folder.names[row]
    try:
        if folder.archive is not None:
            return read_archive(folder.archive).read(name, _MOST_PICTURE_BYTES)
        file = folder.path / name
        return file.read_bytes() if file.stat().st_size <= _MOST_PICTURE_BYTES else None
    except OSError:
        return None


def _ordered(video: Video, archive: Path | None, inner: str, names: Iterable[str]) -> FrameFolder | None:
    """The frames among the names of a folder, in the order of their numbers; `None` where there is none."""
    pictures = list(filter(is_frame, names))
    families: dict[tuple[str, str], list[tuple[int, str]]] = {}
    plain = [name for name in pictures if name[-len(Path(name).suffix) - 1].isdigit()]
    for name in plain or pictures:  # what stands beside `0001.png` as `0001_mask.png` is another thing
        match = FRAME.fullmatch(name)
        assert match is not None
        families.setdefault((match["prefix"], match["suffix"].lower()), []).append((int(match["number"]), name))
    if not families:
        return None
    if len(families) > 1:
        kinds = " and ".join(sorted(f"{prefix}*{suffix}" for prefix, suffix in families))
        raise VideoError(f"{video.place} holds frames under several names ({kinds:.80}); keep one kind in a folder.")
    (frames,) = families.values()
    frames.sort()
    numbers = np.array([number for number, _ in frames], dtype=np.int64)
    if len(twice := numbers[1:][np.diff(numbers) == 0]):
        raise VideoError(f"{video.place} holds two pictures of frame {twice[0]}; keep one.")
    order = _order(numbers)
    remark = (
        f"the numbers of the pictures in {video.place} differ by {np.diff(numbers).min():,} to "
        f"{np.diff(numbers).max():,}, as times do; they are taken to follow each other evenly."
        if order.uneven
        else ""
    )
    above = f"{inner}/" if inner else ""
    return FrameFolder(
        video.place,
        archive,
        tuple(f"{above}{name}" for _, name in frames),
        order.places,
        order.truncated,
        video.frame_rate,
        (remark,) if remark else (),
    )


class _Order(NamedTuple):
    places: Int64[np.ndarray, " frames"]
    """Where in the video each frame is, from 0."""
    truncated: bool
    """Frames are missing between others; or before them, where every frame is counted."""
    uneven: bool
    """Steps are not multiples of one step."""


def _order(numbers: Int64[np.ndarray, " frames"]) -> _Order:
    """What the ascending numbers in the names of frames say.

    Numbers may count every tenth picture, or milliseconds: the usual step is that from a frame to the next. A step that
    is no multiple of it is rounded to the nearest one.
    """
    steps = np.diff(numbers)
    usual = int(np.median(steps)) if len(steps) else 1
    counts = np.maximum(1, np.rint(steps / usual)).astype(np.int64)
    starts_late = bool(usual == 1 and numbers[0] > 1)
    places = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return _Order(places, starts_late or bool((counts > 1).any()), not np.array_equal(counts * usual, steps))
