from __future__ import annotations

import pytest

from stzoo.errors import listed, quoted, unexpected


def test_the_first_words_are_listed_and_the_others_counted() -> None:
    assert listed(["a", "b"], most=2) == "a, b"
    assert listed(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
    assert listed([]) == ""
    assert quoted(["a", "b", "c"], most=1) == '"a" and 2 more'


def test_what_nobody_foresaw_is_called_unexpected_or_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STZOO_DEBUG", raising=False)
    sentence = unexpected("a.mp4", KeyError("x\ny" + "z" * 1000))
    assert sentence.startswith("a.mp4 cannot be read because of an unexpected KeyError ('x\\nyzz")
    assert len(sentence) < 400
    assert "unexpected MemoryError; STZOO_DEBUG=1 in the env" in unexpected("a.mp4", MemoryError())
    monkeypatch.setenv("STZOO_DEBUG", "1")
    with pytest.raises(KeyError):
        unexpected("a.mp4", KeyError("x"))
