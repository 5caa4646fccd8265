"""Writing a bundle folder: whole or not at all."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from stzoo.bundle import readme, tensors
from stzoo.bundle.folder import (
    CONFIG,
    EFFECTS,
    EFFECTS_PICTURE,
    MODEL,
    PICTURES,
    README,
    TEMPLATE,
    TEXTS,
    is_bundle,
    read,
    statistics_file,
    weights_digest,
)
from stzoo.bundle.schema import BranchEffects, Bundle
from stzoo.bundle.tensors import Storage
from stzoo.card import Card
from stzoo.errors import BundleError
from stzoo.files import replacing, write_json, write_text
from stzoo.strategies.strategy import Strategy

if TYPE_CHECKING:
    from stzoo.bundle.tensors import Array

_OWN = {*TEXTS, MODEL, TEMPLATE, README}


def save(
    folder: Path | str,
    bundle: Bundle,
    weights: Mapping[str, Array],
    template: Mapping[str, Array] | None = None,
    extra_files: Mapping[str, bytes | Path] | None = None,
    *,
    statistics: Mapping[Strategy, Mapping[str, Array]] | None = None,
    storage: Storage = "float32",
    card: Card | None = None,
    replace: bool = False,
) -> Path:
    """Writes a bundle folder; a reader sees all of it or nothing.

    `extra_files` are further files by their name in the folder, such as `figures/marginals.png`. `statistics` are the
    re-estimated batch-norm buffers of further strategies of the template. `card` lends title and prose to the README.
    With `replace`, a bundle that stands there already makes way.

    Raises `BundleError` when the folder exists (no bundle, or `replace` is not given) or a value cannot be stored.
    """
    target = Path(folder)
    _refuse_occupied(target, replace)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
    try:
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        tensors.store(temporary / MODEL, weights, storage)
        if template is not None:
            tensors.store(temporary / TEMPLATE, template, storage)
        for strategy, buffers in (statistics or {}).items():
            path = temporary / statistics_file(strategy)
            path.parent.mkdir(exist_ok=True)
            tensors.store(path, buffers)
        _write_values(temporary, bundle)
        for name, content in (extra_files or {}).items():
            _write_extra(temporary, name, content)
        describe(temporary, bundle, card)
        _swap(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def describe(folder: Path, bundle: Bundle, card: Card | None) -> None:
    """Writes the README.md of a folder that has everything else."""
    parameters = tensors.parameter_count(tensors.shapes(folder / MODEL))
    pictures = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in PICTURES)
    write_text(folder / README, readme.render(bundle, card, parameters, pictures))


def add_effects(folder: Path, effects: BranchEffects, picture: bytes, card: Card | None) -> None:
    """Puts effects of its template, with their picture, into a bundle.

    Raises `BundleError` for those of another template than the bundle carries.
    """
    if (folder / TEMPLATE).exists() and effects.template_digest != weights_digest(folder, "template"):
        raise BundleError(f"the effects are not those of {folder / TEMPLATE}; measure them for this bundle")
    bundle = dataclasses.replace(read(folder), effects=effects)
    write_json(folder / EFFECTS, effects.model_dump(mode="json"))
    with replacing(folder / EFFECTS_PICTURE) as path:
        path.write_bytes(picture)
    describe(folder, bundle, card)


def _write_values(folder: Path, bundle: Bundle) -> None:
    write_json(folder / CONFIG, bundle.config.model_dump(mode="json"))
    write_json(folder / "strategy.json", bundle.strategy.to_json())
    write_json(
        folder / "metrics.json", [result.model_dump(mode="json", exclude_none=True) for result in bundle.metrics]
    )
    if bundle.posterior is not None:
        posterior = bundle.posterior
        if tuple(posterior.drop) != tuple(bundle.strategy.units):
            raise BundleError("posterior and strategy name different sites; give the posterior it was drawn from")
        marginals = {"paper": posterior.marginals("paper"), "linear": posterior.marginals("linear")}
        write_json(folder / "marginals.json", posterior.to_json() | {"marginals": marginals})
    if bundle.recipe is not None:
        write_text(folder / "recipe.toml", bundle.recipe)
    if bundle.scores is not None:
        write_text(folder / "scores.csv", bundle.scores)
    if bundle.effects is not None:
        write_json(folder / EFFECTS, bundle.effects.model_dump(mode="json"))


def _write_extra(folder: Path, name: str, content: bytes | Path) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or name in _OWN:
        raise BundleError(f'the extra file "{name}" cannot be stored; give a name inside the folder that is not taken')
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, target)
    else:
        target.write_bytes(content)


def _refuse_occupied(target: Path, replace: bool) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise BundleError(f"{target} is not a folder; choose another place for the bundle")
    if not target.exists() or not any(target.iterdir()):
        return
    if not is_bundle(target):
        raise BundleError(f"{target} exists and is not a bundle; choose another place for the bundle")
    if not replace:
        raise BundleError(f"{target} exists; choose another place or ask to replace it")


def _swap(temporary: Path, target: Path) -> None:
    """Puts the finished folder in the target's place; the old one is removed once it has moved aside."""
    if not target.exists():
        os.replace(temporary, target)
        return
    aside = temporary.with_suffix(".old")
    os.replace(target, aside)
    try:
        os.replace(temporary, target)
    except OSError:
        os.replace(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
