"""Whatever a value says, a reader of Markdown sees that and nothing more."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from stzoo.bundle.markdown import Markdown, code, text

PLACES = ("# {}", "- {}", "- key: {}", "{}", "| head | {} |\n|---|---|\n| cell | {} |")
VALUES = st.text(st.sampled_from("ab1 \\`*_[]()<>|~&#+-=.!:;/'\"\n\téß"), max_size=30)


def parsed(markdown: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)


def kinds(tokens: list[Token]) -> list[str]:
    return [token.type for token in tokens]


@pytest.mark.parametrize("place", PLACES)
@given(value=VALUES)
@example("# heading")
@example("a\n\n## heading")
@example("<script>alert(1)</script>")
@example("![picture](https://example.org/x.png)")
@example("a | b")
@example("--- ")
@example("1. one")
@example("1 #")
@example("&lt;b&gt;")
def test_a_value_is_shown_as_it_stands_wherever_it_stands(place: str, value: str) -> None:
    shown = " ".join(value.split())
    tokens = parsed(place.replace("{}", text(value)))
    assert kinds(tokens) == kinds(parsed(place.replace("{}", "word" if shown else "")))
    for token in tokens:
        assert {child.type for child in token.children or []} <= {"text", "text_special"}
    inline = ["".join(child.content for child in token.children or []) for token in tokens if token.type == "inline"]
    assert inline == [] or inline[-1].removeprefix("key:").strip() == shown


@given(value=VALUES)
@example("`")
@example("a``b")
def test_a_code_span_holds_the_whole_value(value: str) -> None:
    (token,) = [token for token in parsed(f"- {code(value)}, {code('next')}") if token.type == "inline"]
    first, comma, last = token.children or []
    assert (first.type, comma.content, last.type) == ("code_inline", ", ", "code_inline")
    assert first.content.strip() == " ".join(value.split())


def test_markdown_is_left_as_it_is() -> None:
    assert text(Markdown("**bold**")) == "**bold**"
    assert text(code("a*b")) == "`a*b`"
    assert text("densenet_tiny, CPU x86_64, 2.15.0+cu132, re-estimated") == (
        "densenet_tiny, CPU x86_64, 2.15.0+cu132, re-estimated"
    )
