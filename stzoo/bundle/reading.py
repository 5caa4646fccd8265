"""Reads the text and JSON of a folder that nobody vouches for: bounded in size, and never outside the folder."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from stzoo.errors import BundleError
from stzoo.files import stand_in

MOST_TEXT_BYTES = 16 * 2**20
"""The largest JSON, CSV, TOML or Markdown file that is read."""

MOST_WEIGHT_BYTES = 8 * 2**30
"""The largest safetensors file that is read; an ONNX file is smaller by its own rules."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CONTENT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def locate(folder: Path, name: str) -> Path | None:
    """The file `name` of the folder, or None where there is none.

    Raises `BundleError` when it is not a plain file, or a link in it leaves the folder. Only the links of a snapshot in
    a Hub cache do, and only to the contents that the cache keeps under their ids.
    """
    path = folder / name
    try:
        resolved = path.resolve(strict=True)
    except FileNotFoundError:
        if path.is_symlink():
            raise BundleError(f"{path} is a link to a file that does not exist; fetch the bundle again") from None
        return None
    except (OSError, RuntimeError) as error:
        raise BundleError(f"{path} cannot be followed to a file: {error}") from error
    home = folder.resolve()
    if not resolved.is_relative_to(home) and not _is_cached_content(home, resolved):
        raise BundleError(f"{path} leads out of its folder to {resolved}; a bundle's files must lie inside it")
    if not resolved.is_file():
        raise BundleError(f"{path} is not a plain file; a bundle holds {name} as a file")
    return resolved


def _is_cached_content(snapshot: Path, file: Path) -> bool:
    """Whether `snapshot` is `models--ORG--NAME/snapshots/COMMIT` of a Hub cache and `file` a content that it keeps.

    A content stands in `models--ORG--NAME/blobs` under its id, or in `blobs/ID[:2]` of the cache for all repositories.
    """
    if snapshot.parent.name != "snapshots" or not _COMMIT.fullmatch(snapshot.name):
        return False
    repository = snapshot.parents[1]
    if not repository.name.startswith("models--") or not _CONTENT.fullmatch(file.name):
        return False
    return file.parent in (repository / "blobs", repository.parent / "blobs" / file.name[:2])


def require(folder: Path, name: str) -> Path:
    """The file `name` of the folder, as `locate` does; raises `BundleError` where there is none."""
    path = locate(folder, name)
    if path is None:
        raise BundleError(f"{folder} lacks {name}; a bundle is a folder that `stzoo train` has written")
    return path


def most_bytes(name: str) -> int:
    """How large a bundle's file of this name may be."""
    return MOST_WEIGHT_BYTES if name.endswith((".safetensors", ".onnx")) else MOST_TEXT_BYTES


def read_text(path: Path) -> str:
    """The UTF-8 text of a file of at most `MOST_TEXT_BYTES`."""
    try:
        size = path.stat().st_size
        if size > MOST_TEXT_BYTES:
            raise BundleError(f"{path} has {size} bytes; at most {MOST_TEXT_BYTES} are read")
        text = path.read_text(encoding="utf-8")
        if text and (what := stand_in(path)):
            raise BundleError(f"{path} {what}")
        return text
    except UnicodeDecodeError as error:
        raise BundleError(
            f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
        ) from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error


def parse_json(text: str, source: Path) -> Any:
    """JSON without NaN, infinities, duplicate keys or absurd depth. Raises `BundleError` naming the file."""

    def refuse_constant(word: str) -> NoReturn:
        raise BundleError(f"{source} holds the number {word}; only finite numbers are allowed")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for index, key in enumerate(keys) if key in keys[:index])
            raise BundleError(f"{source} has the key {twice[:60]!r} twice in one object")
        return value

    def finite(word: str) -> float:
        number = float(word)
        return number if math.isfinite(number) else refuse_constant(word)

    try:
        return json.loads(text, parse_float=finite, parse_constant=refuse_constant, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise BundleError(f"{source} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise BundleError(f"{source} nests its values too deeply to be read") from error
    except ValueError as error:
        raise BundleError(f"{source} holds a number that is too long to be read") from error


def read_json(path: Path) -> Any:
    """The value of a JSON file, read as `read_text` and `parse_json` do."""
    text = read_text(path)
    if not text:
        raise BundleError(f"{path} is empty, which is not JSON: a copy or a download was cut off; fetch it again")
    return parse_json(text, path)
