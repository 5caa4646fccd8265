"""What a reference to a model means: a name of the zoo, a bundle's folder, a run's folder or a Hub repository."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.card import Bundled, Card, OnHub
from stzoo.errors import BundleError, HubError, ModelNotFoundError, UsageError, did_you_mean
from stzoo.files import packaged
from stzoo.zoo import hub, torchvision
from stzoo.zoo.address import as_reference
from stzoo.zoo.hub import Repository, is_repository

Ref = str | os.PathLike[str]

NAMESPACE = "STZOO_HUB_NAMESPACE"
"""The environment variable that names the Hub organisation which serves the zoo's names, when no argument does."""


@dataclass(frozen=True)
class Location:
    """A bundle's folder, the card of the name that led to it, and the repository that it is a snapshot of, if any."""

    folder: Path
    card: Card | None = None
    repository: Repository | None = None


@dataclass(frozen=True)
class Meaning:
    """What a reference means: a folder or a repository, or neither; and the card if it is a name of the zoo."""

    card: Card | None = None
    folder: Path | None = None
    repository: Repository | None = None


def text_of(ref: Ref) -> str:
    """A reference as text. Raises `UsageError` for what is neither that nor a path."""
    value: object = ref
    if not isinstance(value, str | os.PathLike):
        raise UsageError(
            "a model is given by its name, its folder or ORG/NAME of the Hub, and this is of type "
            f"{type(value).__name__}"
        )
    return str(os.fspath(ref))


def serving(namespace: str | None = None) -> str | None:
    """The Hub organisation that serves the zoo's names: the one given, or else STZOO_HUB_NAMESPACE, or none.

    Raises `UsageError` for a name that no organisation has.
    """
    namespace = namespace or os.environ.get(NAMESPACE) or None
    if namespace is not None and not is_repository(f"{namespace}/name"):
        raise UsageError(f'"{namespace}" is not the name of a Hub organisation; check the namespace or {NAMESPACE}')
    return namespace


def find(
    ref: Ref,
    *,
    revision: str | None = None,
    offline: bool | None = None,
    token: str | None = None,
    namespace: str | None = None,
    files: Sequence[str] = (*bundles.TEXTS, bundles.MODEL),
) -> Location:
    """The bundle folder that a reference means; what the Hub has of it is fetched, and nothing has been read yet.

    A reference is a name of the zoo, a bundle's folder, a run's folder, a net of torchvision such as
    `torchvision:r3d_18`, or a Hub repository `ORG/NAME` or its web address; a name or repository may end in
    `@REVISION`. Of a run with several bundles the one whose name ends in `-opt` is taken. A name of the zoo comes
    first, then a folder: write `./name` for a folder that is called like a model.

    `namespace`, or else STZOO_HUB_NAMESPACE, is the Hub organisation that serves every name which is not in the
    package. `files` are fetched from a repository that has them; `revision`, `offline` and `token` as `hub.fetch`
    takes them.

    Raises `ModelNotFoundError` for what does not exist or has no weights yet, `BundleError` for a folder without a
    bundle, `HubError` when the Hub does not deliver, `WeightsError` when torchvision does not.
    """
    if (foreign := torchvision.named(text_of(ref))) is not None:
        _refuse_revision(foreign.reference, revision)
        return Location(torchvision.bundle_of(foreign, offline=offline))
    meaning = meaning_of(text_of(ref), revision, namespace)
    if meaning.folder is not None:
        folder = meaning.folder
        return Location(folder if bundles.is_bundle(folder) else _bundle_of_run(folder), meaning.card)
    if meaning.repository is None:
        raise _nothing_to_load(os.fspath(ref), meaning.card)
    try:
        folder = hub.fetch(meaning.repository, files, offline=offline, token=token)
    except (HubError, ModelNotFoundError) as error:
        if meaning.card is not None or "/" not in os.fspath(ref) or hub.knows(meaning.repository):
            raise
        if "://" in os.fspath(ref):
            raise
        raise type(error)(f"{_no_folder(Path(ref))} {error}") from error
    return Location(folder, meaning.card, dataclasses.replace(meaning.repository, revision=folder.name))


