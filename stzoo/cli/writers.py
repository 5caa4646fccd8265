"""Predictions as text, JSON, JSON lines or CSV, one video after the other, and what a file of them holds already."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import rich_click as click

from stzoo.errors import DataError
from stzoo.prediction.rows import VIDEO, Row
from stzoo.terminal.cleaning import clean_line

if TYPE_CHECKING:
    from stzoo.prediction.answers import Prediction
    from stzoo.prediction.predictor import Predictor

_BAR_WIDTH = 30
_SCORED_BY = ("nets", "temperature", "least_score")
"""What a row's model has where scores are those of several nets, or calibrated, and where some are not sure enough."""


class Writer(ABC):
    """Takes rows one by one; a row without predictions has `path` and `error`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @abstractmethod
    def write(self, row: Row) -> None: ...

    def close(self) -> None:  # noqa: B027 (most formats need nothing)
        """Writes what belongs after the last row."""


class Text(Writer):
    """The path and ranked labels for people; errors are left to standard error."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._gap = ""

    def write(self, row: Row) -> None:
        if "error" in row:
            return
        header = click.style(clean_line(click.format_filename(row["path"])), bold=True)
        click.echo(self._gap + "\n".join([header, *self.answers(row)]), file=self._stream)
        self._gap = "\n"

    def answers(self, row: Row) -> list[str]:
        """The lines below the path."""
        predictions = [(entry["label"], entry["score"]) for entry in row["predictions"]]
        ranked = lines(predictions, bars=self._stream.isatty())
        if "spread" in row["predictions"][0]:
            ranked = [
                f"{line}  ± {100 * entry['spread']:.1f}" for line, entry in zip(ranked, row["predictions"], strict=True)
            ]
        return ["  unknown: no label is sure enough", *ranked] if row.get("unknown") else ranked


