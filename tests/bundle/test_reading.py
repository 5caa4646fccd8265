from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.bundle import reading
from stzoo.errors import BundleError


def test_a_missing_file_is_none_or_an_error(tmp_path: Path) -> None:
    assert reading.locate(tmp_path, "config.json") is None
    with pytest.raises(BundleError, match=r"lacks config\.json"):
        reading.require(tmp_path, "config.json")


def test_links_may_not_leave_the_folder(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "bundle"
    inside.mkdir()
    outside.write_text("{}")
    (inside / "config.json").symlink_to(outside)
    with pytest.raises(BundleError, match="leads out of its folder"):
        reading.locate(inside, "config.json")
    assert reading.locate(inside, "config.json", within=tmp_path) == outside.resolve()


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "config.json").symlink_to("real.json")
    assert reading.locate(tmp_path, "config.json") == (tmp_path / "real.json").resolve()


def test_dangling_and_circular_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(BundleError, match="does not exist"):
        reading.locate(tmp_path, "dangling")
    with pytest.raises(BundleError, match="circle"):
        reading.locate(tmp_path, "circle")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(BundleError, match="not a plain file"):
        reading.locate(tmp_path, "config.json")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not JSON"),
        (b'{"a": }', "line 1, column 7"),
        (b'"\xff"', "byte 1 is 0xff"),
        (b"[NaN]", "the number NaN"),
        (b"[-Infinity]", "the number -Infinity"),
        (b"[1e999]", "the number 1e999"),
        (b"9" * 5000, "too long"),
        (b"[" * 200_000, "too deeply"),
        (b'{"a": 1, "a": 2}', "'a' twice"),
    ],
)
def test_bad_json_is_refused_with_its_file(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=sentence) as caught:
        reading.read_json(path)
    assert "x.json" in str(caught.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    with path.open("wb") as file:
        file.truncate(reading.MOST_TEXT_BYTES + 1)
    with pytest.raises(BundleError, match="at most"):
        reading.read_json(path)
