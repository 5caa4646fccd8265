"""How a made dataset comes about in a folder: interrupted and started again it goes on, finished it is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from stzoo.errors import DataError
from stzoo.files import write_json
from stzoo.pool import processes

T = TypeVar("T")
Progress = Callable[[int, int], None]  # clips done, clips in all


def make(
    out: Path,
    about: dict[str, Any],
    groups: Sequence[Sequence[T]],
    film: Callable[[list[T]], int],
    describe: Callable[[], None],
    *,
    workers: int,
    progress: Progress | None,
) -> bool:
    """Makes a set in the folder `out`; False when it was already finished there and nothing was done.

    Args:
        out: a new or empty folder, or one in which this set was interrupted.
        about: the set's name as `dataset`, its seed, and all that decides its files: kept in the folder as NAME.json.
        groups: the clips, in groups that are filmed as one.
        film: films those clips of a group that are not there yet, and returns how many there are then. Where there are
            several workers it runs in processes of its own.
        describe: writes everything beside the videos, once they are there.
        workers: processes that film.
        progress: told how many clips there are, as they are made.

    Raises:
        DataError: `out` holds something else, or a set that is about something else; a number is out of range.
    """
    name = about["dataset"]
    if about["seed"] < 0:
        raise DataError(f"The seed {about['seed']} of the {name} set is negative; give 0 or more.")
    if workers < 1:
        raise DataError(f"{workers} workers cannot make the {name} set; give 1 or more.")
    if is_finished(out, about):
        return False
    (out / "videos").mkdir(parents=True, exist_ok=True)
    for half_written in (out / "videos").glob(".*.tmp"):
        half_written.unlink()
    write_json(_marker(out, about), {**about, "finished": False})
    done, total = 0, sum(map(len, groups))
    if progress is not None:
        progress(done, total)
    for count in _film_all(name, groups, film, workers):
        done += count
        if progress is not None:
            progress(done, total)
    describe()
    write_json(_marker(out, about), {**about, "finished": True})
    return True


def is_finished(out: Path, about: dict[str, Any]) -> bool:
    """Whether this very set is in `out` already. Raises `DataError` for a folder with anything else."""
    name, marker = about["dataset"], _marker(out, about)
    if not out.exists():
        return False
    if not out.is_dir():
        raise DataError(f'The {name} set needs a folder, but "{out}" is a file; name another --out.')
    if not marker.is_file():
        if any(out.iterdir()):
            raise DataError(f'The folder "{out}" holds something else than a {name} set; name an empty or new --out.')
        return False
    try:
        there = json.loads(marker.read_text(encoding="utf-8"))
        finished = bool(there.pop("finished"))
    except (ValueError, KeyError, AttributeError) as error:
        raise DataError(
            f'"{marker}" is not the mark of a {name} set; remove the folder "{out}" and start again.'
        ) from error
    if there != about:
        pairs = ((key, there.get(key), value) for key, value in about.items())
        differing = ", ".join(f"{key} {other} instead of {value}" for key, other, value in pairs if other != value)
        raise DataError(f'The folder "{out}" holds another {name} set ({differing}); name another --out.')
    return finished


def _marker(out: Path, about: dict[str, Any]) -> Path:
    return out / f"{about['dataset']}.json"


def _film_all(name: str, groups: Sequence[Sequence[T]], film: Callable[[list[T]], int], workers: int) -> Iterator[int]:
    lists = [list(group) for group in groups]
    if workers == 1:
        yield from map(film, lists)
        return
    with processes(workers) as pool:
        try:
            yield from pool.map(film, lists)
        except BrokenProcessPool as error:
            raise DataError(
                f"A process that films the {name} set was killed; run the same command again, it goes on from there."
            ) from error
