"""From a model's name, folder or Hub repository to a net that predicts. torch is imported when a net is built."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from stzoo import DEFAULT_MODEL
from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.card import Card, NetDescription
from stzoo.errors import UsageError
from stzoo.zoo import hub
from stzoo.zoo.reference import Ref, find, meaning_of

if TYPE_CHECKING:
    from stzoo.prediction.predictor import Prediction, Predictor
    from stzoo.runtimes import Precision, Runtime
    from stzoo.strategies.strategy import Strategy


class BatchNormWarning(UserWarning):
    """A net runs with batch-norm statistics that are not its own."""


def list_models(pattern: str = "*") -> list[str]:
    """The zoo's names that match a shell pattern such as `camera-*`, sorted; whether trained or not."""
    return fnmatch.filter(cards.names(), pattern)


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
    from stzoo.export import cached
    from stzoo.prediction.predictor import Predictor
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
    meaning = meaning_of(os.fspath(ref), revision, namespace)
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
            hub.fetch(found.repository, (bundles.MODEL, *bundles.EXPORTED), offline=offline, token=token)
        session = cached.session(found.folder, bundle, contract, runtime, precision, device, say)
        if session is not None:
            digest = bundles.weights_digest(found.folder)
            return Predictor(
                session, contract, bundle.labels, name=bundle.name, strategy=bundle.strategy, digest=digest
            )
    from stzoo.bundle import rebuild

    built = rebuild.architecture_of(found.folder, bundle)
    wanted = bundle.strategy if strategy is None else rebuild.fitting_strategy(strategy, built)
    is_own = wanted == bundle.strategy
    if found.repository is not None and weights is not None:
        files = (bundles.MODEL,) if is_own else (bundles.TEMPLATE, bundles.statistics_file(wanted))
        hub.fetch(found.repository, files, offline=offline, token=token)
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


def predict(
    path: Path | str,
    model: Ref = DEFAULT_MODEL,
    topk: int = 5,
    clips: int | None = None,
    *,
    frame_rate: float | None = None,
    device: str | None = None,
) -> list[Prediction]:
    """The `topk` most probable classes of a video, best first, by a model that is loaded for this one call.

    For several videos, load the model once: `stzoo.load(model)`, and call its `predict`, whose arguments, errors and
    warnings these are. `model` and `device` are what `stzoo.load` takes; it raises for a model as that does.
    """
    return load(model, device=device).predict(path, topk, clips, frame_rate=frame_rate)


def _untrained(card: Card, described: NetDescription, strategy: Strategy | str | None, device: str | None) -> Predictor:
    """The net that a card describes, as it is before training; its classes have numbers, since nobody named them."""
    from stzoo.bundle import rebuild
    from stzoo.nets import Architecture
    from stzoo.prediction.predictor import Predictor

    built = Architecture(card.backbone, described.classes, described.options)
    wanted = rebuild.fitting_strategy(described.strategy if strategy is None else strategy, built)
    labels = tuple(f"class {index}" for index in range(described.classes))
    net = rebuild.untrained(built, wanted)
    return Predictor(net, described.input, labels, name=card.name, device=device, strategy=wanted)
