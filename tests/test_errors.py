from __future__ import annotations

from stzoo.errors import listed, quoted


def test_the_first_words_are_listed_and_the_others_counted() -> None:
    assert listed(["a", "b"], most=2) == "a, b"
    assert listed(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
    assert listed([]) == ""
    assert quoted(["a", "b", "c"], most=1) == '"a" and 2 more'
