"""`stzoo predict --timeline` on what has no end: a camera, an address, a pipe; a line a window."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TextIO

import rich_click as click

from stzoo.cli.inputs import STANDARD_INPUT
from stzoo.errors import UsageError

if TYPE_CHECKING:
    from stzoo.cli.timeline import OverTime
    from stzoo.prediction.predictor import Predictor
    from stzoo.prediction.rows import Row


def live_place(inputs: Sequence[str], over_time: OverTime, form: str) -> str | None:
    """The one input that is followed as it comes, or None where all are videos with an end.

    Raises `UsageError` for options and inputs that do not go with it.
    """
    from stzoo.video.live import is_live

    if not over_time.timeline and not over_time.live:
        return None
    places = [word for word in inputs if is_live(word)]
    if over_time.live:
        places += [word for word in inputs if word == STANDARD_INPUT]
    if not places and not over_time.live:
        return None
    if len(inputs) != 1 or not places:
        raise UsageError("what is followed as it comes is one camera, one address or standard input (-); give one.")
    if form != "jsonl":
        raise UsageError(f"{places[0]} is followed as it comes, a line a window; add --format jsonl.")
    if not over_time.timeline:
        raise UsageError("--live follows a timeline; add --timeline.")
    if any(path is not None for path in (over_time.figure, over_time.render, over_time.events)):
        raise UsageError(f"{places[0]} has no end to draw or write; leave --figure, --render and --events out.")
    return places[0]


def follow(predictor: Predictor, place: str, over_time: OverTime, topk: int, output: TextIO) -> None:
    """Writes a line of JSON for every window, as soon as it is whole."""
    for row in _rows(predictor, place, over_time, topk):
        output.write(f"{json.dumps(row)}\n")
        output.flush()


def _rows(predictor: Predictor, place: str, over_time: OverTime, topk: int) -> Iterator[Row]:
    from stzoo.prediction.rows import window_row
    from stzoo.prediction.stream import follow_live
    from stzoo.video.live import live_frames

    source = sys.stdin.buffer if place == STANDARD_INPUT else place
    frames = live_frames(source, partial(click.echo, err=True))
    lengths = over_time.lengths
    for window in follow_live(
        predictor.contract, predictor.labels, predictor.scores_of, frames, *lengths, over_time.clips
    ):
        span = window.start_seconds, window.end_seconds
        yield {"path": place, **window_row(predictor, span, window.scores, topk)}
