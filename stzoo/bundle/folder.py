"""The folder of a bundle: what `save` writes whole or not at all, and `read` trusts only as far as it has checked.

config.json            format number, backbone, classes, strategy, input contract, versions
model.safetensors      the weights
strategy.json          the strategy alone, for `--strategy`
marginals.json         drop probabilities, and the marginals in both conventions   (optional)
metrics.json           every measured number with protocol, split, n and interval
scores.csv             every sampled strategy with its score                       (optional)
recipe.toml            the recipe as run                                           (optional)
branch-effects.json    what each branch of the template is worth                   (optional)
trained-on.json        fingerprints of the training videos, not published          (optional)
template.safetensors   the template the net was pruned from                        (optional)
statistics/            batch-norm statistics of other strategies, by their digest   (optional)
model.onnx             the net for other runtimes, and the same in int8              (optional)
export.json            how the ONNX files were compared with torch                   (optional)
confidence.json        temperature and thresholds, as `stzoo calibrate` fits them    (optional)
golden.json            a few clips with the net's answers, for whoever runs it elsewhere (optional)
model.int8.golden.json the same with the answers of the net in int8                 (optional)
README.md              the model card, rendered from all this
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from stzoo.bundle import readme, tensors
from stzoo.bundle.reading import locate, read_json, read_text, require
from stzoo.bundle.schema import FORMAT, BranchEffects, Bundle, Config, Result
from stzoo.bundle.tensors import Shape, Storage
from stzoo.card import Card
from stzoo.errors import BundleError, StrategyError
from stzoo.files import replacing, write_json, write_text
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy
from stzoo.validation import problems, shortened

if TYPE_CHECKING:
    from stzoo.bundle.tensors import Array, Arrays

T = TypeVar("T")
Which = Literal["model", "template"]

CONFIG, MODEL, TEMPLATE, README = "config.json", "model.safetensors", "template.safetensors", "README.md"
ONNX, ONNX_INT8, EXPORT = "model.onnx", "model.int8.onnx", "export.json"
EXPORTED = (ONNX, ONNX_INT8, EXPORT)
PICTURES = (".png", ".svg")
EFFECTS_PICTURE = "effects.png"
EFFECTS = "branch-effects.json"
TEXTS = (CONFIG, "strategy.json", "marginals.json", "metrics.json", "scores.csv", "recipe.toml", EFFECTS)
"""The files that `read` reads."""

_NEEDED = (CONFIG, MODEL, "strategy.json", TEMPLATE)
_RESULTS = TypeAdapter(tuple[Result, ...])
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


def read(folder: Path | str) -> Bundle:
    """Reads everything but the weights.

    No file may lie outside the folder, also not through links, but for those of a snapshot in a Hub cache.

    Raises `BundleError` naming the file and the value for anything missing, malformed or contradictory.
    """
    root = Path(folder)
    config = _read_config(root)
    strategy = _parsed(Strategy.from_json, require(root, "strategy.json"))
    if strategy != config.strategy:
        digests = f"{strategy.digest[:12]}, {CONFIG} the one with {config.strategy.digest[:12]}"
        raise BundleError(f"{root / 'strategy.json'} has the strategy with the digest {digests}; they must agree")
    marginals = locate(root, "marginals.json")
    posterior = None if marginals is None else _parsed(_posterior, marginals)
    if posterior is not None and tuple(posterior.drop) != tuple(strategy.units):
        raise BundleError(f"{root / 'marginals.json'} and strategy.json name different sites; they must agree")
    metrics, effects = locate(root, "metrics.json"), locate(root, EFFECTS)
    return Bundle(
        config=config,
        posterior=posterior,
        metrics=() if metrics is None else _parsed(_results, metrics),
        recipe=_optional_text(root, "recipe.toml"),
        scores=_optional_text(root, "scores.csv"),
        effects=None if effects is None else _parsed(partial(_effects, strategy), effects),
    )


def read_weights(folder: Path | str, which: Which = "model") -> Arrays:
    """The arrays of `model.safetensors` or `template.safetensors` by name; floats as float32."""
    return tensors.load(require(Path(folder), f"{which}.safetensors"))


def weight_shapes(folder: Path | str, which: Which = "model") -> dict[str, Shape]:
    """Name and shape of every array, without reading the arrays."""
    return tensors.shapes(require(Path(folder), f"{which}.safetensors"))


def weights_digest(folder: Path | str, which: Which = "model") -> str:
    """SHA-256 of the weights file: what a `Result` names as the model it was measured on."""
    return tensors.digest(require(Path(folder), f"{which}.safetensors"))


def statistics_file(strategy: Strategy) -> str:
    """Where a bundle keeps the batch-norm statistics of a strategy that is not its own."""
    return f"statistics/{strategy.digest}.safetensors"


def read_statistics(folder: Path | str, strategy: Strategy) -> Arrays | None:
    """The batch-norm buffers that were re-estimated for a strategy, by name; None where the bundle has none for it."""
    path = locate(Path(folder), statistics_file(strategy))
    return None if path is None else tensors.load(path)


def is_bundle(folder: Path) -> bool:
    """Whether the folder has a bundle's config.json, whatever that is; `read` takes a plain file alone."""
    return os.path.lexists(folder / CONFIG)


def is_needed(name: str) -> bool:
    """Whether who asks for a file of this name cannot do without it."""
    return name in _NEEDED


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


def _read_config(root: Path) -> Config:
    if not root.is_dir():
        raise BundleError(f"{root} is not a folder; a bundle is a folder with {CONFIG}")
    path = require(root, CONFIG)
    value = read_json(path)
    if not isinstance(value, dict) or "format" not in value:
        raise BundleError(f"{path} has no format number; it was not written by stzoo")
    if type(value["format"]) is not int or value["format"] != FORMAT:
        shown = json.dumps(value["format"])[:40]
        raise BundleError(f"{path} has the format number {shown}, this stzoo reads {FORMAT}; install a newer stzoo")
    try:
        return Config.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise BundleError(f"{path}: {problems(error)}") from error


def _parsed(read_value: Callable[[Any], T], path: Path) -> T:
    """What `read_value` makes of a JSON file; its complaints become `BundleError`s that name the file."""
    try:
        return read_value(read_json(path))
    except (StrategyError, OverflowError) as error:
        raise BundleError(f"{path}: {shortened(str(error), 300)}") from error
    except ValidationError as error:
        raise BundleError(f"{path}: {problems(error)}") from error


def _results(value: Any) -> tuple[Result, ...]:
    return _RESULTS.validate_json(json.dumps(value))


def _posterior(value: Any) -> Posterior:
    """The drop probabilities; the marginals beside them are for people and follow from these."""
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if key != "marginals"}
    return Posterior.from_json(value)


def _effects(strategy: Strategy, value: Any) -> BranchEffects:
    effects = BranchEffects.model_validate_json(json.dumps(value))
    other = next((effect.site for effect in effects.branches if effect.site not in strategy.units), None)
    if other is not None:
        raise StrategyError(f'"{other}" is no site of {strategy.backbone}')
    return effects


def _optional_text(root: Path, name: str) -> str | None:
    path = locate(root, name)
    return None if path is None else read_text(path)
