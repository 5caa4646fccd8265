"""What `--render` and `--figure` of `stzoo predict` draw: a video with labels on it, and a timeline as a figure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from stzoo.errors import UsageError, require

if TYPE_CHECKING:
    from stzoo.prediction.predictor import Predictor
    from stzoo.prediction.rows import Row
    from stzoo.prediction.timeline import Timeline
    from stzoo.video.overlay import Lines
    from stzoo.video.video import Video

_LABELS_SHOWN = 3


def render_answers(video: Video, output: Path, row: Row) -> None:
    """Writes a video with the best labels of its row on it."""
    best = [(answer["label"], answer["score"]) for answer in row["predictions"][:_LABELS_SHOWN]]
    _render(video, output, [best], lambda seconds: 0)


def render_timeline(video: Video, output: Path, predictor: Predictor, timeline: Timeline, topk: int) -> None:
    """Writes a video with the best labels of its windows on it, each while its window is the nearest."""
    best = [predictor.best(scores, min(topk, _LABELS_SHOWN)) for scores in timeline.scores]
    _render(video, output, best, timeline.window_at)


def draw_timeline(timeline: Timeline, output: Path, model: str) -> None:
    """Draws a timeline under the names of video and model."""
    from stzoo.figures.measurements import timeline_figure

    timeline_figure(timeline, output, f"{Path(timeline.path).name}, {model}")
    say_written(output)


def refuse_figure(path: Path) -> None:
    """Raises `UsageError` for a suffix that is no figure's, and where a file is in the way; the folder is made.

    `MissingPackageError` where matplotlib is not installed.
    """
    from stzoo.figures.style import figure_format

    figure_format(path)
    require("matplotlib")
    refuse_existing(path)


def refuse_existing(path: Path) -> None:
    """Raises `UsageError` where a file is in the way; the folder is made."""
    if path.exists():
        raise UsageError(f"{path} exists; choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)


def say_written(path: Path) -> None:
    """Names a file that was written, on standard error."""
    click.echo(f"Wrote {path}", err=True)


def _render(video: Video, output: Path, lines: Sequence[Lines], at: Callable[[float], int]) -> None:
    """Writes a video with those of the lines on it that `at` says for a time."""
    from stzoo.terminal.progress import counting
    from stzoo.video.render import render

    with counting("Rendering", 1, unit="frames", show=sys.stderr.isatty()) as bar:
        for sentence in render(video, output, lambda seconds: lines[at(seconds)], advance=bar.reach):
            click.echo(f"Warning: {sentence}", err=True)
    say_written(output)
