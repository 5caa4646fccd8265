from __future__ import annotations

import pytest

from stzoo.terminal.progress import counting, duration, rate


def test_the_bar_is_on_stderr_with_counts_and_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("Decoding", 3, unit="videos", completed=1) as bar:
        bar.advance()
        bar.say("left out: [red]a.mp4[/red]")
        bar.advance()
    out, err = capsys.readouterr()
    assert out == ""
    for word in ("Decoding", "3/3", "left out: [red]a.mp4[/red]"):
        assert word in err
    assert "/s" not in err, "what was there already has no rate"


@pytest.mark.parametrize(
    ("elapsed", "speed", "text"),
    [
        (9.0, 12.34, "12.3 videos/s"),
        (9.0, 135031.7, "135,032 videos/s"),
        (0.1, 135031.7, ""),
        (9.0, None, ""),
        (9.0, 0.0, ""),
    ],
)
def test_a_rate_is_shown_where_there_is_one(elapsed: float, speed: float | None, text: str) -> None:
    assert rate(speed, elapsed, "videos") == text


def test_the_bar_says_that_batch_norm_comes_before_the_first_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("effects", 3, unit="answers") as bar:
        bar.prepare(2)
    assert "effects: batch norm, batch 2" in capsys.readouterr().err
    with counting("effects", 3, unit="answers") as bar:
        bar.prepare(2)
        bar.prepare(0)
    assert capsys.readouterr().err.splitlines()[-1].startswith("effects ")


def test_a_hidden_bar_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("Decoding", 1, unit="videos", show=False) as bar:
        bar.advance()
        bar.say("nobody hears this")
    assert capsys.readouterr() == ("", "")


def test_no_rate_is_told_before_there_is_one_and_none_of_what_was_done_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with counting("Decoding", 9, unit="videos") as bar:
        bar.skip(9)
    err = capsys.readouterr().err
    assert "9/9" in err
    assert "/s" not in err


def test_slow_steps_are_told_in_seconds() -> None:
    assert rate(0.025, 80.0, "videos") == "40.0 s each"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (60.0, "1 min 0 s"),
        (3599.0, "59 min 59 s"),
        (3600.0, "1 h 0 min"),
        (90061.0, "25 h 1 min"),
    ],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
