"""Every error that stzoo raises on purpose. Each carries one sentence: what is wrong, the value, where, what to do.

StzooError               anything below; the command line prints the sentence and exits with `exit_code`
├── UsageError           a call that cannot be meant as written (exit code 2)
├── ContractError        an input contract that contradicts itself
├── StrategyError        a strategy or posterior that is malformed or does not fit its backbone
├── RecipeError          a recipe with one or more problems
├── VideoError           a video that cannot be read
├── DataError            a dataset, list or cache that cannot be used
├── BundleError          a bundle folder that is broken or not to be trusted
├── WeightsError         weights of torchvision that are missing, broken or made for another net
├── ModelNotFoundError   a model name that nobody knows, or that has no weights yet
├── HubError             a Hub that refuses or cannot be reached, or a transfer that failed
├── TrainingError        a run that cannot start or go on
├── ExportError          an export that failed or does not agree with torch
└── MissingPackageError  a package that the call needs and that is not installed
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_MOST_LETTERS = 200  # of what a library says


class StzooError(Exception):
    """Base of all errors that stzoo raises on purpose."""

    exit_code = 1


class UsageError(StzooError):
    """A call that cannot be meant as written."""

    exit_code = 2


class ContractError(StzooError):
    """An input contract that contradicts itself."""


class StrategyError(StzooError):
    """A strategy or posterior that is malformed or does not fit its backbone."""


class RecipeError(StzooError):
    """A recipe with one or more problems, each on its own line."""


class VideoError(StzooError):
    """A video that cannot be read."""


class DataError(StzooError):
    """A dataset, list or cache that cannot be used."""


class BundleError(StzooError):
    """A bundle folder that is broken or not to be trusted."""


class WeightsError(StzooError):
    """Weights of torchvision that are missing, broken or made for another net."""


class ModelNotFoundError(StzooError):
    """A model name that nobody knows, or that has no weights yet."""


class HubError(StzooError):
    """A Hub that refuses or cannot be reached, or a transfer that failed."""


class TrainingError(StzooError):
    """A run that cannot start or go on."""


class ExportError(StzooError):
    """An export that failed or does not agree with torch."""


class MissingPackageError(StzooError):
    """A package that the call needs and that is not installed."""


_NEEDED_FOR = {
    "torch": "nets are built and trained with it",
    "torchvision": "it has the nets and weights that were asked for",
    "matplotlib": "figures are drawn with it",
    "onnxscript": "ONNX files are written with it",
}
"""What an installation of requirements/light.txt does without."""


def require(*packages: str) -> None:
    """Raises `MissingPackageError` for the first that is not installed; none is imported."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise missing(package)


def missing(package: str) -> MissingPackageError:
    """The error about one of the packages that stzoo can do without, with the line that installs it."""
    import importlib.metadata  # takes a while, and mostly nothing is missing

    requirement = package
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        needed = importlib.metadata.requires("stzoo") or []
        requirement = next((text for text in needed if re.match(rf"{package}\b[^-]*$", text)), package)
    return MissingPackageError(
        f"{package} is not installed here, and {_NEEDED_FOR[package]}; install it with `pip install '{requirement}'`"
    )


def may_be_missing(package: str) -> bool:
    """Whether stzoo works without a package, in part."""
    return package in _NEEDED_FOR


def translated(error: ModuleNotFoundError) -> MissingPackageError | None:
    """The error about the package that an import did not find, or None where stzoo cannot do without it."""
    package = (error.name or "").partition(".")[0]
    package = "onnxscript" if package == "onnx_ir" else package
    return missing(package) if may_be_missing(package) else None


def debugging() -> bool:
    """Whether STZOO_DEBUG=1 in the environment asks for tracebacks."""
    return os.environ.get("STZOO_DEBUG", "0") not in ("", "0")


def unexpected(place: Path | str, error: Exception) -> str:
    """The sentence about an error that nobody foresaw while one video was read, so that a list of videos goes on.

    STZOO_DEBUG=1 lets the error itself through: it is raised again.
    """
    if debugging():
        raise error
    what = " ".join(str(error).split())[:_MOST_LETTERS]
    return (
        f"{place} cannot be read because of an unexpected {type(error).__name__}{f' ({what})' if what else ''}; "
        "STZOO_DEBUG=1 in the environment shows where it comes from."
    )


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A leading-space sentence that offers the nearest known word, or nothing where none is as near as `cutoff`."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f' Did you mean "{nearest[0]}"?' if nearest else ""


def quoted(names: Sequence[str], most: int = 5) -> str:
    """The first names in quotation marks, for a sentence, and how many more there are."""
    return listed([f'"{name}"' for name in names], most)


def listed(words: Sequence[str], most: int = 5) -> str:
    """The first words with commas between them, for a sentence, and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
