"""From a model's name, folder or Hub repository to a net that predicts. torch is imported when a net is built."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo import remote
from stzoo.card import Bundled, Card, Net, OnHub
from stzoo.errors import BundleError, HubError, ModelNotFoundError, UsageError, did_you_mean
from stzoo.files import packaged
from stzoo.remote import Repository, is_repository

if TYPE_CHECKING:
    from stzoo.predictor import Predictor
    from stzoo.runtimes import Precision, Runtime
    from stzoo.strategy import Strategy

Ref = str | os.PathLike[str]

NAMESPACE = "STZOO_HUB_NAMESPACE"
"""The environment variable that names the Hub organisation which serves the zoo's names, when no argument does."""


class BatchNormWarning(UserWarning):
    """A net runs with batch-norm statistics that are not its own."""


@dataclass(frozen=True)
class Found:
    """A bundle's folder, the card of the name that led to it, and the repository that it is a snapshot of, if any."""

    folder: Path
    card: Card | None = None
    repository: Repository | None = None


def list_models(pattern: str = "*") -> list[str]:
    """The zoo's names that match a shell pattern such as `camera-*`, sorted; whether trained or not."""
    return fnmatch.filter(cards.names(), pattern)


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
) -> Found:
    """The bundle folder that a reference means; what the Hub has of it is fetched, and nothing has been read yet.

    A reference is a name of the zoo, a bundle's folder, a run's folder, or a Hub repository `ORG/NAME`; a name or
    repository may end in `@REVISION`. Of a run with several bundles the one whose name ends in `-opt` is taken. A name
    of the zoo comes first, then a folder: write `./name` for a folder that is called like a model.

    `namespace`, or else STZOO_HUB_NAMESPACE, is the Hub organisation that serves every name which is not in the
    package. `files` are fetched from a repository that has them; `revision`, `offline` and `token` as `remote.fetch`
    takes them.

    Raises `ModelNotFoundError` for what does not exist or has no weights yet, `BundleError` for a folder without a
    bundle, `HubError` when the Hub does not deliver.
    """
    meaning = _meant(os.fspath(ref), revision, namespace)
    if meaning.folder is not None:
        folder = meaning.folder
        return Found(folder if bundles.is_bundle(folder) else _bundle_of_run(folder), meaning.card)
    if meaning.repository is None:
        raise _nothing_to_load(os.fspath(ref), meaning.card)
    try:
        folder = remote.fetch(meaning.repository, files, offline=offline, token=token)
    except (HubError, ModelNotFoundError) as error:
        if meaning.card is not None or "/" not in os.fspath(ref) or remote.knows(meaning.repository):
            raise
        raise type(error)(f"{_no_folder(Path(ref))} {error}") from error
    return Found(folder, meaning.card, dataclasses.replace(meaning.repository, revision=folder.name))


