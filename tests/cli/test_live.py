from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo import cli
from stzoo.files import packaged
from stzoo.video import live
from tests.video.test_live import serving

SAMPLE = packaged("bundled") / "sample.mp4"
MODEL = ("--model", "camera-motion-opt")
LIVE = ("--timeline", "--format", "jsonl", "--topk", "1", *MODEL)


def run(*words: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli.main, ["predict", *map(str, words)], prog_name="stzoo", input=given)


def test_a_pipe_and_an_address_give_a_line_a_window_as_the_file_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = json.loads(run(SAMPLE, "--timeline", "--format", "json", "--topk", 1, *MODEL).stdout)
    content = SAMPLE.read_bytes()
    piped = run("-", "--live", *LIVE, given=content)
    assert piped.exit_code == 0, piped.output
    lines = [json.loads(line) for line in piped.stdout.splitlines()]
    assert [{"path": "-", **window} for window in row["windows"]] == lines
    monkeypatch.setattr(live, "_MOST_TRIES", 1)
    with serving(content, sized=True) as address:
        found = run(address, *LIVE, "-o", tmp_path / "out.jsonl")
    assert found.exit_code == 0, found.output
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert written == [{"path": address, **window} for window in row["windows"]]


def test_an_address_that_answers_nothing_is_one_sentence() -> None:
    with serving() as address:
        result = run(address, *LIVE)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {address} cannot be opened as a video")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rtsp://camera/1", "--timeline"], "add --format jsonl"),
        (["rtsp://camera/1", "a.mp4", *LIVE], "give one."),
        (["a.mp4", "--live", *LIVE], "give one."),
        (["-", "--live", "--format", "jsonl"], "add --timeline"),
        (["-", "--live", *LIVE, "--render", "b.mp4"], "has no end to draw"),
        (["rtsp://camera/1", *LIVE, "--events", "e.csv"], "leave --figure, --render and --events out"),
        (["rtsp://camera/1"], "is an address on the web"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], sentence: str) -> None:
    result = run(*words)
    assert result.exit_code in (1, 2)
    assert sentence in result.stderr
