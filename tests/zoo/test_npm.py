from __future__ import annotations

import base64
import hashlib
import tarfile
from pathlib import Path

import pytest

from stzoo.errors import ExportError
from stzoo.zoo import npm
from stzoo.zoo.npm import Package


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of small archives, which are those of the packages from now on."""
    folder = tmp_path / "archives"
    folder.mkdir()
    packages = []
    for real in npm.PACKAGES:
        source = tmp_path / real.name
        for inside in [*real.files, "package/besides"]:
            path = source / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{real.name} {inside}")
        archive = folder / real.archive
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(source / "package", "package")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        packages.append(Package(real.name, real.version, digest, real.files))
    monkeypatch.setattr(npm, "PACKAGES", tuple(packages))
    return folder


def program(folder: Path, text: str) -> None:
    """An `npm` of which nothing is known but what it does."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "npm").chmod(0o755)


def test_the_files_of_archives_are_unpacked_and_no_others(archives: Path, tmp_path: Path) -> None:
    npm.unpack(tmp_path / "vendor", archives, pytest.fail)
    found = {path.relative_to(tmp_path / "vendor").as_posix() for path in (tmp_path / "vendor").rglob("*.*")}
    assert found >= {"onnxruntime-web/ort.wasm.min.mjs", "mediabunny/mediabunny.min.mjs"}
    assert not any("besides" in name for name in found)
    assert (tmp_path / "vendor/mediabunny/LICENSE").read_text() == "mediabunny package/LICENSE"


def test_npm_is_asked_for_exactly_these_versions(
    archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", f'echo "$@" > {tmp_path}/asked; cp {archives}/*.tgz .')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    said: list[str] = []
    npm.unpack(tmp_path / "vendor", None, said.append)
    assert (tmp_path / "asked").read_text().startswith("pack onnxruntime-web@1.30.0 mediabunny@1.61.0 ")
    assert len(said) == 1
    assert (tmp_path / "vendor/onnxruntime-web/ort.webgpu.min.mjs").is_file()


def test_an_altered_archive_is_refused(archives: Path, tmp_path: Path) -> None:
    with (archives / npm.PACKAGES[0].archive).open("ab") as file:
        file.write(b"more")
    with pytest.raises(ExportError, match=r"is not onnxruntime-web@1.30.0 as npm has it"):
        npm.unpack(tmp_path / "vendor", archives, pytest.fail)


def test_a_missing_archive_is_a_sentence(archives: Path, tmp_path: Path) -> None:
    (archives / npm.PACKAGES[1].archive).unlink()
    with pytest.raises(ExportError, match=r"there is no .*mediabunny-1.61.0.tgz; `npm pack mediabunny@1.61.0` writes"):
        npm.unpack(tmp_path / "vendor", archives, pytest.fail)


def test_without_npm_or_its_registry_a_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ExportError, match="npm is not here; install it, or give a folder"):
        npm.unpack(tmp_path / "vendor", None, pytest.fail)
    program(tmp_path / "bin", "echo 'npm error network unreachable' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(
        ExportError, match=r"could not get onnxruntime-web@1.30.0 .*: npm error network unreachable; give"
    ):
        npm.unpack(tmp_path / "vendor", None, lambda sentence: None)
