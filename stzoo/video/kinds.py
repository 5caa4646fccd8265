"""What looks like a video and is none that is read here, by names and first bytes: what it is, and the way on."""

from __future__ import annotations

import os
import re
from pathlib import Path

from stzoo.video.video import PICTURE_SUFFIXES, is_frame

_UNREAD_PICTURES = frozenset([".avif", ".dpx", ".exr", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".svg", ".tga"])
_WEBP_ANIMATION = 0x02  # of the flags of a VP8X chunk
_HEIC, _HEIC_SEQUENCE = frozenset((b"heic", b"heix", b"heim", b"heis")), frozenset((b"hevc", b"hevx", b"msf1"))
_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")

HEAD = 4096
"""How many bytes tell what a file is."""

_Y4M = b"YUV4MPEG2 "
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f]")


def is_text(content: bytes) -> bool:
    """Whether a file begins as text in UTF-8, and is none of the kinds of videos that begin so."""
    head = content[:HEAD]
    return not head.startswith(_Y4M) and b"\0" not in head and _text(head) is not None


def is_list(content: bytes) -> bool:
    """Whether something begins as a list of paths does, and not as a video.

    Paths hold no zero byte, and videos hold one early on, but for Y4M, which begins with its name. Lists in UTF-16,
    and those that zero bytes divide, are text between zero bytes.
    """
    head = content[:HEAD]
    if b"\0" not in head or head.startswith(_Y4M):
        return not head.startswith(_Y4M)
    text = _text(head.replace(b"\0", b""))
    return head.startswith(_UTF_16) or (text is not None and not _CONTROL.search(text))


def _text(head: bytes) -> str | None:
    """The beginning of a file as UTF-8, whose last letter may be cut; None where it is something else."""
    try:
        return re.sub(rb"[\x80-\xff]{1,3}\Z", b"", head).decode("utf-8")
    except UnicodeDecodeError:
        return None


def unsupported_kind(head: bytes) -> str | None:
    """What a file is, by its first bytes, where it is nothing that FFmpeg decodes whole, and what to convert it to."""
    if head.startswith(_JPEG_XL):
        return "a JPEG XL picture, which is not supported; convert it to PNG or JPEG"
    if head.startswith(b"PK\x03\x04"):
        return "a zip file, of which frames are read by its path, and where that ends in .zip"
    if head.startswith(b"%PDF-"):
        return "a PDF document; give a video file"
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and head[20] & _WEBP_ANIMATION:
        return "an animated WebP, which is not supported; convert it to GIF or MP4"
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[8:12], *(head[start : start + 4] for start in range(16, end - 3, 4))}
        if brands & _HEIC and not brands & _HEIC_SEQUENCE:
            return "a HEIC picture, which is not supported; convert it to JPEG"
    return None


def why_no_video(folder: Path) -> str:
    """Why a folder that holds no frames is no video."""
    try:
        suffixes = [Path(name).suffix.lower() for name in os.listdir(folder) if not name.startswith(".")]
    except OSError:
        suffixes = []
    return f"{folder} {_pictures(suffixes) or 'is a directory; give a video file inside it.'}"


def why_no_frames(names: list[str]) -> str:
    """What is wrong with the pictures among the names of a folder, none of which is a frame; empty where none is."""
    return _pictures([Path(name).suffix.lower() for name in names if not is_frame(name)])


def _pictures(suffixes: list[str]) -> str:
    if any(suffix in PICTURE_SUFFIXES for suffix in suffixes):
        return (
            "holds pictures without numbers in their names, which would say their order; name them 0001.jpg, "
            "0002.jpg and so on."
        )
    unread = next((suffix for suffix in suffixes if suffix in _UNREAD_PICTURES), None)
    return (
        f"holds pictures as {unread}, which are not supported as frames; convert them to PNG or JPEG." if unread else ""
    )
