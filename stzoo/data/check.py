"""What training on a dataset would suffer from: videos and classes missing, broken, doubled or in two splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stzoo.contract import InputContract
from stzoo.data.datasets import Item
from stzoo.data.examine import Finding, examine_all
from stzoo.data.lists import Lists
from stzoo.data.parts import behind_its_video
from stzoo.data.texts import fits_a_line
from stzoo.errors import quoted
from stzoo.files import write_text
from stzoo.video.source import ends_behind
from stzoo.video.video import Video

UNREADABLE = ("missing", "empty", "unreadable", "damaged")
KINDS = (*UNREADABLE, "contradicted", "shared", "doubled", "short")

Findings = dict[Path, Finding]


@dataclass(frozen=True)
class Problem:
    """Something wrong with one entry of one list."""

    split: str
    path: Path
    kind: str
    """One of `KINDS`: short is shorter than a clip; doubled is listed twice, contradicted under several labels; shared
    is in the training list and in another one."""
    reason: str


@dataclass(frozen=True)
class Report:
    """What a check found."""

    videos: dict[str, int]
    """Entries of each list."""
    problems: tuple[Problem, ...]
    """In the order of `KINDS`, the worst first."""
    absent: dict[str, tuple[str, ...]]
    """Split -> classes without a video that can be read whole."""
    good: tuple[Path, ...]
    """The videos to train and measure on: readable as a whole, under one label. What is in the training list and in
    another one is in that one alone."""
    suffers: tuple[str, ...]
    """Why training or measuring on these lists would suffer, in sentences; empty where it would not."""

    def count(self, split: str, kind: str) -> int:
        return sum(problem.split == split and problem.kind == kind for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return {
            "suffers": list(self.suffers),
            "splits": {
                split: {"videos": count, **{kind: self.count(split, kind) for kind in KINDS}}
                | {"classes_without_videos": list(self.absent[split])}
                for split, count in self.videos.items()
            },
            "good": len(self.good),
            "problems": [
                {"split": problem.split, "path": str(problem.path), "kind": problem.kind, "reason": problem.reason}
                for problem in self.problems
            ],
        }


def check(
    lists: Lists,
    contract: InputContract | None,
    training: InputContract | None,
    record: Path,
    *,
    max_broken: float = 0.01,
    workers: int = 1,
    advance: Callable[[int], None] = lambda count: None,
) -> Report:
    """Decodes every video of every list and compares the lists with each other.

    Args:
        lists: classes and videos.
        contract: how long a clip is, of every list but the training list; None where no length is too short.
        training: how long a training clip is.
        record: where findings are kept, so that a stopped check goes on (`stzoo.data.examine.examine_all`).
        max_broken: the largest part of a list that training leaves out as unreadable before it refuses.
        workers: processes.
        advance: told how many videos are done, as they are.

    Raises:
        DataError: the record cannot be written, or another process writes it.
    """
    items = [item for of_split in lists.splits.values() for item in of_split]
    wholes = {item.path: Video(item.video.place, item.frame_rate) for item in items}
    examined = examine_all(wholes.values(), record, workers=workers, advance=advance)
    findings = {item.path: _of_part(examined[wholes[item.path]], item) for item in items}
    problems = sorted(_problems(lists, findings, contract, training), key=lambda problem: KINDS.index(problem.kind))
    whole = {path for path, finding in findings.items() if finding.problem is None}
    absent = {split: _absent(lists.classes, items, whole) for split, items in lists.splits.items()}
    listed = {split: len(items) for split, items in lists.splits.items()}
    suffers = [
        *_suffers(listed, problems, absent["train"], max_broken),
        *_without_rate(lists.splits, findings, contract),
    ]
    good = tuple(sorted(findings.keys() - _bad(lists, problems)))
    return Report(listed, tuple(problems), absent, good, tuple(suffers))


def _of_part(whole: Finding, item: Item) -> Finding:
    """What is found of a part of a video that was decoded as a whole."""
    part = item.video.part
    if part is None or whole.seconds is None or whole.content is None:
        return whole
    start, end = part
    lasts = whole.seconds * whole.frames / max(1, whole.frames - 1)
    if ends_behind(part, lasts):
        reason = f"{behind_its_video(item, lasts)}; correct its times."
        return replace(whole, problem="damaged", reason=reason)
    length = min(end, whole.seconds) - start
    frames = round(whole.frames * length / whole.seconds) if whole.seconds else whole.frames
    return replace(whole, frames=frames, seconds=length, content=f"{whole.content} {start} {end}")


def write_good(file: Path, report: Report, root: Path) -> list[Path]:
    """Writes the good videos, one a line, relative to the dataset's folder: what `[data] good` reads.

    Returns those whose paths cannot stand on a line, with a line break in them or not in UTF-8, and so are not written.
    """
    lines = {
        path: str(path.relative_to(root) if path.is_relative_to(root) else path.absolute()) for path in report.good
    }
    write_text(file, "".join(f"{line}\n" for line in lines.values() if fits_a_line(line)))
    return [path for path, line in lines.items() if not fits_a_line(line)]


def _problems(
    lists: Lists, findings: Findings, contract: InputContract | None, training: InputContract | None
) -> Iterator[Problem]:
    yield from _broken("train", lists.train, findings, training)
    for split, items in lists.tests.items():
        yield from _broken(split, items, findings, contract)
    for split, items in lists.splits.items():
        yield from _doubled(split, items, findings, lists.classes)
    for split, items in lists.tests.items():
        yield from _shared(lists.train, split, items, findings)


def _bad(lists: Lists, problems: list[Problem]) -> set[Path]:
    """The videos that are not to be trained or measured on: of several with one content, one stays."""
    times = Counter(item.path for items in lists.splits.values() for item in items)
    elsewhere = {item.path for items in lists.tests.values() for item in items}
    return {
        problem.path
        for problem in problems
        if problem.kind not in ("short", "doubled", "shared")
        or (problem.kind == "shared" and problem.path not in elsewhere)
        or (problem.kind == "doubled" and times[problem.path] == 1)
    }


def _broken(split: str, items: list[Item], findings: Findings, contract: InputContract | None) -> Iterator[Problem]:
    for item in items:
        finding = findings[item.path]
        if finding.problem is not None:
            yield Problem(split, item.path, finding.problem, finding.reason or "")
        elif item.frames is not None and finding.frames < item.frames:
            reason = f"{item.path} holds {finding.frames} frames, and the list says {item.frames}."
            yield Problem(split, item.path, "damaged", reason)
        elif contract is not None and (too_short := _too_short(finding, contract)):
            yield Problem(split, item.path, "short", f"{item.path} {too_short}.")


def _absent(classes: tuple[str, ...], items: list[Item], whole: Set[Path]) -> tuple[str, ...]:
    """The classes without a video among those that can be read whole."""
    present = {item.label for item in items if item.path in whole}
    return tuple(name for label, name in enumerate(classes) if label not in present)


def _too_short(finding: Finding, contract: InputContract) -> str | None:
    if contract.fps is None:
        wanted = 1 + (contract.frames - 1) * (contract.stride_frames or 1)
        return None if finding.frames >= wanted else f"has {finding.frames} frames, and a clip takes {wanted}"
    if finding.seconds is None:
        return None
    seconds = (contract.frames - 1) / contract.fps
    return None if finding.seconds >= seconds - 1e-6 else f"lasts {finding.seconds:.2f} s, and a clip {seconds:.2f} s"


def _doubled(split: str, items: list[Item], findings: Findings, classes: tuple[str, ...]) -> Iterator[Problem]:
    """Every entry after the first one with the same path or the same content; all of them where labels differ."""
    copies: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        copies[findings[item.path].content or str(item.path)].append(item)
    for same in copies.values():
        first, *others = same
        labels = sorted({item.label for item in same})
        if len(labels) > 1:
            named = ", ".join(f'"{classes[label]}"' for label in labels)
            for item in same:
                yield Problem(
                    split, item.path, "contradicted", f"{item.path}, or a copy, is listed as each of {named}."
                )
        else:
            for item in others:
                what = "is listed twice" if item.path == first.path else f"has the same content as {first.path}"
                yield Problem(split, item.path, "doubled", f"{item.path} {what}.")


def _shared(train: list[Item], split: str, items: list[Item], findings: Findings) -> Iterator[Problem]:
    """Training videos that another list holds too: the same file, the same content, or cut from the same recording."""
    content = {findings[item.path].content or str(item.path): item.path for item in items}
    groups = {item.group: item.path for item in items if item.group is not None}
    for item in train:
        other = content.get(findings[item.path].content or str(item.path))
        if other is not None:
            what = "is" if other == item.path else f"has the content of {other}, which is"
            yield Problem("train", item.path, "shared", f"{item.path} {what} in {split} as well.")
        elif item.group in groups:
            reason = f"{item.path} is cut from the recording of {groups[item.group]}, which is in {split}."
            yield Problem("train", item.path, "shared", reason)


def _suffers(
    videos: dict[str, int], problems: list[Problem], absent: tuple[str, ...], max_broken: float
) -> Iterator[str]:
    for split, listed in videos.items():
        broken = sum(problem.split == split and problem.kind in UNREADABLE for problem in problems)
        if broken > max_broken * listed:
            yield f"{broken} of the {listed} videos of {split} cannot be read whole, more than {max_broken:.1%}."
    if absent:
        yield f"{len(absent)} classes have no training video that can be read whole: {quoted(absent)}."
    for kind, what in (
        ("contradicted", "are listed under several labels"),
        ("shared", "of the training list are in another list as well"),
    ):
        if count := sum(problem.kind == kind for problem in problems):
            yield f"{count} videos {what}."


def _without_rate(splits: dict[str, list[Item]], findings: Findings, contract: InputContract | None) -> Iterator[str]:
    if contract is None or contract.fps is None:
        return
    for split, items in splits.items():
        pictures = sum(findings[item.path].frames > 0 and findings[item.path].seconds is None for item in items)
        if pictures:
            yield (
                f"{pictures} of the {len(items)} videos of {split} are folders of frames, and {contract.fps:g} frames "
                "a second are wanted of them: say how many a second they hold with data.frame_rate."
            )
