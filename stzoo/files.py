"""Where the package's own folders are, how files are called, and how one is written: never seen half."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal

CACHE = "STZOO_CACHE"
"""The environment variable that names the folder of what stzoo keeps; by default `stzoo` in the user's cache."""


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` on success and removes it on any error.

    Raises an `OSError` under the file's own name.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    except OSError as error:
        if error.filename == name or (error.filename is None and error.errno == errno.ENOSPC):
            raise OSError(error.errno, error.strerror, str(target)) from error  # FFmpeg's own cannot be renamed
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Writes indented JSON atomically, with a final newline."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def stand_in(path: Path) -> str | None:
    """What stands in the place of a file that was never fetched, and the way on; None where that cannot be said.

    It is the end of a sentence that begins with the file's name.
    """
    with path.open("rb") as file:
        head = file.read(200)
    if not head:
        return "is empty: a copy or a download was cut off; fetch the file again"
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return "is a pointer of Git LFS and not the file itself; fetch that with `git lfs pull`"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page and not the file itself; download the file that the page is about"
    return None


def without_folders(text: str) -> str:
    """The last part of an absolute path or one from `~`, which names no machine and no user; other text as it is."""
    path = Path(text)
    return ((path.is_absolute() or text.startswith("~")) and path.name) or text


def slug(text: str, kept: str, otherwise: str) -> str:
    """A text as the name of a file: what is not `kept`, as in `a-z0-9`, becomes hyphens, but at the ends."""
    return re.sub(f"[^{kept}]+", "-", text).strip("-.") or otherwise


def cache_folder(kind: Literal["onnx", "torchvision"]) -> Path:
    """Where files made on the way are kept: exported ones, and bundles of torchvision's weights."""
    folder = os.environ.get(CACHE)
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(folder or f"{home}/stzoo")) / kind


def packaged(folder: Literal["recipes", "cards", "bundled", "examples"]) -> Path:
    """The folder of recipes, cards, bundled models or examples that came with this installation.

    In an installed wheel all four are inside the package. In a checkout that is imported without being installed, all
    but the models stand beside the package.
    """
    root = Path(str(resources.files("stzoo")))
    inside = root / folder
    return inside if inside.is_dir() else root.parent / folder
