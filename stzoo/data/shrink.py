"""A dataset written anew with smaller videos, which decode faster: the folder, its lists, and what was left out.

In the new folder a video stands where it stood below the old one, as MP4. Beside the lists is `shrink.jsonl`, the
record of what is done: a command that was stopped goes on, and a video that has changed since is written again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from rich.filesize import decimal

from stzoo.data.lists import Lists, read_lists
from stzoo.data.record import Record, side_by_side, state_of
from stzoo.data.rewriting import Names, rewrite_lists
from stzoo.errors import DataError, StzooError, VideoError, unexpected
from stzoo.recipe import Data
from stzoo.video.shrink import OPTIONS, SHORT_SIDE, shrink
from stzoo.video.video import VIDEO_SUFFIXES, Video

Problem = Literal["missing", "unreadable", "damaged"]

RECORD = "shrink.jsonl"
_OUTSIDE = "outside"  # the folder of videos that are not below the dataset's own
_TRIED = 12  # videos by which the size of all is judged


@dataclass(frozen=True)
class Outcome:
    """What has become of one video."""

    before_bytes: int = 0
    after_bytes: int = 0
    frames: int = 0
    problem: Problem | None = None
    """missing and unreadable: the loader leaves it out, before as after; damaged: what can be decoded is kept."""
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be written where."""

    data: Data
    out: Path
    lists: Lists
    names: Names
    """Of all videos that the lists name, in whatever class they are."""
    videos: tuple[Video, ...]
    """Those that the recipe takes, each once."""
    short_side: int


@dataclass(frozen=True)
class Report:
    """What there is in the end."""

    videos: int
    before_bytes: int
    after_bytes: int
    problems: tuple[Outcome, ...]
    settings: dict[str, str]
    """Key -> value of what a recipe has to be told to run on the new folder, and nothing else."""


class _Job(NamedTuple):
    video: Video
    target: Path
    short_side: int


class Estimate(NamedTuple):
    """What shrinking would take, judged by some of the videos."""

    videos: int
    before_bytes: int
    after_bytes: int
    seconds: float
    tried: int
    free_bytes: int
    """Of the disk that would take it."""


def plan_shrinking(data: Data, out: Path, short_side: int = SHORT_SIDE) -> Plan:
    """Reads the lists; no video is opened.

    Raises:
        DataError: a list cannot be read, or `out` holds something else, or is the dataset's own folder, in it or above.
    """
    root, there = (Path(os.path.realpath(path)) for path in (data.folder, out))
    if there.is_relative_to(root) or root.is_relative_to(there):
        raise DataError(f"{out} and the dataset's folder {data.root} are one in the other; give another --out.")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; give a folder as --out.")
    if out.is_dir() and not (out / RECORD).exists() and any(out.iterdir()):
        raise DataError(f"{out} holds something else; give a new or empty folder as --out.")
    lists = read_lists(data.model_copy(update={"frame_order": "given"}))
    everything = read_lists(data.model_copy(update={"frame_order": "given", "good": None, "leave_out": ()}))
    names = _names(data.folder, (item.video.place for items in everything.splits.values() for item in items))
    videos = {
        item.video.place: Video(item.video.place, item.frame_rate) for items in lists.splits.values() for item in items
    }
    return Plan(data, out, lists, names, tuple(videos.values()), short_side)


def carry_out(plan: Plan, *, workers: int = 1, advance: Callable[[int], None] = lambda count: None) -> Report:
    """Writes what is not there yet, then the lists, and reads these back.

    Args:
        plan: what is to be written.
        workers: processes; a single one is this process.
        advance: told how many videos are done, as they are.

    Raises:
        DataError: another process writes the folder, the disk is full, or the new lists say something else.
        UsageError: a folder of frames whose rate nobody knows.
    """
    jobs = _jobs(plan, plan.out, plan.videos)
    settings = (plan.short_side, *OPTIONS.items())
    states = [state_of(job.video, plan.names[job.video.place], settings) for job in jobs]
    outcomes: dict[_Job, Outcome] = {}
    with Record(plan.out / RECORD, Outcome).opened("shrinks") as (known, add):
        for half_written in plan.out.rglob(".*.tmp"):
            half_written.unlink()
        for job, state in zip(jobs, states, strict=True):
            if state in known and _is_there(job.target, known[state]):
                outcomes[job] = known[state]
        advance(len(outcomes))
        pending = {job: state for job, state in zip(jobs, states, strict=True) if job not in outcomes}
        for job, outcome in side_by_side(_shrunk, list(pending), workers, _crashed):
            add(pending[job], outcome)
            outcomes[job] = outcome
            advance(1)
        told = rewrite_lists(plan.data, plan.out, plan.names)
    told = {"data.root": str(plan.out), **told}
    _refuse_other_lists(plan, told)
    ordered = [outcomes[job] for job in jobs]
    return Report(
        len(ordered),
        sum(outcome.before_bytes for outcome in ordered),
        sum(outcome.after_bytes for outcome in ordered),
        tuple(outcome for outcome in ordered if outcome.problem is not None),
        told,
    )


