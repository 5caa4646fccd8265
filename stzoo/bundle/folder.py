"""The folder of a bundle: the names of its files, and `read`, which trusts them only as far as it has checked.

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

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from stzoo.bundle import tensors
from stzoo.bundle.reading import locate, read_json, read_text, require
from stzoo.bundle.schema import FORMAT, BranchEffects, Bundle, Config, Result
from stzoo.bundle.tensors import Shape
from stzoo.errors import BundleError, StrategyError
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy
from stzoo.validation import problems, shortened

if TYPE_CHECKING:
    from stzoo.bundle.tensors import Arrays

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
