from __future__ import annotations

import pytest

from stzoo.progress import counting


def test_the_bar_is_on_stderr_with_counts_and_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("Decoding", 3, unit="videos", completed=1) as bar:
        bar.advance()
        bar.say("left out: [red]a.mp4[/red]")
        bar.advance()
    out, err = capsys.readouterr()
    assert out == ""
    for word in ("Decoding", "3/3", "videos/s", "left out: [red]a.mp4[/red]"):
        assert word in err


def test_a_hidden_bar_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("Decoding", 1, unit="videos", show=False) as bar:
        bar.advance()
        bar.say("nobody hears this")
    assert capsys.readouterr() == ("", "")
