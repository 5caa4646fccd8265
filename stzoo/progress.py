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

from stzoo.terminal import clean_console, clean_line

_SHORTEST_SECONDS = 1.0  # a shorter time tells no rate
_WHOLE = 100  # from here on a rate has no decimals


class _RateColumn(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(rate(task.finished_speed or task.speed, task.elapsed, self.unit), style="progress.data.speed")


def rate(speed: float | None, elapsed_seconds: float | None, unit: str) -> str:
    """`12.3 videos/s`; nothing before it is known, and where all was there already."""
    if not speed or (elapsed_seconds or 0.0) < _SHORTEST_SECONDS:
        return ""
    return f"{speed:,.0f} {unit}/s" if speed >= _WHOLE else f"{speed:.1f} {unit}/s"


class Bar:
    """What a loop calls while its bar is drawn."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._task, steps)

    def reach(self, steps: int, total: int) -> None:
        """So many steps are done, of a total that is only known while the loop runs."""
        self._progress.update(self._task, completed=steps, total=total)

    def say(self, sentence: str) -> None:
        """Prints a sentence above the bar; nothing where the bar is not shown."""
        if not self._progress.disable:
            self._progress.console.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def counting(description: str, total: int, *, unit: str, completed: int = 0, show: bool = True) -> Iterator[Bar]:
    """Draws `description`, a bar, `completed`/`total`, `unit`s a second and the time left, until the block ends."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=clean_console(sys.stderr), disable=not show) as progress:
        yield Bar(progress, progress.add_task(clean_line(description), total=total, completed=completed))
