"""Reads the text and JSON of a folder that nobody vouches for: bounded in size, and never outside the folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from stzoo.errors import BundleError

MOST_TEXT_BYTES = 16 * 2**20
"""The largest JSON, CSV, TOML or Markdown file that is read."""


def locate(folder: Path, name: str, within: Path | None = None) -> Path | None:
    """The file `name` of the folder, or None where there is none.

    Raises `BundleError` when it is not a plain file, or a link in it leaves `within` (by default the folder itself).
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
    if not resolved.is_relative_to((within or folder).resolve()):
        raise BundleError(f"{path} leads out of its folder to {resolved}; a bundle's files must lie inside it")
    if not resolved.is_file():
        raise BundleError(f"{path} is not a plain file; a bundle holds {name} as a file")
    return resolved


def require(folder: Path, name: str, within: Path | None = None) -> Path:
    """The file `name` of the folder, as `locate` does; raises `BundleError` where there is none."""
    path = locate(folder, name, within)
    if path is None:
        raise BundleError(f"{folder} lacks {name}; a bundle is a folder that `stzoo train` has written")
    return path


def read_text(path: Path) -> str:
    """The UTF-8 text of a file of at most `MOST_TEXT_BYTES`."""
    try:
        size = path.stat().st_size
        if size > MOST_TEXT_BYTES:
            raise BundleError(f"{path} has {size} bytes; at most {MOST_TEXT_BYTES} are read")
        return path.read_text(encoding="utf-8")
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
    return parse_json(read_text(path), path)
