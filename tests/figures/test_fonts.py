from __future__ import annotations

import logging
import types
import warnings

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
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    monkeypatch.setattr(font_manager, "findfont", lambda family: "usual.ttf")
    monkeypatch.setattr(fonts, "_letters", lambda path: letters.get(path, frozenset("ab")))
    fonts._fonts.cache_clear()
    try:
        assert fonts.fonts_for("a走る歩") == fonts.Fonts([fonts.FAMILY, "A", "C"], "歩")
    finally:
        fonts._fonts.cache_clear()


def test_a_font_that_was_installed_meanwhile_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = types.SimpleNamespace(ttflist=[types.SimpleNamespace(name="Old", fname="old.ttf")])
    manager.addfont = lambda path: manager.ttflist.append(types.SimpleNamespace(name="New", fname=path))
    monkeypatch.setattr(font_manager, "fontManager", manager)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["old.ttf", "new.ttf"])
    monkeypatch.setattr(font_manager, "findfont", lambda family: "usual.ttf")
    monkeypatch.setattr(fonts, "_letters", lambda path: frozenset("走" if path == "new.ttf" else "a"))
    fonts._fonts.cache_clear()
    try:
        assert fonts.fonts_for("a走") == fonts.Fonts([fonts.FAMILY, "New"], "")
    finally:
        fonts._fonts.cache_clear()
    assert len(manager.ttflist) == 2


def test_drawing_says_nothing_about_fonts(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("matplotlib.font_manager")
    with fonts.quietly():
        log.warning("Failed to find font weight normal")
        warnings.warn("Glyph 36208 missing from font(s) DejaVu Sans.", stacklevel=1)
    assert not caplog.records
    log.warning("again")
    assert caplog.records


def test_a_font_that_cannot_be_read_has_no_letter() -> None:
    assert fonts._letters("nowhere.ttf") == frozenset()