def meaning_of(text: str, revision: str | None = None, namespace: str | None = None) -> Meaning:
    """What a reference means, as `find` takes its arguments; nothing is fetched.

    Raises `UsageError` for a revision of something that has none, or for two; `BundleError` for a file;
    `ModelNotFoundError` when a bundled model is missing from the installation.
    """
    path = Path(os.path.expanduser(text))
    if not (text and path.exists()):
        text = as_reference(text)
    name, _, suffix = text.partition("@")
    namespace = serving(namespace)
    if name not in cards.names() and text and path.exists():
        if revision is not None:
            raise UsageError(f"{path} is a folder here and has no revision {revision}; leave the revision out")
        if not path.is_dir():
            raise BundleError(
                f"{path} is a file; give a model's name or a bundle's folder, `stzoo list` shows the names"
                + ("; an ONNX file is for `stzoo predict`, `stzoo evaluate` and `stzoo.load`" if _is_onnx(path) else "")
            )
        return Meaning(folder=path)
    if revision is not None and suffix:
        raise UsageError(f'"{text}" has a revision and {revision} is given besides; give one of them')
    asked = revision or suffix or None
    card = cards.named(name) if name in cards.names() else None
    if card is not None and isinstance(card.weights, Bundled):
        if asked is not None:
            raise UsageError(f'"{name}" is in the package and has no revision {asked}; leave the revision out')
        return Meaning(card, _bundled(card, card.weights))
    if card is not None and namespace is None:
        home = card.weights if isinstance(card.weights, OnHub) else None
        return Meaning(card, repository=Repository(home.hub, asked or home.revision) if home else None)
    served = f"{namespace}/{name}" if namespace is not None and "/" not in name else name
    return Meaning(card, repository=Repository(served, asked or hub.MAIN) if is_repository(served) else None)


def _refuse_revision(name: str, revision: str | None) -> None:
    if revision is not None:
        raise UsageError(f"{name} has no revision {revision}; leave the revision out")


def exported_file(ref: Ref) -> Path | None:
    """The ONNX file that a reference means; None where it is no file with the suffix .onnx, or a name of the zoo."""
    text = text_of(ref)
    path = Path(os.path.expanduser(text))
    return path if text not in cards.names() and _is_onnx(path) and path.is_file() else None


def _is_onnx(path: Path) -> bool:
    return path.suffix.lower() == ".onnx"


def _bundled(card: Card, weights: Bundled) -> Path:
    folder = packaged("bundled") / weights.bundled
    if not bundles.is_bundle(folder):
        raise ModelNotFoundError(f'the weights of "{card.name}" are missing from this installation; install it again')
    return folder


def _nothing_to_load(text: str, card: Card | None) -> ModelNotFoundError:
    if card is None:
        return ModelNotFoundError(
            f'no model and no folder is called "{text}".{did_you_mean(text, cards.names())} '
            "`stzoo list` shows every model."
        )
    return ModelNotFoundError(
        f'"{card.name}" has no weights yet, since nobody has trained it on {card.dataset}; build the net with '
        f'stzoo.load("{card.name}", weights=None), or {_training(card)} and load the bundle\'s folder; '
        f"{NAMESPACE} names a Hub organisation that has trained it."
    )


def _no_folder(path: Path) -> str:
    """Says first that a path is no folder here either, and which of its siblings is most like it."""
    siblings = [sibling.name for sibling in path.parent.glob("*") if sibling.is_dir()]
    return f"there is no folder {path} here.{did_you_mean(path.name, siblings)} As a Hub repository:"


def _training(card: Card) -> str:
    """How to train a card's net: by the recipe of its name, in which `-opt` is left out."""
    recipe = card.name.removesuffix("-opt")
    is_there = (packaged("recipes") / f"{recipe}.toml").is_file()
    return f"train it with `stzoo train {recipe}`" if is_there else "write a recipe, run it with `stzoo train`"


def _bundle_of_run(run: Path) -> Path:
    folders = sorted(path for path in (run / "bundles").glob("*") if bundles.is_bundle(path))
    if not folders:
        raise BundleError(
            f"{run} has neither {bundles.CONFIG} nor finished bundles; give the folder of a bundle or run"
        )
    best = folders if len(folders) == 1 else [path for path in folders if path.name.endswith("-opt")]
    if len(best) != 1:
        names = ", ".join(str(path) for path in folders)
        raise BundleError(f"the run {run} has several bundles, and not one of them alone is -opt; give one of {names}")
    return best[0]
