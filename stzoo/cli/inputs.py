"""Which files a command line means: files, folders, patterns, and lists on standard input."""

from __future__ import annotations

import glob
import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import rich_click as click

from stzoo.data.folders import passed_over, walk
from stzoo.data.names import on_disk
from stzoo.errors import UsageError
from stzoo.video.video import is_frame

_MARKS = ("\ufeff", "\udcef\udcbb\udcbf")
"""A byte order mark, as it is decoded from UTF-8 and where that is not the terminal's encoding."""


def files(arguments: Iterable[str], *, frames: bool = False) -> list[str]:
    """The paths that arguments mean, in their order.

    `-` stands for the lines of standard input. A folder stands for the files with a video's suffix in it and in its
    folders, hidden ones and those of systems left out, links followed; a pattern such as `clips/**/*.mp4` for what it
    matches. A folder without videos, and a pattern that matches nothing, stand for themselves, so that they are named
    when they are read. With `frames`, a folder in a folder is a video where it holds numbered pictures and no video
    files. How many files of a folder were passed over is said on standard error.

    Raises `UsageError` when nothing is left, and for an empty path.
    """
    words = [word for argument in arguments for word in (_listed() if argument == "-" else [argument])]
    if "" in words:
        raise UsageError("an empty path was given, perhaps out of a variable that is not set; give a video or folder.")
    paths = [path for word in words for path in _expanded(word, frames)]
    if not paths:
        raise UsageError("standard input lists no video; write one path a line.")
    return paths


def _listed() -> list[str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # names are bytes, as in the arguments
    lines = [line.rstrip("\r\n") for line in sys.stdin]
    if any("\0" in line for line in lines):
        raise UsageError("standard input holds zero bytes, as UTF-16 does; write the list as UTF-8, one path a line.")
    for mark in _MARKS:
        lines[:1] = [line.removeprefix(mark) for line in lines[:1]]
    return [line for line in lines if line]


def _expanded(word: str, frames: bool) -> list[str]:
    if not os.path.lexists(word):
        word = str(on_disk(Path(word))) if not word.isascii() else word
    matches = sorted(glob.glob(word, recursive=True)) if not os.path.lexists(word) and glob.has_magic(word) else []
    return [path for match in matches or [word] for path in _within(match, frames)]


def _within(path: str, frames: bool) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    videos: list[str] = []
    others: list[str] = []
    for walked in walk(path):
        is_video = frames and not walked.videos and any(map(is_frame, walked.others))
        videos += [walked.path] if is_video else [os.path.join(walked.path, name) for name in walked.videos]
        others += [name for name in walked.others if not (is_video and is_frame(name))]
    if videos and others:
        click.echo(passed_over(path, others), err=True)
    return videos or [path]
