"""From a model's name or folder to a net that predicts. torch is imported when a net is built, not before."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.bundle import Bundle
from stzoo.card import Bundled, Card
from stzoo.errors import BundleError, ModelNotFoundError, StzooError, did_you_mean
from stzoo.files import packaged
from stzoo.validation import shortened

if TYPE_CHECKING:
    from torch import nn

    from stzoo.predictor import Predictor

Ref = str | os.PathLike[str]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """A bundle's folder, and the card of the name that led to it, if it was a name."""

    folder: Path
    card: Card | None = None


def list_models(pattern: str = "*") -> list[str]:
    """The zoo's names that match a shell pattern such as `camera-*`, sorted; whether trained or not."""
    return fnmatch.filter(cards.names(), pattern)


def find(ref: Ref) -> Found:
    """The bundle folder that a reference means; nothing in it has been read yet.

    A reference is a name of the zoo, a bundle's folder, or a run's folder. Of a run with several bundles the one whose
    name ends in `-opt` is taken. A name of the zoo comes first: write `./name` for a folder that is called like one.

    Raises `ModelNotFoundError` for an unknown name and for one without weights, `BundleError` for a folder without a
    bundle.
    """
    name = os.fspath(ref)
    known = cards.names()
    if name in known:
        card = cards.named(name)
        return Found(_folder_of(card), card)
    path = Path(name).expanduser()
    if not name or not path.exists():
        raise ModelNotFoundError(
            f'no model and no folder is called "{name}".{did_you_mean(name, known)} `stzoo list` shows every model.'
        )
    if not path.is_dir():
        raise BundleError(f"{path} is a file; give a model's name or a bundle's folder, `stzoo list` shows the names")
    if bundles.is_bundle(path):
        return Found(path)
    return Found(_bundle_of_run(path))


def load(ref: Ref, *, device: str | None = None) -> Predictor:
    """A net in eval mode with everything that prediction needs, from a reference as `find` takes it.

    `device` is a torch device such as `cpu` or `cuda:0`; None and `auto` take a GPU if there is one.

    Raises `ModelNotFoundError` and `BundleError`, each naming what was looked for or the file that is not to be
    trusted.
    """
    from stzoo.predictor import Predictor

    folder = find(ref).folder
    bundle = bundles.read(folder)
    return Predictor(
        build(folder, bundle),
        bundle.contract,
        bundle.labels,
        name=bundle.name,
        device=device,
        strategy=bundle.strategy,
        digest=bundles.weights_digest(folder),
    )


def build(folder: Path, bundle: Bundle) -> nn.Module:
    """The bundle's net on the CPU, in eval mode, with the folder's weights and no others.

    It is laid out without memory first, so a folder whose weights do not fit is refused before anything is allocated.

    Raises `BundleError` naming the arrays that are missing, left over or of another shape.
    """
    import torch

    from stzoo import nets
    from stzoo.nets.blank import without_memory

    config = bundle.config
    try:
        with without_memory():
            net = nets.fixed(config.backbone.name, config.strategy, len(bundle.labels), **config.backbone.options)
    except (StzooError, TypeError, KeyError, ValueError) as error:
        raise BundleError(f"{folder / bundles.CONFIG} does not describe a net of stzoo: {error}") from error
    wanted = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    _refuse_misfits(folder, wanted, bundles.weight_shapes(folder))
    arrays = bundles.read_weights(folder)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=True, assign=True)
    return net.eval()


def _folder_of(card: Card) -> Path:
    if isinstance(card.weights, Bundled):
        folder = packaged("bundled") / card.weights.bundled
        if not bundles.is_bundle(folder):
            raise ModelNotFoundError(
                f'the weights of "{card.name}" are missing from this installation; install it again'
            )
        return folder
    if isinstance(card.weights, str):
        raise ModelNotFoundError(
            f'"{card.name}" has no weights yet, since nobody has trained it on {card.dataset}; train it with '
            "`stzoo train` and load the bundle's folder."
        )
    raise ModelNotFoundError(
        f'the weights of "{card.name}" are in the Hub repository {card.weights.text}, which this version cannot fetch; '
        "download it and load its folder."
    )


def _bundle_of_run(run: Path) -> Path:
    made = sorted(path for path in (run / "bundles").glob("*") if bundles.is_bundle(path))
    if not made:
        raise BundleError(
            f"{run} has neither {bundles.CONFIG} nor finished bundles; give the folder of a bundle or run"
        )
    chosen = made if len(made) == 1 else [path for path in made if path.name.endswith("-opt")]
    if len(chosen) != 1:
        names = ", ".join(str(path) for path in made)
        raise BundleError(f"the run {run} has several bundles, and not one of them alone is -opt; give one of {names}")
    return chosen[0]


def _refuse_misfits(folder: Path, wanted: Mapping[str, Shape], given: Mapping[str, Shape]) -> None:
    problems = []
    missing = [name for name in wanted if name not in given]
    if missing:
        problems.append(f"it lacks {_listing(missing)}")
    extra = [name for name in given if name not in wanted]
    if extra:
        problems.append(f"it has {_listing(extra)} besides")
    misshaped = [
        f"{name!r} of shape {given[name]} in place of {shape}"
        for name, shape in wanted.items()
        if name in given and given[name] != shape
    ]
    if misshaped:
        problems.append(f"it has {', '.join(misshaped[:3])}{_more(misshaped)}")
    if problems:
        raise BundleError(f"{folder / 'model.safetensors'} does not fit its config.json: {'; '.join(problems)}")


def _listing(names: list[str]) -> str:
    return f"{', '.join(shortened(repr(name)) for name in names[:3])}{_more(names)}"


def _more(items: list[str]) -> str:
    return f" and {len(items) - 3} more" if len(items) > 3 else ""
