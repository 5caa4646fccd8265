"""What `stzoo predict` does over time: `--timeline`, what is drawn or written of it, and `--render`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from stzoo.cli.rendering import draw_timeline, refuse_existing, refuse_figure, render_answers, render_timeline
from stzoo.cli.writers import complaints
from stzoo.errors import StzooError, UsageError, VideoError, unexpected
from stzoo.prediction.rows import Row, timeline_row

if TYPE_CHECKING:
    from stzoo.prediction.predictor import Predictor
    from stzoo.prediction.scoring import Failed
    from stzoo.prediction.timeline import Timeline
    from stzoo.video.video import Video

Command = TypeVar("Command", bound=Callable[..., Any])

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
    click.option(
        "--live",
        is_flag=True,
        help="Read the video on standard input (-) as it comes, a line a window; cameras and addresses always are.",
    ),
    click.option("--hop", metavar="SECONDS", type=_SECONDS, help=f"How far it moves.  [default: {_HOP_SECONDS:g}]"),
    click.option(
        "--render",
        metavar="FILE",
        type=_PATH,
        help="Write one video with its labels on it (mp4, mov or mkv); with --timeline they change over time.",
    ),
    click.option("--figure", metavar="FILE", type=_PATH, help="Draw the timeline of one video: png, svg or pdf."),
    click.option(
        "--events",
        metavar="FILE",
        type=_PATH,
        help="Merge windows into events: a CSV of path,start,end,label,score, as stzoo finetune reads it.",
    ),
)


@dataclass(frozen=True)
class OverTime:
    """What was asked for beside the labels of whole videos."""

    timeline: bool
    window: float | None
    hop: float | None
    figure: Path | None
    render: Path | None
    live: bool = False
    events: Path | None = None
    clips: int | None = None

    @property
    def lengths(self) -> tuple[float, float]:
        """Seconds of the window, and from one to the next."""
        return self.window or _WINDOW_SECONDS, self.hop or _HOP_SECONDS

    def refuse(self, videos: int, form: str, output: Path | None, *, resume: bool, workers: int | None) -> None:
        """Raises `UsageError` for options that do not go together, before anything takes time."""
        of_timelines = {"--window": self.window, "--hop": self.hop, "--figure": self.figure, "--events": self.events}
        for option, value in of_timelines.items():
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
            if wanted and videos > 1:
                raise UsageError(f"{what} is about one video, and {videos} were given; give one.")
        written = [path for path in (output, self.figure, self.render, self.events) if path is not None]
        if twice := next((path for path in written if written.count(path) > 1), None):
            raise UsageError(f"two of -o, --figure, --render and --events name the same file, {twice}; choose another.")
        if self.events is not None:
            refuse_existing(self.events)
        if self.figure is not None:
            refuse_figure(self.figure)
        if self.render is not None:
            from stzoo.video.render import render_format

            render_format(self.render)
            refuse_existing(self.render)

    def rows(self, predictor: Predictor, videos: Sequence[Video], topk: int) -> Iterator[Row]:
        """A row a video, as `stzoo.cli.predict` yields them; what is drawn is drawn after the row is taken."""
        from stzoo.files import write_text
        from stzoo.prediction.scoring import Failed
        from stzoo.prediction.timeline import events_table

        window, hop = self.lengths
        followed = []
        for video in videos:
            result = _followed(predictor, video, window, hop, self.clips)
            entry = timeline_row(predictor, result, topk, window_seconds=window, hop_seconds=hop)
            for sentence in complaints(entry):
                click.echo(sentence, err=True)
            yield entry
            if isinstance(result, Failed):
                continue
            if self.events is not None:
                followed.append(result)
                write_text(self.events, events_table(followed, self.events.absolute().parent))
            if self.figure is not None:
                draw_timeline(result, self.figure, predictor.name)
            if self.render is not None:
                render_timeline(video, self.render, predictor, result, topk)

    def rendered(self, rows: Iterator[Row], videos: Sequence[Video]) -> Iterator[Row]:
        """Rows of whole videos; after the row is taken, its labels are written onto the video where that is asked."""
        for entry, video in zip(rows, videos, strict=True):
            yield entry
            if self.render is not None and "error" not in entry:
                render_answers(video, self.render, entry)


def timeline_options(command: Command) -> Command:
    """Adds the options from `--timeline` to `--events`; the command gets one `OverTime`, `over_time`."""

    @wraps(command)
    def with_over_time(
        *args: Any,
        timeline: bool,
        window: float | None,
        hop: float | None,
        figure: Path | None,
        render: Path | None,
        live: bool,
        events: Path | None,
        **options: Any,
    ) -> Any:
        over_time = OverTime(timeline, window, hop, figure, render, live, events, options.get("clips"))
        return command(*args, over_time=over_time, **options)

    wrapped: Any = with_over_time
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _followed(
    predictor: Predictor, video: Video, window_seconds: float, hop_seconds: float, clips: int | None
) -> Timeline | Failed:
    """The timeline of a video, or why there is none; a bar is drawn meanwhile."""
    from stzoo.prediction.scoring import Failed
    from stzoo.prediction.timeline import follow
    from stzoo.terminal.progress import counting

    try:
        with counting(video.place.name, 1, unit="windows", show=sys.stderr.isatty()) as bar:
            return follow(
                video,
                predictor.contract,
                predictor.labels,
                predictor.scores_of,
                window_seconds=window_seconds,
                hop_seconds=hop_seconds,
                clips=clips,
                advance=bar.reach,
            )
    except (VideoError, UsageError) as error:
        return Failed(str(video.path), str(error))
    except StzooError:
        raise
    except Exception as error:
        return Failed(str(video.path), unexpected(video.place, error))
