from __future__ import annotations

import errno
import pickle
from pathlib import Path

import av.error
import pytest

from stzoo.files import replacing, slug, stand_in


@pytest.mark.parametrize(
    ("text", "kept", "name"),
    [
        ("Something-Something V1", "A-Za-z0-9._-", "Something-Something-V1"),
        ("my videos, 2nd try", "a-z0-9", "my-videos-2nd-try"),
        ("../up", "A-Za-z0-9._-", "up"),
        ("???", "a-z", "nothing"),
    ],
)
def test_a_text_becomes_the_name_of_a_file(text: str, kept: str, name: str) -> None:
    assert slug(text, kept, otherwise="nothing") == name


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "`git lfs pull`"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"{}", None),
    ],
)
def test_what_stands_in_the_place_of_a_file_is_named(content: bytes, words: str | None, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    what = stand_in(tmp_path / "file")
    assert what is None if words is None else what is not None and words in what


@pytest.mark.parametrize("named", [False, True])
def test_a_full_disk_is_named_by_the_file_that_was_to_be_written(tmp_path: Path, named: bool) -> None:
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "a.json") as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", *([str(temporary)] if named else []))
    assert caught.value.filename == str(tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_of_ffmpegs_is_named_too_and_crosses_processes(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "a.mp4") as temporary:
        av.error.err_check(-errno.ENOSPC, str(temporary))
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.errno, error.filename) == (errno.ENOSPC, str(tmp_path / "a.mp4"))


def test_a_folder_that_takes_no_files_is_said_with_the_file_that_was_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / ".a.json.x.tmp"))

    monkeypatch.setattr("stzoo.files.tempfile.mkstemp", read_only)
    with pytest.raises(OSError, match="Read-only") as caught, replacing(tmp_path / "a.json"):
        pass
    assert caught.value.filename == str(tmp_path / "a.json")


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a.json"):
        (tmp_path / "b.json").read_text()
    assert caught.value.filename == str(tmp_path / "b.json")