def estimate(plan: Plan, *, workers: int = 1) -> Estimate:
    """Shrinks some videos, evenly out of all, and throws the result away: how many bytes all would take.

    Raises `UsageError` for a folder of frames whose rate nobody knows.
    """
    size = sum(_size(video) for video in plan.videos)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        jobs = _jobs(plan, Path(folder), plan.videos[:: -(-len(plan.videos) // _TRIED)])
        tried = [outcome for _, outcome in side_by_side(_shrunk, jobs, workers, _crashed)]
    before, after = (sum(getattr(outcome, f"{when}_bytes") for outcome in tried) for when in ("before", "after"))
    share = size / max(before, 1)
    out = plan.out.absolute()
    free = shutil.disk_usage(next(path for path in (out, *out.parents) if path.exists())).free
    seconds = share * (time.monotonic() - began)
    return Estimate(len(plan.videos), size, round(share * after), seconds, len(tried), free)


def _jobs(plan: Plan, out: Path, videos: Sequence[Video]) -> list[_Job]:
    return [_Job(video, out / plan.names[video.place], plan.short_side) for video in videos]


def _names(root: Path, places: Iterable[Path]) -> dict[Path, PurePosixPath]:
    """A name in the new folder for every video, and none outside; no two are the same, whatever their letter case."""
    above = Path(os.path.abspath(root))
    names: dict[Path, PurePosixPath] = {}
    taken: dict[str, Path] = {}
    for place in dict.fromkeys(places):
        there = Path(os.path.abspath(place))
        mark = hashlib.sha256(str(there).encode("utf-8", "surrogateescape")).hexdigest()[:8]
        inside = above in there.parents
        old = there.relative_to(above) if inside else Path(_OUTSIDE, f"{mark}-{there.name}")
        stem = old.stem if old.suffix.lower() in VIDEO_SUFFIXES else old.name
        name = PurePosixPath(old.with_name(f"{stem}.mp4").as_posix())
        if taken.setdefault(str(name).casefold(), there) != there:
            name = name.with_name(f"{stem}-{mark}.mp4")
            taken[str(name).casefold()] = there
        names[place] = name
    return names


def _shrunk(job: _Job) -> Outcome:
    """Writes one video; an empty file where it cannot be read, so that the loader leaves it out as before."""
    video, target, short_side = job
    if not video.exists:
        target.unlink(missing_ok=True)
        return Outcome(problem="missing", reason=f"{video.place} does not exist.")
    try:
        frames, truncated = shrink(video, target, short_side)
    except VideoError as error:
        return _unreadable(job, str(error))
    except StzooError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            free = decimal(shutil.disk_usage(target.parent).free)
            raise DataError(
                f"cannot write {target} ({error.strerror}): its disk has {free} free; make room, and the same command "
                "goes on."
            ) from error
        raise
    except Exception as error:
        return _unreadable(job, unexpected(video.place, error))
    sizes = _size(video), target.stat().st_size
    if truncated:
        reason = f"{video.place} is cut off or damaged: of its frames {frames} can be decoded."
        return Outcome(*sizes, frames, "damaged", reason)
    return Outcome(*sizes, frames)


def _unreadable(job: _Job, reason: str) -> Outcome:
    job.target.parent.mkdir(parents=True, exist_ok=True)
    job.target.write_bytes(b"")
    return Outcome(_size(job.video), problem="unreadable", reason=reason)


def _crashed(job: _Job) -> Outcome:
    return _unreadable(job, f"{job.video.place} makes the decoder crash.")


def _size(video: Video) -> int:
    try:
        return video.size_and_time()[0]
    except (OSError, ValueError):
        return 0


def _is_there(target: Path, outcome: Outcome) -> bool:
    """Whether what was written is still there."""
    if outcome.problem == "missing":
        return not target.exists()
    return target.is_file() and target.stat().st_size == outcome.after_bytes


def _refuse_other_lists(plan: Plan, settings: dict[str, str]) -> None:
    """Raises `DataError` where the lists in the new folder do not name the same videos with the same labels."""
    changes = {key.removeprefix("data."): value for key, value in settings.items()}
    tests = {name: changes.pop(f"tests.{name}", file) for name, file in plan.data.tests.items()}
    changes["frame_order"] = "given"
    lists = read_lists(plan.data.model_copy(update={**changes, "tests": tests}))
    before = sorted(_said(plan.lists, {place: str(name) for place, name in plan.names.items()}))
    after = sorted(_said(lists, {plan.out / name: str(name) for name in plan.names.values()}))
    if lists.classes != plan.lists.classes or before != after:
        differing = [one for one in before if one not in set(after)]
        about = f": {differing[0][1] or 'a missing video'} is another entry there" if differing else ""
        raise DataError(
            f"the lists in {plan.out} say something else than those in {plan.data.root}{about}; train on the old ones."
        )


def _said(lists: Lists, names: Mapping[Path, str]) -> Iterator[tuple[str, ...]]:
    """Split, name, label and all else that is said of each video; no name where there is no video."""
    entries = [(split, item) for split, items in lists.splits.items() for item in items]
    known = [names.get(item.video.place, "") if item.video.exists else "" for _, item in entries]
    first: dict[str, str] = {}
    for name, (_, item) in sorted(zip(known, entries, strict=True), key=lambda entry: entry[0]):
        first.setdefault(item.source, name)
    for name, (split, item) in zip(known, entries, strict=True):
        yield split, name, *map(str, (item.label, item.video.part, item.frames, item.fold, first[item.source]))
