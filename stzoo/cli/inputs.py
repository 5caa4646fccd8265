"""Which files a command line means: files, folders, patterns, and lists on standard input."""

from __future__ import annotations

import glob
import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from stzoo.errors import UsageError
from stzoo.video.video import VIDEO_SUFFIXES, is_frame


def files(arguments: Iterable[str], *, frames: bool = False) -> list[str]:
    """The paths that arguments mean, in their order.

    `-` stands for the lines of standard input. A folder stands for the files with a video's suffix in it and in its
    folders, hidden ones left out; a pattern such as `clips/**/*.mp4` for what it matches. A folder without videos, and
    a pattern that matches nothing, stand for themselves, so that they are named when they are read. With `frames`, a
    folder in a folder is a video where it holds numbered pictures and no video files.

    Raises `UsageError` when nothing is left.
    """
    words = [word for argument in arguments for word in (_listed() if argument == "-" else [argument])]
    paths = [path for word in words for path in _expanded(word, frames)]
    if not paths:
        raise UsageError("standard input lists no video; write one path a line.")
    return paths


def _listed() -> list[str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # names are bytes, as in the arguments
    lines = (line.rstrip("\r\n") for line in sys.stdin)
    return [line for line in lines if line]


def _expanded(word: str, frames: bool) -> list[str]:
    matches = sorted(glob.glob(word, recursive=True)) if not os.path.lexists(word) and glob.has_magic(word) else []
    return [path for match in matches or [word] for path in _within(match, frames)]


def _within(path: str, frames: bool) -> list[str]:
    return (list(_videos(path, frames)) or [path]) if os.path.isdir(path) else [path]


def _videos(folder: str, frames: bool) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        videos = [name for name in names if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES]
        if frames and not videos and any(map(is_frame, names)):
            yield parent
        for name in sorted(videos):
            yield os.path.join(parent, name)