class Json(Writer):
    """A list with one object a video, valid also when it is closed early."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._before = "[\n"

    def write(self, row: Row) -> None:
        text = json.dumps([row], indent=2)
        self._stream.write(f"{self._before}{text.removeprefix('[').removesuffix(']').strip(chr(10))}")
        self._before = ",\n"

    def close(self) -> None:
        self._stream.write("[]\n" if self._before == "[\n" else "\n]\n")


class JsonLines(Writer):
    """One object a line, each out of the process before the next video is looked at."""

    def write(self, row: Row) -> None:
        self._stream.write(f"{json.dumps(row)}\n")
        self._stream.flush()


class Csv(Writer):
    """One line a video: path, error, labels with scores from the best on, the video, seconds, model and input."""

    def __init__(self, stream: TextIO, answers: int, *, header: bool) -> None:
        super().__init__(stream)
        self._table = csv.DictWriter(stream, columns(answers), lineterminator="\n")
        if header:
            self._table.writeheader()

    def write(self, row: Row) -> None:
        flat: Row = {"path": row["path"], "error": row.get("error", "")}
        if "predictions" in row:
            flat |= ranked_cells(row["predictions"])
            flat |= row["video"] | {f"{name}_seconds": value for name, value in row["seconds"].items()}
            flat |= {"model": row["model"]["name"], "digest": row["model"]["digest"]}
            flat |= {"runtime": row["runtime"]["name"], "precision": row["runtime"]["precision"]}
            flat |= {"contract": json.dumps(row["contract"]), "unknown": row.get("unknown", "")}
            flat |= {name: row["model"].get(name, "") for name in _SCORED_BY}
        self._table.writerow(flat)
        self._stream.flush()


class TimelineText(Text):
    """The path, and a line for each window: its times, the best label and its score."""

    def answers(self, row: Row) -> list[str]:
        answers = []
        for window in row["windows"]:
            best = window["predictions"][0]
            times = f"{window['start_seconds']:8.2f} to {window['end_seconds']:8.2f} s"
            answers.append(f"{times}  {100 * best['score']:5.1f} %  {clean_line(best['label'])}")
        return answers


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


def writer(form: str, stream: TextIO, answers: int, *, timeline: bool = False, header: bool = True) -> Writer:
    """The writer of a format, of rows or of timelines.

    Args:
        form: text, json, jsonl, csv, or srt for timelines.
        stream: what it writes to.
        answers: the labels of a row, or of a window.
        timeline: whether the rows are those of timelines.
        header: whether CSV begins with the names of its columns; that of timelines always does.
    """
    if form == "csv":
        return TimelineCsv(stream, answers) if timeline else Csv(stream, answers, header=header)
    formats: dict[str, type[Writer]] = {"json": Json, "jsonl": JsonLines, "srt": Srt}
    formats["text"] = TimelineText if timeline else Text
    return formats[form](stream)


def complaints(row: Row) -> list[str]:
    """What is said of a row on standard error, a line each."""
    if "error" in row:
        return [f"Error: {clean_line(row['error'])}"]
    return [f"Warning: {clean_line(sentence)}" for sentence in row["warnings"]]


def columns(answers: int) -> list[str]:
    """The head of a CSV file with so many labels a row."""
    return [
        "path",
        "error",
        *ranked_columns(answers),
        *VIDEO,
        "decode_seconds",
        "compute_seconds",
        "model",
        "digest",
        "runtime",
        "precision",
        "contract",
        "unknown",
        *_SCORED_BY,
    ]


def ranked_columns(answers: int) -> list[str]:
    """label1, score1, label2 ..."""
    return [f"{name}{rank}" for rank in range(1, answers + 1) for name in ("label", "score")]


def ranked_cells(predictions: Sequence[Mapping[str, str | float]]) -> Row:
    """The cells below `ranked_columns`."""
    return {f"{name}{rank}": entry[name] for rank, entry in enumerate(predictions, 1) for name in ("label", "score")}


def resumed(
    path: Path, form: str, predictor: Predictor, answers: int, least_score: float | None = None
) -> tuple[set[str], bool]:
    """The paths that a file of results has, and whether one of them is an error; a last line cut short is removed.

    Raises `DataError` for a file of something else, or by another model, with another input or another least score.
    """
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    try:
        text = whole.decode("utf-8", "surrogateescape")
        rows = _csv_rows(text, answers) if form == "csv" else [json.loads(line) for line in text.splitlines()]
        temperature = None if predictor.confidence is None else predictor.confidence.temperature
        made_with = (predictor.nets if predictor.nets > 1 else None, temperature, least_score)
        wanted = (predictor.digest, predictor.precision, predictor.contract.model_dump(mode="json"), made_with)
        for entry in rows:
            if "error" in entry:
                continue
            theirs = tuple(entry["model"].get(name) for name in _SCORED_BY)
            if (entry["model"]["digest"], entry["runtime"]["precision"], entry["contract"], theirs) != wanted:
                raise DataError(
                    f"{path} holds results of another model, precision, input or --min-precision; choose another file"
                )
        paths = {entry["path"] for entry in rows}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{path} does not hold results as {form} with {answers} labels; choose another file") from error
    if whole != content:
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return paths, any("error" in entry for entry in rows)


def _csv_rows(text: str, answers: int) -> list[Row]:
    # Names may hold what `splitlines` takes for the end of a line.
    table = csv.DictReader(io.StringIO(text, newline="\n"), strict=True)
    if text and table.fieldnames != columns(answers):
        raise ValueError("other columns")
    return [
        {"path": flat["path"], "error": flat["error"]}
        if flat["error"]
        else {
            "path": flat["path"],
            "model": {"digest": flat["digest"]} | {name: json.loads(flat[name]) for name in _SCORED_BY if flat[name]},
            "runtime": {"precision": flat["precision"]},
            "contract": json.loads(flat["contract"]),
        }
        for flat in table
    ]


def lines(predictions: Sequence[Prediction | tuple[str, float]], *, bars: bool) -> list[str]:
    """One line a label: rank, probability in percent, label, and a bar for people."""
    width = max(len(label) for label, _ in predictions)
    written = []
    for rank, (label, score) in enumerate(predictions, 1):
        line = f"{rank:3}  {100 * score:5.1f} %  {clean_line(label)}"
        if bars:
            bar = click.style("█" * round(_BAR_WIDTH * score), fg="green" if rank == 1 else "cyan")
            line += f"{' ' * (width - len(label))}  {bar}"
        written.append(line.rstrip())
    return written
