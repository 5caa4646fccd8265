"""Zip files that hold pictures, and that nobody vouches for: bounded in members and bytes, never unpacked to disk."""

from __future__ import annotations

import dataclasses
import functools
import os
import struct
import zipfile
import zlib
from pathlib import Path

from stzoo.errors import VideoError

MOST_MEMBERS = 500_000
"""Of one zip file: listing as many takes seconds and some hundred megabytes."""

_OPEN = 8
_COMMENT = 2**16  # bytes at most behind the record that ends a zip file
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what Python unpacks in bounded memory


@dataclasses.dataclass(frozen=True, eq=False)
class Archive:
    """An open zip file and the names in each of its folders; the top one's name is empty."""

    file: zipfile.ZipFile
    folders: dict[str, list[str]]

    def read(self, name: str, most_bytes: int) -> bytes | None:
        """A member of at most so many bytes; `None` where it is larger, damaged, encrypted or packed in a rare way."""
        try:
            member = self.file.getinfo(name)
            if member.file_size > most_bytes or member.compress_type not in _PACKED:
                return None
            with self.file.open(member) as unpacked:
                return unpacked.read(member.file_size)  # with no bound, as much is unpacked as there is
        except (OSError, KeyError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error):
            return None


def read_archive(path: Path) -> Archive:
    """The directory of a zip file, read once as long as the file does not change.

    Raises `VideoError` for a file that is none, that holds more than `MOST_MEMBERS`, or whose names lead out of it.
    """
    status = path.stat()
    return _opened(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=_OPEN)
def _opened(path: Path, size: int, modified_ns: int) -> Archive:
    try:
        if (members := _members(path)) > MOST_MEMBERS:
            raise VideoError(
                f"{path} holds {members:,} files, and at most {MOST_MEMBERS:,} are listed; unpack it, or make a zip "
                "file of every video."
            )
        file = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, struct.error) as error:
        raise VideoError(f"{path} is not a zip file that can be read ({error}); copy or download it again.") from error
    folders: dict[str, list[str]] = {}
    for member in file.infolist():
        name = member.filename
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            file.close()
            raise VideoError(f"{path} holds the entry {name!r:.80}, which leads out of the zip file; do not trust it.")
        if member.compress_type not in _PACKED:
            file.close()
            raise VideoError(f"{path} packs {name!r:.80} in a way that is not read here; pack it with Deflate.")
        if not name.endswith("/"):
            folder, _, base = name.rpartition("/")
            folders.setdefault(folder, []).append(base)
    return Archive(file, folders)


def _members(path: Path) -> int:
    """How many members a zip file claims to have; 0 where it has no record that says so."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _COMMENT - 128))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 12:
        return 0
    (count,) = struct.unpack_from("<H", tail, end + 10)
    large = tail.rfind(b"PK\x06\x06", 0, end)
    if count == 0xFFFF and large >= 0 and len(tail) >= large + 40:
        (count,) = struct.unpack_from("<Q", tail, large + 32)
    return int(count)