def load(
    ref: Ref,
    *,
    revision: str | None = None,
    strategy: Strategy | str | None = None,
    weights: Literal["default"] | None = "default",
    device: str | None = None,
    offline: bool | None = None,
    token: str | None = None,
    namespace: str | None = None,
    calibrate: Path | str | Iterable[Path | str] = (),
    runtime: Runtime | Literal["auto"] = "torch",
    precision: Precision = "fp32",
    protocol: Mapping[str, Any] = MappingProxyType({}),
    say: Callable[[str], None] = lambda _: None,
) -> Predictor:
    """A net in eval mode with everything that prediction needs, from a reference as `find` takes it.

    Args:
        ref: a name of the zoo, a folder, or `ORG/NAME` of the Hub.
        revision: a branch, tag or commit of the Hub repository; by default `main`, or what the zoo's card says.
        strategy: another strategy than the bundle's own, itself or by a name such as `s`; it is taken out of the
            bundle's template. Its batch-norm statistics are those that the bundle stores for it, else the template's.
        weights: None builds the net with the weights of initialisation; nothing but its description is needed.
        device: a torch device such as `cpu` or `cuda:0`; None and `auto` take a GPU if there is one.
        offline: whether only the Hub cache may be used; by default HF_HUB_OFFLINE decides.
        token: the Hub token; by default the one that `hf auth login` stored, or HF_TOKEN.
        namespace: the Hub organisation that serves the zoo's names; by default STZOO_HUB_NAMESPACE.
        calibrate: a video or several, from whose clips the batch-norm statistics are re-estimated.
        runtime: `torch`, where `net` is a module; `onnxruntime` or `openvino`, which run the bundle's ONNX file or one
            that is exported into a cache once; `auto` takes the fastest of those that can run at once.
        precision: `bf16` is openvino's; `int8` runs the file that `stzoo export --precision int8` put into the bundle.
        protocol: what of the bundle's input contract is to be other, as `InputContract.changed` takes it.
        say: is told when the input is another one, and what takes long.

    Raises `ModelNotFoundError`, `BundleError` and `HubError`, each naming what was looked for or the file that is not
    to be trusted; `StrategyError` for a strategy that does not fit; `UsageError` for a runtime, a device or a precision
    that cannot be had.

    Warns `BatchNormWarning` when the batch-norm statistics are a template's, which belong to a mixture of nets.
    """
    from stzoo import exported
    from stzoo.predictor import Predictor
    from stzoo.runtimes import refuse_unknown

    refuse_unknown(runtime, precision)
    videos: list[Path | str] = [calibrate] if isinstance(calibrate, str | Path) else list(calibrate)
    if (runtime not in ("torch", "auto") or precision != "fp32") and (
        weights is None or strategy is not None or videos
    ):
        raise UsageError(
            f"{runtime} in {precision} runs a model as its bundle stores it; leave strategy, weights and calibrate "
            "out, or choose the runtime torch in fp32"
        )
    meaning = _meant(os.fspath(ref), revision, namespace)
    if weights is None and meaning.folder is None and meaning.card is not None and meaning.card.net is not None:
        made = _untrained(meaning.card, meaning.card.net, strategy, device)
        return dataclasses.replace(made, contract=made.contract.changed(**protocol))
    found = find(ref, revision=revision, offline=offline, token=token, namespace=namespace, files=bundles.TEXTS)
    bundle = bundles.read(found.folder)
    contract = bundle.contract.changed(**protocol)
    if contract != bundle.contract:
        say(f"Input: {contract.text}; the model was made for {bundle.contract.text}")
    if (runtime, precision) != ("torch", "fp32") and weights is not None and strategy is None and not videos:
        if found.repository is not None:
            remote.fetch(found.repository, (bundles.MODEL, *bundles.EXPORTED), offline=offline, token=token)
        session = exported.session(found.folder, bundle, contract, runtime, precision, device, say)
        if session is not None:
            digest = bundles.weights_digest(found.folder)
            return Predictor(
                session, contract, bundle.labels, name=bundle.name, strategy=bundle.strategy, digest=digest
            )
    from stzoo import rebuild

    built = rebuild.architecture(found.folder, bundle)
    wanted = bundle.strategy if strategy is None else rebuild.chosen(strategy, built)
    is_own = wanted == bundle.strategy
    if found.repository is not None and weights is not None:
        files = (bundles.MODEL,) if is_own else (bundles.TEMPLATE, bundles.statistics_file(wanted))
        remote.fetch(found.repository, files, offline=offline, token=token)
    if weights is None:
        net = rebuild.untrained(built, wanted)
    elif is_own:
        net = rebuild.build(found.folder, bundle)
    else:
        net, is_normalised = rebuild.from_template(found.folder, bundle, wanted)
        if not is_normalised and not videos:
            warnings.warn(
                f"{bundle.name} stores no batch-norm statistics for this strategy, so the net has the template's, "
                "which belong to a mixture of nets: its accuracy can be far lower; give calibrate= some videos",
                BatchNormWarning,
                stacklevel=2,
            )
    as_stored = weights is not None and is_own and not videos
    made = Predictor(
        net,
        contract,
        bundle.labels,
        name=bundle.name,
        device=device,
        strategy=wanted,
        digest=bundles.weights_digest(found.folder) if as_stored else "",
    )
    if videos:
        rebuild.calibrate(net, videos, contract)
    return made


def _untrained(card: Card, described: Net, strategy: Strategy | str | None, device: str | None) -> Predictor:
    """The net that a card describes, as it is before training; its classes have numbers, since nobody named them."""
    from stzoo import rebuild
    from stzoo.nets import Architecture
    from stzoo.predictor import Predictor

    built = Architecture(card.backbone, described.classes, described.options)
    wanted = rebuild.chosen(described.strategy if strategy is None else strategy, built)
    labels = tuple(f"class {index}" for index in range(described.classes))
    net = rebuild.untrained(built, wanted)
    return Predictor(net, described.input, labels, name=card.name, device=device, strategy=wanted)


@dataclass(frozen=True)
class _Meaning:
    """What a reference means: a folder or a repository, or neither; and the card if it is a name of the zoo."""

    card: Card | None = None
    folder: Path | None = None
    repository: Repository | None = None


def _meant(text: str, revision: str | None, namespace: str | None) -> _Meaning:
    name, _, suffix = text.partition("@")
    namespace = serving(namespace)
    path = Path(text).expanduser()
    if name not in cards.names() and text and path.exists():
        if revision is not None:
            raise UsageError(f"{path} is a folder here and has no revision {revision}; leave the revision out")
        if not path.is_dir():
            raise BundleError(
                f"{path} is a file; give a model's name or a bundle's folder, `stzoo list` shows the names"
            )
        return _Meaning(folder=path)
    if revision is not None and suffix:
        raise UsageError(f'"{text}" has a revision and {revision} is given besides; give one of them')
    asked = revision or suffix or None
    card = cards.named(name) if name in cards.names() else None
    if card is not None and isinstance(card.weights, Bundled):
        if asked is not None:
            raise UsageError(f'"{name}" is in the package and has no revision {asked}; leave the revision out')
        return _Meaning(card, _bundled(card, card.weights))
    if card is not None and namespace is None:
        home = card.weights if isinstance(card.weights, OnHub) else None
        return _Meaning(card, repository=Repository(home.hub, asked or home.revision) if home else None)
    served = f"{namespace}/{name}" if namespace is not None and "/" not in name else name
    return _Meaning(card, repository=Repository(served, asked or remote.MAIN) if is_repository(served) else None)


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
