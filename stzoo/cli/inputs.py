"""Which videos a command line means: files, folders, patterns, and a video or a list of them on standard input."""

from __future__ import annotations

import glob
import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.data.folders import passed_over, walk
from stzoo.data.names import on_disk
from stzoo.errors import UsageError
from stzoo.video.kinds import is_list
from stzoo.video.video import Video, is_frame

if TYPE_CHECKING:
    from stzoo.video.held import HeldFile

STANDARD_INPUT = "-"
_NAME = "standard input"  # in sentences

_MARKS = ("\ufeff", "\udcef\udcbb\udcbf")
"""A byte order mark, as it is decoded from UTF-8 and where that is not the terminal's encoding."""


def videos(arguments: Iterable[str], frame_rate: float | None = None, *, resume: bool = False) -> list[Video]:
    """The videos that arguments mean, in their order.

    `-` stands for the video on standard input, or for the lines of a list there: what begins with text and has no zero
    byte is a list (`stzoo.video.kinds.is_list`). A folder stands for the files with a video's suffix in it and in its
    folders, hidden ones and those of systems left out, links followed; a pattern such as `clips/**/*.mp4` for what it
    matches. A folder without videos, and a pattern that matches nothing, stand for themselves, so that they are named
    when they are read. With a `frame_rate`, a folder in a folder is a video where it holds numbered pictures and no
    video files. How many files of a folder were passed over is said on standard error.

    Raises `UsageError` when nothing is left, for an empty path, and for a video on standard input where `resume` tells
    videos by their paths.
    """
    words: list[str | HeldFile] = []
    standard_input: list[str | HeldFile] | None = None
    for argument in arguments:
        if argument == STANDARD_INPUT:
            standard_input = _on_standard_input() if standard_input is None else standard_input
            words += standard_input
        else:
            words.append(argument)
    if "" in words:
        raise UsageError("an empty path was given, perhaps out of a variable that is not set; give a video or folder.")
    if not words:
        raise UsageError("standard input holds no video and lists none; write one path a line.")
    found = []
    for word in words:
        if isinstance(word, str):
            found += [Video(path, frame_rate) for path in _expanded(word, frame_rate is not None)]
        elif resume:
            raise UsageError(f"--resume tells videos by their paths, and the one on {_NAME} has none; give its file.")
        else:
            found.append(Video(STANDARD_INPUT, held=word))
    return found


def _on_standard_input() -> list[str | HeldFile]:
    """The lines of a list, or a video alone."""
    from stzoo.video.given import MOST_BYTES, bounded
    from stzoo.video.held import HeldFile

    if sys.stdin is None:
        raise UsageError("standard input is closed; give a video file, or pipe one in.")
    content = bounded(sys.stdin.buffer.read(MOST_BYTES + 1), _NAME)
    if not is_list(content):
        return [HeldFile(_NAME, content)]
    if b"\0" in content:
        raise UsageError("standard input holds zero bytes, as UTF-16 does; write the list as UTF-8, one path a line.")
    text = content.decode(sys.stdin.encoding, "surrogateescape")  # names are bytes, as in the arguments
    for mark in _MARKS:
        text = text.removeprefix(mark)
    return [line.rstrip("\n") for line in io.StringIO(text, newline=None) if line.rstrip("\n")]


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
