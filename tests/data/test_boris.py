from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.data.boris import Bout, bouts, is_boris
from stzoo.errors import DataError

AGGREGATED = (
    "Observation id\tObservation date\tMedia file name\tTotal length\tSubject\tBehavior\tBehavioral category\t"
    "Modifiers\tBehavior type\tStart (s)\tStop (s)\tDuration (s)"
)
TABULAR = "Observation id,Subject,Behavior,Modifiers,Behavior type,Time,Media file name"
OLDER = "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tModifiers\tStatus"


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def aggregated(behaviour: str, start: str, end: str, *, media: str = "a.mp4", kind: str = "STATE") -> str:
    return f"one\t2026-01-01\t{media}\t60\tA\t{behaviour} \t\t\t{kind}\t{start}\t{end}\t1"


def test_aggregated_events_are_bouts_by_line(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tsv", AGGREGATED, aggregated("walk", "1.5", "4"), aggregated("sit", "4", "9.25"))
    assert is_boris(file.read_text())
    assert bouts(file) == [Bout(2, "a.mp4", 1.5, 4.0, "walk"), Bout(3, "a.mp4", 4.0, 9.25, "sit")]


def test_tabular_events_are_paired_by_subject_and_modifier_whatever_their_order(tmp_path: Path) -> None:
    rows = [
        "one,A,walk,,START,1,a.mp4",
        "one,B,walk,,START,2,a.mp4",
        "one,A,walk,,STOP,3,a.mp4",
        "one,B,walk,,STOP,7,a.mp4",
    ]
    expected = [Bout(2, "a.mp4", 1.0, 3.0, "walk"), Bout(3, "a.mp4", 2.0, 7.0, "walk")]
    assert bouts(written(tmp_path / "a.csv", TABULAR, *rows)) == expected
    upside_down = bouts(written(tmp_path / "b.csv", TABULAR, *reversed(rows)))
    assert [bout[1:] for bout in upside_down] == [bout[1:] for bout in reversed(expected)]


def test_older_tabular_events_have_lines_above_their_header(tmp_path: Path) -> None:
    file = written(
        tmp_path / "a.tsv",
        *("Observation id\tone", "Player #1\ta.mp4", "", OLDER),
        "1.0\ta.mp4\t60\t25\tA\twalk\t\tSTART",
        "2.5\ta.mp4\t60\t25\tA\twalk\t\tSTOP",
    )
    assert bouts(file) == [Bout(5, "a.mp4", 1.0, 2.5, "walk")]


def test_other_tables_are_none_of_its_exports() -> None:
    assert not is_boris("path,start,end,label\na.mp4,1,2,walk\n")
    assert not is_boris("")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([AGGREGATED, aggregated("peck", "1", "1", kind="POINT")], r'1 point events, such as "peck" in line 2'),
        ([AGGREGATED, aggregated("walk", "4", "1")], "line 2 stops at 1 s and starts at 4 s"),
        ([AGGREGATED, aggregated("walk", "x", "1")], r'line 2: "Start \(s\)" is "x"'),
        ([AGGREGATED, aggregated("walk", "nan", "1")], r'line 2: "Start \(s\)" is "nan"'),
        ([AGGREGATED, aggregated("walk", "1", "2", media="")], "line 2 names no video"),
        (
            [AGGREGATED, aggregated("walk", "1", "2"), aggregated("walk", "1", "2", media="b.mp4")],
            '"one" has several videos',
        ),
        ([AGGREGATED], "without a behaviour that starts and stops"),
        ([OLDER, "1\ta.mp4\t60\t25\tA\twalk\t\tSTART"], 'line 2: "walk" starts and never stops'),
        ([OLDER, "1\ta.mp4\t60\t25\tA\twalk\t\tSTOP"], "a STOP of what has not started"),
        ([OLDER, "1\ta.mp4\t60\t25\tA\twalk\t\t"], "no START or STOP"),
    ],
)
def test_what_has_no_start_and_end_in_one_video_is_refused(tmp_path: Path, lines: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        bouts(written(tmp_path / "a.tsv", *lines))
