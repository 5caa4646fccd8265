"""A progress bar with rate and time left, on standard error, so that standard output stays clean."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from stzoo.terminal.cleaning import clean_console, clean_line

_SPEED_SECONDS = 300.0  # what a step may take, and still have a rate
_SHORTEST_SECONDS = 1.0  # a shorter time tells no rate
_WHOLE = 100  # from here on a rate has no decimals


class _RateColumn(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(rate(task.finished_speed or task.speed, task.elapsed, self.unit), style="progress.data.speed")


def rate(speed: float | None, elapsed_seconds: float | None, unit: str) -> str:
    """`12.3 videos/s`, or `4.2 s each`; nothing before it is known, and where all was there already."""
    if not speed or (elapsed_seconds or 0.0) < _SHORTEST_SECONDS:
        return ""
    if speed < 1:
        return f"{1 / speed:.1f} s each"
    return f"{speed:,.0f} {unit}/s" if speed >= _WHOLE else f"{speed:.1f} {unit}/s"


class Bar:
    """What a loop calls while its bar is drawn."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self._description = progress.tasks[0].description

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._task, steps)

    def skip(self, steps: int) -> None:
        """So many steps were done before, and say nothing of how fast the others will be."""
        self._progress.reset(self._task, completed=int(self._progress.tasks[0].completed) + steps)

    def reach(self, steps: int, total: int) -> None:
        """So many steps are done, of a total that is only known while the loop runs."""
        self._progress.update(self._task, completed=steps, total=total)

    def prepare(self, batch: int) -> None:
        """Shows that batch norm is at this batch of clips, and no answer comes yet; 0 when that has ended."""
        words = f"{self._description}: batch norm, batch {batch}" if batch else self._description
        self._progress.update(self._task, description=words)

    def say(self, sentence: str) -> None:
        """Prints a sentence above the bar; nothing where the bar is not shown."""
        if not self._progress.disable:
            self._progress.console.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """For people: `42 s`, `7 min 5 s`, `3 h 20 min`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def counting(description: str, total: int | None, *, unit: str, completed: int = 0, show: bool = True) -> Iterator[Bar]:
    """Draws `description`, a bar, `completed`/`total`, `unit`s a second and the time left, until the block ends.

    A `total` of None is not known beforehand.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeRemainingColumn(),
    )
    console = clean_console(sys.stderr)
    with Progress(*columns, console=console, disable=not show, speed_estimate_period=_SPEED_SECONDS) as progress:
        yield Bar(progress, progress.add_task(clean_line(description), total=total, completed=completed))
