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


ID = "0123456789abcdef" * 4


def snapshot_with_link(cache: Path, target: str, name: str = f"models--lab--toy/snapshots/{ID[:40]}") -> Path:
    """A snapshot of a Hub cache whose config.json links to a file of the cache."""
    content = cache / target
    content.parent.mkdir(parents=True, exist_ok=True)
    content.write_text("{}")
    snapshot = cache / name
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to(content)
    return snapshot


@pytest.mark.parametrize(
    "target", [f"models--lab--toy/blobs/{ID}", f"models--lab--toy/blobs/{ID[:40]}", f"blobs/01/{ID}"]
)
def test_a_snapshots_links_lead_to_the_contents_of_its_cache(tmp_path: Path, target: str) -> None:
    assert reading.locate(snapshot_with_link(tmp_path, target), "config.json") == (tmp_path / target).resolve()


@pytest.mark.parametrize(
    "target",
    [f"models--lab--other/blobs/{ID}", "models--lab--toy/blobs/secret", f"blobs/99/{ID}", f"{ID}", "token"],
)
def test_a_snapshots_links_lead_nowhere_else(tmp_path: Path, target: str) -> None:
    with pytest.raises(BundleError, match="leads out of its folder"):
        reading.locate(snapshot_with_link(tmp_path, target), "config.json")


@pytest.mark.parametrize(
    "name", ["models--lab--toy/snapshots/main", f"toy/snapshots/{ID[:40]}", f"models--lab--toy/{ID[:40]}"]
)
def test_a_folder_that_is_no_snapshot_has_no_contents_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="leads out of its folder"):
        reading.locate(snapshot_with_link(tmp_path, f"models--lab--toy/blobs/{ID}", name), "config.json")


def test_a_content_that_is_itself_a_link_out_of_the_cache_is_refused(tmp_path: Path) -> None:
    snapshot = snapshot_with_link(tmp_path / "cache", f"models--lab--toy/blobs/{ID}")
    content = tmp_path / "cache" / "models--lab--toy" / "blobs" / ID
    content.unlink()
    (tmp_path / "secret").write_text("{}")
    content.symlink_to(tmp_path / "secret")
    with pytest.raises(BundleError, match="leads out of its folder"):
        reading.locate(snapshot, "config.json")


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
