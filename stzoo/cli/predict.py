"""`stzoo predict`: ranked labels for video files."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import rich_click as click

from stzoo.cli.inputs import videos as videos_of
from stzoo.cli.live import follow, live_place
from stzoo.cli.options import (
    format_option_of,
    frame_rate_option,
    loaded,
    model_option,
    protocol_options,
    runtime_options,
    trust_options,
    weights_option,
    workers_option,
)
from stzoo.cli.timeline import OverTime, timeline_options
from stzoo.cli.writers import complaints, resumed, writer
from stzoo.errors import StzooError, UsageError, VideoError, did_you_mean
from stzoo.prediction.rows import Row, row
from stzoo.terminal.cleaning import trusted
from stzoo.video.video import Video

if TYPE_CHECKING:
    from stzoo.prediction.predictor import Predictor

_FORMATS = ("text", "json", "jsonl", "csv", "srt")
_RESUMABLE = ("jsonl", "csv")


@click.command()
@click.pass_context
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|- ...", nargs=-1, required=True)
@model_option
@weights_option
@protocol_options
@frame_rate_option
@click.option(
    "--topk",
    metavar="K",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many labels, best first; all of them where the model has fewer.",
)
@format_option_of(
    *_FORMATS,
    default=None,
    help="json is a list with one object a video, jsonl one object a line: path and predictions, or path and error; "
    "srt is the subtitles of one timeline.  "
    "[default: what the suffix of -o says, or text]",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write there in place of standard output. A file that exists is not replaced.",
)
@click.option("--resume", is_flag=True, help="Go on with FILE (jsonl or csv): skip the videos that it has.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first file that cannot be read.")
@trust_options
@click.option(
    "--min-precision",
    metavar="SHARE",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Say that a video is unknown unless answers as sure as this one are right so often, such as 0.95; of a model "
    "that `stzoo calibrate` has calibrated.",
)
@timeline_options
@workers_option
@runtime_options
def predict(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    model: str,
    topk: int,
    format_: str | None,
    output: Path | None,
    resume: bool,
    fail_fast: bool,
    workers: int | None,
    frame_rate: float | None,
    min_precision: float | None,
    calibrated: bool,
    over_time: OverTime,
    **wishes: Any,
) -> None:
    """Say what happens in videos: files, folders with all that is in them, patterns, or standard input (-).

    Standard input is a video, or a list of paths, one a line. With --timeline --format jsonl an input may be a camera
    (/dev/video0) or an address (rtsp://, http://): it is followed as it comes, and opened again where it breaks off.

    A file that cannot be read is named on standard error, the others are predicted all the same, and the exit code is
    1. A file that is cut off is predicted from what can be decoded, with a warning on standard error.
    """
    form = format_ or _form(output)
    _refuse(output, form, resume)
    if min_precision is not None and over_time.timeline:
        raise UsageError("--min-precision is about whole videos; leave it out, or the timeline")
    if (place := live_place(inputs, over_time, form)) is not None:
        over_time.refuse(1, form, output, resume=resume, workers=workers)
        with _opened(output, resume) as stream:
            follow(loaded(model, **wishes, calibrated=calibrated), place, over_time, topk, stream)
        return
    videos = videos_of(inputs, frame_rate, resume=resume)
    over_time.refuse(len(videos), form, output, resume=resume, workers=workers)
    predictor = loaded(model, **wishes, calibrated=calibrated or min_precision is not None)
    least_score = None
    if min_precision is not None and predictor.confidence is not None:
        least_score = predictor.confidence.least_score(min_precision)
    answers = min(topk, len(predictor.labels))
    done, broken = set[str](), False
    if resume and output is not None and output.exists():
        done, broken = resumed(output, form, predictor, answers, least_score)
        videos = [video for video in videos if video.path not in done]
    written = len(done)
    kept = _saying_what_is_kept(output, form, lambda: f"{written} of {len(done) + len(videos)} videos")
    with kept, _opened(output, resume) as stream:
        header = output is None or output.stat().st_size == 0
        shown = len(videos) + len(done) > 1 and sys.stderr.isatty() and not stream.isatty()
        rows = (
            over_time.rows(predictor, videos, topk)
            if over_time.timeline
            else over_time.rendered(
                _rows(predictor, videos, topk, workers, len(done), least_score, shown=shown), videos
            )
        )
        with closing(writer(form, stream, answers, timeline=over_time.timeline, header=header)) as out:
            for entry in rows:
                out.write(entry)
                written += 1
                broken |= "error" in entry
                if fail_fast and "error" in entry:
                    break
    if broken:
        context.exit(VideoError.exit_code)


def _rows(
    predictor: Predictor,
    videos: list[Video],
    topk: int,
    workers: int | None,
    done: int,
    least_score: float | None = None,
    *,
    shown: bool,
) -> Iterator[Row]:
    """A row a video; errors and warnings become lines on standard error."""
    from stzoo.prediction.scoring import score_files
    from stzoo.terminal.progress import counting

    with counting("Predicting", done + len(videos), unit="videos", completed=done, show=shown) as bar:
        say = bar.say if shown else partial(click.echo, err=True)
        for result in score_files(predictor, videos, workers=workers):
            entry = row(predictor, result, topk, least_score=least_score)
            for sentence in complaints(entry):
                say(sentence)
            yield entry
            bar.advance()


@contextmanager
def _saying_what_is_kept(output: Path | None, form: str, kept: Callable[[], str]) -> Iterator[None]:
    """Answers an interrupt or a full disk with what is written so far, and how to go on from there."""
    go_on = (
        "the same command with --resume goes on."
        if form in _RESUMABLE
        else f"begin again; {' and '.join(_RESUMABLE)} could be gone on with (--resume)."
    )
    try:
        yield
    except KeyboardInterrupt:
        if output is None:
            sentence = f"after {kept()}; with -o FILE.jsonl the answers are kept, and --resume goes on with them."
        else:
            sentence = f": {output} holds {kept()}; {go_on}"
        click.echo(f"Stopped{' ' * (output is None)}{sentence}", err=True)
        raise click.Abort from None
    except OSError as error:
        if output is None or error.errno != errno.ENOSPC:
            raise
        held = f" and holds {kept()}" if form in _RESUMABLE else ""
        raise StzooError(f"{output} cannot be written ({error.strerror}){held}; make room, and {go_on}") from error


def _form(output: Path | None) -> str:
    """What the suffix of a file says. Raises `UsageError` for one that was perhaps meant to say something."""
    suffix = output.suffix.lower().removeprefix(".") if output is not None else ""
    if suffix not in _FORMATS and (hint := did_you_mean(suffix, _FORMATS)):
        raise UsageError(f"the suffix of {output} is no format; choose another one, or say --format.{hint}")
    return suffix if suffix in _FORMATS else "text"


def _refuse(output: Path | None, form: str, resume: bool) -> None:
    if resume and (output is None or form not in _RESUMABLE):
        raise UsageError(f"--resume goes on with a file of {' or '.join(_RESUMABLE)}; name it with -o.")
    if not resume and output is not None and output.is_file() and output.stat().st_size > 0:
        go_on = " or go on with it by --resume" if form in _RESUMABLE else ""
        raise UsageError(f"{output} exists; choose another name for the results{go_on}.")


@contextmanager
def _opened(output: Path | None, resume: bool) -> Iterator[TextIO]:
    """The file to write, or standard output."""
    if output is None:
        yield trusted(sys.stdout)  # writers clean what is for people
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("a" if resume else "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        yield stream
