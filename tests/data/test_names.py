from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from stzoo.data.names import normal, on_disk, spellings

FORMS = ("NFC", "NFD")


def test_spellings_are_those_of_one_name() -> None:
    composed, taken_apart = (unicodedata.normalize(form, "thé") for form in FORMS)
    assert normal(taken_apart) == normal(composed) == composed
    assert spellings(composed) == (composed, taken_apart)
    assert spellings("tea") == ("tea",)


@pytest.mark.parametrize("form", FORMS)
def test_a_path_is_found_in_any_spelling(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / unicodedata.normalize(form, "é") / unicodedata.normalize(form, "ü.mp4")
    there.parent.mkdir()
    there.touch()
    for other in FORMS:
        assert on_disk(Path(unicodedata.normalize(other, str(there)))).samefile(there)
    monkeypatch.chdir(tmp_path)
    assert os.path.exists(on_disk(Path("é/ü.mp4")))
    assert on_disk(tmp_path / "é" / "missing") == there.parent / "missing"
    assert on_disk(tmp_path / "no" / "é.mp4") == tmp_path / "no" / "é.mp4"
    assert on_disk(there / "é") == there / "é"
