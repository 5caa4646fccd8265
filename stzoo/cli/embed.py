"""`stzoo embed`: what a model makes of videos, as vectors in one file."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.cli.inputs import videos as videos_of
from stzoo.cli.options import frame_rate_option, loaded, model_option, protocol_options, runtime_options, workers_option
from stzoo.errors import DataError, UsageError, VideoError
from stzoo.terminal.cleaning import clean_line

if TYPE_CHECKING:
    from stzoo.prediction.predictor import Predictor
    from stzoo.prediction.vectors import Vectors
    from stzoo.video.video import Video

_SAVE_SECONDS = 30.0


@click.command()
@click.pass_context
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|- ...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write there, as .npz or .parquet. A file that exists is not replaced.",
)
@model_option
@protocol_options
@frame_rate_option
@click.option("--resume", is_flag=True, help="Go on with FILE: skip the videos that it has.")
@workers_option
@runtime_options
def embed(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    output: Path,
    model: str,
    frame_rate: float | None,
    resume: bool,
    workers: int | None,
    **wishes: Any,
) -> None:
    """Write vectors of videos that are near each other where videos are alike: files, folders, patterns or -.

    A vector is the mean over a video's clips of what enters the model's classifier. FILE has a row a video: its path,
    its vector, and the reason where it has none, which is said on standard error, too; the exit code is 1 then. It is
    saved every half minute, and where the command is stopped.
    """
    from stzoo.prediction.vectors import refuse_suffix, save

    refuse_suffix(output)
    if output.exists() and not resume:
        raise UsageError(f"{output} exists; choose another name for the vectors or go on with it by --resume.")
    videos = videos_of(inputs, frame_rate, resume=resume)
    predictor = loaded(model, **wishes)
    rows = _begun(output, predictor)
    have = set(rows.paths)
    videos = [video for video in videos if str(video.path) not in have]
    wanted = len(have) + len(videos)
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fill(rows, predictor, videos, workers, output)
    except KeyboardInterrupt:
        save(output, rows)
        kept = f"{output} holds {len(rows.paths)} of {wanted} videos"
        click.echo(f"Stopped: {kept}; the same command with --resume goes on.", err=True)
        raise click.Abort from None
    save(output, rows)
    click.echo(f"{output}: {rows.errors.count('')} vectors of {rows.matrix.shape[1]} numbers")
    if any(rows.errors):
        context.exit(VideoError.exit_code)


def _begun(output: Path, predictor: Predictor) -> Vectors:
    """The rows that a file has; none where there is none. Raises `DataError` for those of another model or input."""
    from stzoo.prediction.vectors import Vectors, load

    rows = Vectors.by(predictor)
    if not output.exists():
        return rows
    known = load(output)
    if known.made_with != rows.made_with:
        raise DataError(f"{output} holds vectors of another model, precision or input; choose another file")
    return known


def _fill(rows: Vectors, predictor: Predictor, videos: list[Video], workers: int | None, output: Path) -> None:
    """Adds a row a video; what is wrong with one is said on standard error."""
    from stzoo.prediction.scoring import Failed, embed_files
    from stzoo.prediction.vectors import save
    from stzoo.terminal.progress import counting

    done, saved = len(rows.paths), time.monotonic()
    shown = len(videos) + done > 1 and sys.stderr.isatty()
    with counting("Embedding", done + len(videos), unit="videos", completed=done, show=shown) as bar:
        say = bar.say if shown else partial(click.echo, err=True)
        for result in embed_files(predictor, videos, workers=workers):
            rows.add(result)
            if isinstance(result, Failed):
                say(f"Error: {clean_line(result.reason)}")
            else:
                for sentence in result.warnings:
                    say(f"Warning: {clean_line(sentence)}")
            if time.monotonic() - saved > _SAVE_SECONDS:
                save(output, rows)
                saved = time.monotonic()
            bar.advance()
