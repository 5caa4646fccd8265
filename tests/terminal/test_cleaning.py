from __future__ import annotations

import io
import sys

import pytest
import rich_click as click
from rich.text import Text

from stzoo.terminal.cleaning import CleanStream, clean, clean_console, clean_line, cleaned, exact_output, trusted
from stzoo.terminal.progress import counting

HOSTILE = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202egpj.e\u2066f\rg\x08h\u2028i"
HARMLESS = "a�]0;title�b�[2Jc�31md�gpj.e�f�g�h�i"


def test_nothing_that_steers_a_terminal_is_left_and_nothing_else_goes() -> None:
    assert clean(HOSTILE) == HARMLESS
    assert len(clean(HOSTILE)) == len(HOSTILE)
    for text in ("走る é ÿ ∑ – … 👩‍👩‍👧", "two\tcolumns\nand lines", ""):
        assert clean(text) == text
    assert clean_line("a\nError: b\tc") == "a Error: b c"


def test_what_is_printed_within_is_clean_and_what_is_exact_is_not() -> None:
    output, errors = io.TextIOWrapper(io.BytesIO(), "cp1252", "replace"), io.StringIO()
    before, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), output, errors
    try:
        with cleaned():
            click.echo(HOSTILE, err=True)
            sys.stdout.write(f"{HOSTILE}\n")
            clean_console(sys.stderr).print(Text(HOSTILE))
            with counting(HOSTILE, 1, unit="videos") as bar:
                bar.say(HOSTILE)
                bar.advance()
            sys.stdout.flush()
            exact_output()
            sys.stdout.write(HOSTILE + "走\udcff")
            sys.stdout.flush()
        assert (sys.stdout, sys.stderr) == (output, errors)
    finally:
        sys.stdout, sys.stderr = before
    for letter in set(HOSTILE) - set(HARMLESS):
        assert letter not in errors.getvalue()
    text, exact = output.buffer.getvalue().split(b"\n")  # type: ignore[attr-defined]
    assert text == HARMLESS.encode("cp1252", "replace")
    assert exact == (HOSTILE + "走").encode() + b"\xff"


def test_the_stream_below_is_what_programs_and_colours_are_written_to() -> None:
    stream = io.StringIO()
    assert trusted(CleanStream(stream)) is trusted(stream) is stream
    assert not CleanStream(stream).isatty()


def test_a_stream_that_says_it_is_ascii_is_not_gone_round() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", "replace")
    click.echo("é\x9bJ", file=CleanStream(stream))
    stream.flush()
    assert stream.buffer.getvalue() == b"??J\n"  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        CleanStream(stream).write(b"bytes")  # type: ignore[arg-type]
