"""Packages of npm that a page needs beside it: got with npm or out of a folder, known by their digests. No torch."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stzoo.errors import ExportError

_MOST_SECONDS = 600
_MOST_BYTES = 64 * 2**20  # of one file


@dataclass(frozen=True)
class Package:
    """A version of a package, the SHA-512 of its archive as npm writes it, and the files that are taken out of it."""

    name: str
    version: str
    sha512: str
    files: Mapping[str, str]
    """Path inside the archive -> name of the copy."""

    @property
    def archive(self) -> str:
        return f"{self.name}-{self.version}.tgz"

    @property
    def wanted(self) -> str:
        return f"{self.name}@{self.version}"


PACKAGES = (
    Package(
        "onnxruntime-web",
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        {
            f"package/dist/{name}": name
            for name in (
                "ort.wasm.min.mjs",
                "ort-wasm-simd-threaded.mjs",
                "ort-wasm-simd-threaded.wasm",
                "ort.webgpu.min.mjs",
                "ort-wasm-simd-threaded.asyncify.mjs",
                "ort-wasm-simd-threaded.asyncify.wasm",
            )
        },
    ),
    Package(
        "mediabunny",
        "1.61.0",
        "WciPOYwKZwgYkoBKcEK6JzzIf+w5whypPzFdOihOylZ/5Qv19FmNfRnTcaprH+jD136YpEASU30Eb6VNCJiz3A==",
        {"package/dist/bundles/mediabunny.min.mjs": "mediabunny.min.mjs", "package/LICENSE": "LICENSE"},
    ),
)


def unpack(folder: Path, archives: Path | None, say: Callable[[str], None]) -> None:
    """Writes the files of each of `PACKAGES` into a folder of its name below `folder`.

    Args:
        folder: what the folders are made in.
        archives: a folder of archives as `npm pack` writes them; None asks npm for them.
        say: is told what takes long.

    Raises:
        ExportError: there is no npm, or it cannot get a package, or an archive is missing or another one.
    """
    with tempfile.TemporaryDirectory() as temporary:
        if archives is None:
            archives = Path(temporary)
            _get(archives, say)
        for package in PACKAGES:
            _unpack_one(package, archives / package.archive, folder / package.name)


def _get(folder: Path, say: Callable[[str], None]) -> None:
    wanted = [package.wanted for package in PACKAGES]
    otherwise = f"give a folder that `npm pack {' '.join(wanted)}` was run in with --packages"
    npm = shutil.which("npm")
    if npm is None:
        raise ExportError(
            f"the page needs {' and '.join(wanted)} of npm, and npm is not here; install it, or {otherwise}"
        )
    say(f"npm gets {' and '.join(wanted)} (35 MB) ...")
    command = [npm, "pack", *wanted, "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_MOST_SECONDS
        )
        reason = next((line for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}")
        failed = done.returncode != 0
    except (subprocess.TimeoutExpired, OSError) as error:
        reason, failed = str(error), True
    if failed:
        raise ExportError(f"npm could not get {' and '.join(wanted)}: {reason.strip()[:300]}; {otherwise}")


def _unpack_one(package: Package, archive: Path, folder: Path) -> None:
    if not archive.is_file():
        raise ExportError(f"there is no {archive}; `npm pack {package.wanted}` writes it")
    with archive.open("rb") as file:
        digest = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode("ascii")
    if digest != package.sha512:
        raise ExportError(f"{archive} is not {package.wanted} as npm has it: its SHA-512 is another; fetch it anew")
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        for inside, name in package.files.items():
            member = tar.extractfile(inside)
            assert member is not None
            (folder / name).write_bytes(member.read(_MOST_BYTES))
