"""What `stzoo predict` does with `--timeline` and `--render`: scores over time, and a video with its labels on it."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import rich_click as click

from stzoo.cli.writers import Json, JsonLines, Text, Writer, ranked_cells, ranked_columns
from stzoo.errors import UsageError, VideoError
from stzoo.prediction.rows import Row, about

if TYPE_CHECKING:
    from stzoo.prediction.predictor import Predictor
    from stzoo.prediction.timeline import Timeline
    from stzoo.video.overlay import Lines

Command = TypeVar("Command", bound=Callable[..., Any])

_LABELS_SHOWN = 3  # on a rendered video
_WINDOW_SECONDS, _HOP_SECONDS = 2.0, 1.0
_SECONDS = click.FloatRange(min=0, min_open=True)
_PATH = click.Path(path_type=Path, dir_okay=False)

_OPTIONS = (
    click.option("--timeline", is_flag=True, help="Scores over time: of a window that moves along each video."),
    click.option(
        "--window",
        metavar="SECONDS",
        type=_SECONDS,
        help=f"How long the window is, best not below the length of a clip.  [default: {_WINDOW_SECONDS:g}]",
    ),
    click.option("--hop", metavar="SECONDS", type=_SECONDS, help=f"How far it moves.  [default: {_HOP_SECONDS:g}]"),
    click.option(
        "--render",
        metavar="FILE",
        type=_PATH,
        help="Write one video with its labels on it (mp4, mov or mkv); with --timeline they change over time.",
    ),
    click.option("--figure", metavar="FILE", type=_PATH, help="Draw the timeline of one video: png, svg or pdf."),
)


@dataclass(frozen=True)
class OverTime:
    """What was asked for beside the labels of whole videos."""

    timeline: bool
    window: float | None
    hop: float | None
    figure: Path | None
    render: Path | None

    @property
    def lengths(self) -> tuple[float, float]:
        """Seconds of the window, and from one to the next."""
        return self.window or _WINDOW_SECONDS, self.hop or _HOP_SECONDS

    def refuse(self, paths: list[str], form: str, output: Path | None, *, resume: bool, workers: int | None) -> None:
        """Raises `UsageError` for options that do not go together, before anything takes time."""
        for option, value in (("--window", self.window), ("--hop", self.hop), ("--figure", self.figure)):
            if value is not None and not self.timeline:
                raise UsageError(f"{option} is about a timeline; add --timeline.")
        if form == "srt" and not self.timeline:
            raise UsageError("srt is a format of timelines; add --timeline, or choose another format.")
        if self.timeline:
            from stzoo.video.windows import spans

            spans(0.0, *self.lengths)
        if resume and (self.timeline or self.render):
            raise UsageError("--resume goes on with rows of whole videos; leave --timeline and --render out.")
        if self.timeline and workers:
            raise UsageError("a timeline is read while it is computed, without workers; leave --workers out.")
        for what, wanted in (("srt", form == "srt"), ("--figure", self.figure), ("--render", self.render)):
            if wanted and len(paths) > 1:
                raise UsageError(f"{what} is about one video, and {len(paths)} were given; give one.")
        if output is not None and output in (self.figure, self.render):
            raise UsageError(f"-o names the same file as --figure or --render, {output}; choose another.")
        if self.figure is not None:
            from stzoo.figures.style import figure_format

            figure_format(self.figure)
            _refuse_existing(self.figure)
        if self.render is not None:
            from stzoo.video.render import render_format

            render_format(self.render)
            _refuse_existing(self.render)

    def rows(self, predictor: Predictor, paths: list[str], topk: int, frame_rate: float | None) -> Iterator[Row]:
        """A row a video, as `stzoo.cli.predict` yields them; the figure is drawn after the row is taken."""
        from stzoo.prediction.timeline import follow
        from stzoo.progress import counting

        window, hop = self.lengths
        for path in paths:
            try:
                with counting(Path(path).name, 1, unit="windows", show=sys.stderr.isatty()) as bar:
                    found = follow(
                        path,
                        predictor.contract,
                        predictor.labels,
                        predictor.scores_of,
                        window_seconds=window,
                        hop_seconds=hop,
                        frame_rate=frame_rate,
                        advance=bar.reach,
                    )
            except (VideoError, UsageError) as error:
                click.echo(f"Error: {error}", err=True)
                yield {"path": path, "error": str(error)}
                continue
            for sentence in found.warnings:
                click.echo(f"Warning: {sentence}", err=True)
            yield self._row(predictor, found, topk, window, hop)
            if self.figure is not None:
                from stzoo.figures.measurements import timeline_figure

                timeline_figure(found, self.figure, f"{Path(path).name}, {predictor.name}")
            if self.render is not None:
                best = [predictor.best(scores, min(topk, _LABELS_SHOWN)) for scores in found.scores]
                _render(path, self.render, best, found.window_at, frame_rate)

    def rendered(self, rows: Iterator[Row], frame_rate: float | None) -> Iterator[Row]:
        """Rows of whole videos; after the row is taken, its labels are written onto the video where that is asked."""
        for row in rows:
            yield row
            if self.render is not None and "error" not in row:
                best = [(entry["label"], entry["score"]) for entry in row["predictions"][:_LABELS_SHOWN]]
                _render(row["path"], self.render, [best], lambda seconds: 0, frame_rate)

    def _row(self, predictor: Predictor, found: Timeline, topk: int, window: float, hop: float) -> Row:
        return {
            "path": found.path,
            "window_seconds": window,
            "hop_seconds": hop,
            "windows": [
                {
                    "start_seconds": round(start, 6),
                    "end_seconds": round(end, 6),
                    "predictions": [prediction._asdict() for prediction in predictor.best(scores, topk)],
                }
                for (start, end), scores in zip(found.spans_seconds.tolist(), found.scores, strict=True)
            ],
            "captions": [
                caption._replace(
                    start_seconds=round(caption.start_seconds, 6), end_seconds=round(caption.end_seconds, 6)
                )._asdict()
                for caption in found.captions()
            ],
            **about(predictor, found),
        }


def timeline_options(command: Command) -> Command:
    """Adds `--timeline --window --hop --render --figure`; the command gets them as one `OverTime`, `over_time`."""

    @wraps(command)
    def with_over_time(
        *args: Any,
        timeline: bool,
        window: float | None,
        hop: float | None,
        figure: Path | None,
        render: Path | None,
        **options: Any,
    ) -> Any:
        return command(*args, over_time=OverTime(timeline, window, hop, figure, render), **options)

    wrapped: Any = with_over_time
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def timeline_writer(form: str, stream: TextIO, answers: int) -> Writer:
    """The writer of timelines in a format; `answers` are the labels of a window."""
    if form == "csv":
        return TimelineCsv(stream, answers)
    formats: dict[str, type[Writer]] = {"text": TimelineText, "json": Json, "jsonl": JsonLines, "srt": Srt}
    return formats[form](stream)


class TimelineText(Text):
    """The path, and a line for each window: its times, the best label and its score."""

    def answers(self, row: Row) -> list[str]:
        found = []
        for window in row["windows"]:
            best = window["predictions"][0]
            times = f"{window['start_seconds']:8.2f} to {window['end_seconds']:8.2f} s"
            found.append(f"{times}  {100 * best['score']:5.1f} %  {best['label']}")
        return found


class TimelineCsv(Writer):
    """One line a window: path, error, when it begins and ends, labels with scores from the best on."""

    def __init__(self, stream: TextIO, answers: int) -> None:
        super().__init__(stream)
        columns = ["path", "error", "start_seconds", "end_seconds", *ranked_columns(answers)]
        self._table = csv.DictWriter(stream, columns, lineterminator="\n")
        self._table.writeheader()

    def write(self, row: Row) -> None:
        common = {"path": row["path"], "error": row.get("error", "")}
        times = ("start_seconds", "end_seconds")
        for window in row.get("windows", [{"predictions": []}]):
            cells = {name: window[name] for name in times if name in window}
            self._table.writerow(common | cells | ranked_cells(window["predictions"]))
        self._stream.flush()


class Srt(Writer):
    """SubRip subtitles of one video."""

    def write(self, row: Row) -> None:
        from stzoo.prediction.timeline import Caption, srt

        self._stream.write(srt([Caption(**caption) for caption in row.get("captions", [])]))


def _render(
    path: str, output: Path, lines: Sequence[Lines], at: Callable[[float], int], frame_rate: float | None
) -> None:
    """Writes a video with those of the lines on it that `at` says for a time."""
    from stzoo.progress import counting
    from stzoo.video.render import render

    with counting("Rendering", 1, unit="frames", show=sys.stderr.isatty()) as bar:
        left_out = render(path, output, lambda seconds: lines[at(seconds)], frame_rate=frame_rate, advance=bar.reach)
        for sentence in left_out:
            click.echo(f"Warning: {sentence}", err=True)


def _refuse_existing(path: Path) -> None:
    """Raises `UsageError` where a file is in the way; the folder is made."""
    if path.exists():
        raise UsageError(f"{path} exists; choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
