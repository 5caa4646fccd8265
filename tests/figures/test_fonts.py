from __future__ import annotations

import types

import pytest
from matplotlib import font_manager

from stzoo.figures import fonts


def test_letters_of_the_usual_font_need_no_other() -> None:
    assert fonts.fonts_for("pan left, é – …\n\t") == fonts.Fonts([fonts.FAMILY], "")


def test_what_it_lacks_comes_from_a_font_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [types.SimpleNamespace(name=name, fname=f"{name}.ttf") for name in ("B", "A", "C", "Last Resort X")]
    letters = {"A.ttf": frozenset("走"), "B.ttf": frozenset("x"), "C.ttf": frozenset("走る")}
    manager = types.SimpleNamespace(ttflist=entries)
    monkeypatch.setattr(font_manager, "fontManager", manager)
    monkeypatch.setattr(font_manager, "findfont", lambda family: "usual.ttf")
    monkeypatch.setattr(fonts, "_letters", lambda path: letters.get(path, frozenset("ab")))
    fonts._fonts.cache_clear()
    try:
        assert fonts.fonts_for("a走る歩") == fonts.Fonts([fonts.FAMILY, "A", "C"], "歩")
    finally:
        fonts._fonts.cache_clear()


def test_a_font_that_cannot_be_read_has_no_letter() -> None:
    assert fonts._letters("nowhere.ttf") == frozenset()
