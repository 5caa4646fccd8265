"""Odd and hostile pictures and zip files, read by worker processes: docs/results/fuzz-pictures.md (`make fuzz`).

A video of a few pictures, in a folder or a zip file, has pictures that are cut off, overwritten, or whose header claims
another size; or its zip file has changed fields, odd names, rare or damaged packing, members that unpack to gigabytes,
or very many. The table is that of `fuzz_video.py`.
"""

from __future__ import annotations

import argparse
import functools
import io
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from fuzz_video import damaged, print_head, print_row
from structure import Field, mutated

SUFFIXES = ("png", "jpg", "webp", "bmp", "tif", "ppm")
SIZES = (0, 1, 7, 65_535, 32_767, 2**31 - 1, 2**31, 2**32 - 1, 100_000)
NAMES = (
    "../0001.png", "/0001.png", "a\\0001.png", "a/../../0001.png", "\x1b[31m0001.png", "\u202e0001.png", "0001.png/",
    "x" * 4000 + "1.png", "0" * 400 + ".png", "9" * 30 + ".png", "00\x0001.png", "C:0001.png", "a/b/c/d/0001.png",
    "0001.PNG", "\U0001f6001.png",
)  # fmt: skip
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)

Files = dict[str, bytes]


def picture(suffix: str, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return cv2.imencode(f".{suffix}", cv2.GaussianBlur(pixels, (0, 0), 3))[1].tobytes()


def frames(suffix: str) -> Files:
    return {f"{number:04d}.{suffix}": picture(suffix, number) for number in range(1, 9)}


def resized(content: bytes, suffix: str, rng: np.random.Generator) -> bytes:
    """A picture whose header claims another width or height."""
    data = bytearray(content)
    size, first = int(rng.choice(SIZES)), int(rng.integers(2))
    if suffix == "png":
        struct.pack_into(">I", data, 16 + 4 * first, size)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    elif suffix == "jpg":
        start = data.find(b"\xff\xc0") + 5
        struct.pack_into(">H", data, start + 2 * first, size & 0xFFFF)
    elif suffix == "bmp":
        struct.pack_into("<I", data, 18 + 4 * first, size)
    elif suffix == "webp":
        struct.pack_into("<H", data, 26 + 2 * first, size & 0xFFFF)
    elif suffix == "ppm":
        return content.replace(b"64 48", b"%d 48" % size if first else b"64 %d" % size, 1)
    else:
        (directory,) = struct.unpack_from("<I", data, 4)
        struct.pack_into("<I", data, directory + 2 + 12 * int(rng.integers(4)) + 8, size)
    return bytes(data)


def pictures_changed(folder: Path, rng: np.random.Generator) -> Path:
    """A folder of pictures, some or all of which are damaged or lie about their size."""
    suffix = str(rng.choice(SUFFIXES))
    ones = frames(suffix)
    share = rng.choice([0.2, 1.0])
    for name, content in ones.items():
        if rng.random() < share:
            ones[name] = damaged(content, rng) if rng.random() < 0.5 else resized(content, suffix, rng)
    folder.mkdir()
    for name, content in ones.items():
        (folder / name).write_bytes(content)
    return folder


def zipped(files: Files, packing: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


def fields(content: bytes) -> Iterator[Field]:
    """The fields of a zip file's local and central headers and of its end: APPNOTE.TXT, 4.3."""
    layouts = {
        b"PK\x03\x04": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
        b"PK\x01\x02": ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (34, 2), (38, 4), (42, 4)),
        b"PK\x05\x06": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    }  # fmt: skip
    for mark, places in layouts.items():
        start = content.find(mark)
        while start >= 0:
            for offset, size in places:
                if start + offset + size <= len(content):
                    yield Field(f"{mark[2]}.{offset}", start + offset, size, "little")
            start = content.find(mark, start + 4)


def zip_changed(path: Path, rng: np.random.Generator) -> Path:
    """A zip file with one to three fields changed."""
    packing = int(rng.choice(PACKINGS[:2]))
    content = zipped(frames(str(rng.choice(SUFFIXES))), packing)
    path.write_bytes(mutated(content, list(fields(content)), rng))
    return path


def zip_damaged(path: Path, rng: np.random.Generator) -> Path:
    """A zip file that is cut off or overwritten, in one of four packings."""
    path.write_bytes(damaged(zipped(frames(str(rng.choice(SUFFIXES))), int(rng.choice(PACKINGS))), rng))
    return path


def zip_named(path: Path, rng: np.random.Generator) -> Path:
    """A zip file with odd names among those of its frames."""
    files = frames("png") if rng.random() < 0.7 else {}
    for name in rng.choice(np.array(NAMES, dtype=object), 2):
        files[str(name)] = picture("png", 1)
    path.write_bytes(zipped(files))
    return path


@functools.cache
def half_a_gigabyte() -> bytes:
    """Nothing but zeros, deflated."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(pack.compress(bytes(2**20)) for _ in range(512)) + pack.flush()


def zip_bomb(path: Path, rng: np.random.Generator) -> Path:
    """A zip file with very many members, or one that unpacks to half a gigabyte, whatever size it claims."""
    if rng.random() < 0.3:
        path.write_bytes(zipped({f"{number}.png": b"" for number in range(int(rng.choice([1_000, 70_000])))}))
        return path
    packed = half_a_gigabyte()
    content = bytearray(zipped({"0001.png": b"", "0002.png": picture("png", 2)}))
    start, name = 0, b"0001.png"
    claimed = int(rng.choice([10, 2**20, 2**29]))
    struct.pack_into("<H", content, start + 8, zipfile.ZIP_DEFLATED)
    struct.pack_into("<II", content, start + 18, len(packed), claimed)
    content[30 + len(name) : 30 + len(name)] = packed
    central = content.find(b"PK\x01\x02")
    struct.pack_into("<H", content, central + 10, zipfile.ZIP_DEFLATED)
    struct.pack_into("<II", content, central + 20, len(packed), claimed)
    second = content.find(b"PK\x01\x02", central + 4)
    struct.pack_into("<I", content, second + 42, content.find(b"PK\x03\x04", 30 + len(name) + len(packed)))
    struct.pack_into("<I", content, content.rfind(b"PK\x05\x06") + 16, central)
    path.write_bytes(content)
    return path


KINDS: dict[str, tuple[str, Callable[[Path, np.random.Generator], Path]]] = {
    "pictures": ("", pictures_changed),
    "zip, fields": (".zip", zip_changed),
    "zip, bytes": (".zip", zip_damaged),
    "zip, names": (".zip", zip_named),
    "zip, bombs": (".zip", zip_bomb),
}


def written(folder: Path, kind: str, files: int) -> Iterator[Path]:
    """Writes one after another, and removes those that have been read long ago."""
    rng = np.random.default_rng(1)
    suffix, write = KINDS[kind]
    for number in range(files):
        yield write(folder / f"{number}{suffix}", rng)
        shutil.rmtree(folder / f"{number - 10}", ignore_errors=True)
        (folder / f"{number - 10}.zip").unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100, help="of each kind")
    parser.add_argument("--seconds", type=float, default=20.0, help="time limit for a file")
    arguments = parser.parse_args()
    half_a_gigabyte()  # which takes seconds that are not the readers'
    print_head(f"{arguments.files} of each kind", arguments.seconds)
    with tempfile.TemporaryDirectory() as name:
        good = Path(name) / "good.zip"
        good.write_bytes(zipped(frames("png")))
        for kind in KINDS:
            folder = Path(name) / kind
            folder.mkdir()
            print_row(kind, good, written(folder, kind, arguments.files), arguments.seconds)


if __name__ == "__main__":
    main()
