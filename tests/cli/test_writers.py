from __future__ import annotations

import json
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from stzoo.cli.writers import columns, lines, writer
from stzoo.prediction.answers import Prediction

PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@settings(max_examples=20)
@given(st.lists(PATHS, max_size=4))
def test_a_closed_list_is_json_however_long(paths: list[str]) -> None:
    rows = [{"path": path, "error": "no [such] file"} for path in paths]
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as stream:
        out = writer("json", stream, 1)
        for row in rows:
            out.write(row)
        out.close()
        stream.seek(0)
        assert stream.read() == json.dumps(rows, indent=2) + "\n"


def test_the_columns_go_with_the_labels() -> None:
    assert columns(2)[:6] == ["path", "error", "label1", "score1", "label2", "score2"]


def test_people_see_bars_that_line_up() -> None:
    found = lines([Prediction("left", 0.5), Prediction("upwards", 0.25), Prediction("no", 0.0)], bars=True)
    starts = [line.index("\x1b") for line in found[:2]]
    assert starts[0] == starts[1]
    assert [line.count("█") for line in found] == [15, 8, 0]


def test_a_label_cannot_begin_a_line_or_steer_the_terminal() -> None:
    assert lines([("a\n  1  99 %  b\x1b[2J\u202e", 0.5)], bars=False) == ["  1   50.0 %  a   1  99 %  b\ufffd[2J\ufffd"]
