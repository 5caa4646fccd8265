"""From a model's name, folder or Hub repository to a net that predicts. torch is imported when a net is built."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from stzoo import DEFAULT_MODEL
from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.errors import UsageError
from stzoo.zoo import torchvision, untrained
from stzoo.zoo.reference import Ref, exported_file, find, meaning_of, text_of
from stzoo.zoo.variants import Source, in_torch, shown_strategy
from stzoo.zoo.wishes import Engine, Variant, refuse_contradictions, refuse_for_a_file, refuse_other_kinds

if TYPE_CHECKING:
    from stzoo.bundle.confidence import Confidence
    from stzoo.contract import InputContract
    from stzoo.prediction.answers import Prediction
    from stzoo.prediction.predictor import Predictor
    from stzoo.runtimes import Precision, Runtime, Session
    from stzoo.strategies.strategy import Strategy
    from stzoo.video.given import Channels, VideoLike
    from stzoo.video.video import Video


def list_models(pattern: str = "*") -> list[str]:
    """The zoo's names that match a shell pattern such as `camera-*`, sorted; whether trained or not."""
    return fnmatch.filter(cards.names(), pattern)


def load(
    ref: Ref,
    *,
    revision: str | None = None,
    strategy: Strategy | str | None = None,
    weights: Path | str | None = "default",
    device: str | None = None,
    offline: bool | None = None,
    token: str | None = None,
    namespace: str | None = None,
    calibrate: Path | str | Iterable[Path | str | Video] = (),
    average: int | None = None,
    calibrated: bool = False,
    runtime: Runtime | Literal["auto"] | None = None,
    precision: Precision = "fp32",
    protocol: Mapping[str, Any] = MappingProxyType({}),
    classes: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Predictor:
    """A net in eval mode with everything that prediction needs, from a reference as `find` takes it.

    Args:
        ref: a name of the zoo, a folder, `ORG/NAME` of the Hub, a net of torchvision such as `torchvision:r3d_18`, or
            an ONNX file that stzoo has written.
        revision: a branch, tag or commit of the Hub repository; by default `main`, or what the zoo's card says.
        strategy: another strategy than the bundle's own, itself or by a name such as `s` or `most-probable`; it is
            taken out of the bundle's template. Its batch-norm statistics are those that the bundle stores for it, else
            the template's.
        weights: None builds the net with the weights of initialisation; nothing but its description is needed. A file
            holds those of a net of torchvision, as torchvision would save them.
        device: a torch device such as `cpu` or `cuda:0`; None and `auto` take a GPU if there is one.
        offline: whether only the Hub cache may be used; by default HF_HUB_OFFLINE decides.
        token: the Hub token; by default the one that `hf auth login` stored, or HF_TOKEN.
        namespace: the Hub organisation that serves the zoo's names; by default STZOO_HUB_NAMESPACE.
        calibrate: a video or several, from whose clips the batch-norm statistics are re-estimated.
        average: so many strategies are drawn from the bundle's template, each the same whenever it is drawn, and what
            their nets say is averaged: the spread between them says how sure the template is. Batch-norm statistics are
            as for `strategy`; `stzoo calibrate --average` stores them.
        calibrated: whether scores are those at the temperature that `stzoo calibrate` has stored.
        runtime: `torch`, where `net` is a module, and the default where it is installed; `onnxruntime` or `openvino`,
            which run the bundle's ONNX file or one that is exported into a cache once; `auto` takes the fastest of
            those that can run at once, and is the default without torch and for an ONNX file, which torch cannot run.
        precision: `bf16` is openvino's; `int8` runs the file that `stzoo export --precision int8` put into the bundle.
        protocol: what of the bundle's input contract is to be other, as `InputContract.changed` takes it.
        classes: names of other classes than the model's: a new head for them, not yet trained, takes the place of its
            own, and the rest of the net stays. In torch alone.
        say: is told when the input is another one, and what takes long.

    Raises `ModelNotFoundError`, `BundleError` and `HubError`, each naming what was looked for or the file that is not
    to be trusted; `StrategyError` for a strategy that does not fit; `UsageError` for a runtime, a device or a precision
    that cannot be had; `MissingPackageError` for what only torch can do, where it is not installed.

    Warns `BatchNormWarning` when the batch-norm statistics are a template's, which belong to a mixture of nets.
    """
    from stzoo.runtimes import is_there

    refuse_other_kinds(calibrate, protocol, classes)
    videos = (calibrate,) if isinstance(calibrate, str | Path) else tuple(calibrate)
    variant = Variant(strategy, weights is not None, videos, None if classes is None else tuple(classes), average)
    asked_device = None if device is None else str(device).removesuffix(":0")
    if (file := exported_file(ref)) is not None:
        refuse_for_a_file(file, variant, revision)
        return _exported(file, Engine(runtime or "auto", precision, asked_device), protocol, calibrated, say)
    engine = Engine(runtime or ("torch" if is_there("torch") else "auto"), precision, asked_device)
    refuse_contradictions(variant, engine, calibrated)
    if (foreign := torchvision.named(text_of(ref))) is not None:
        if strategy is not None or average is not None:
            foreign.config.strategy.require_sites()
        if weights is None:
            return _for_classes(untrained.of_config(foreign.config, device, protocol), variant.classes)
    if weights not in ("default", None):
        ref = torchvision.with_weights(text_of(ref), weights)
    meaning = meaning_of(text_of(ref), revision, namespace)
    if not variant.is_trained and meaning.folder is None and meaning.card is not None and meaning.card.net is not None:
        new = untrained.of_card(meaning.card, meaning.card.net, strategy, device, protocol)
        return _for_classes(new, variant.classes)
    location = find(ref, revision=revision, offline=offline, token=token, namespace=namespace, files=bundles.TEXTS)
    bundle = bundles.read(location.folder)
    contract = bundle.contract.changed(**protocol)
    _say_input(contract, bundle.contract, say)
    source = Source(location, bundle, contract, offline, token)
    confidence = source.confidence(average or 1) if calibrated else None
    session = _session(source, variant, engine, say)
    if session is not None:
        return _on_session(source, session, confidence)
    return _for_classes(in_torch(source, variant, device, confidence), variant.classes)


def predict(
    video: VideoLike,
    model: Ref = DEFAULT_MODEL,
    topk: int = 5,
    clips: int | None = None,
    *,
    fps: float | None = None,
    channels: Channels = "rgb",
    device: str | None = None,
) -> list[Prediction]:
    """The `topk` most probable classes of a video, best first, by a model that is loaded for this one call.

    To predict more than once, load the model once: `stzoo.load(model)`, and call its `predict`, whose arguments, errors
    and warnings these are. `model` and `device` are what `stzoo.load` takes; it raises for a model as that does.
    """
    return load(model, device=device).predict(video, topk, clips, fps=fps, channels=channels)


def _say_input(contract: InputContract, made_for: InputContract, say: Callable[[str], None]) -> None:
    if contract != made_for:
        say(f"Input: {contract.text}; the model was made for {made_for.text}")


def _exported(
    path: Path, engine: Engine, protocol: Mapping[str, Any], calibrated: bool, say: Callable[[str], None]
) -> Predictor:
    """An ONNX file that stzoo has written, which says all that prediction needs."""
    from stzoo.prediction.predictor import Predictor
    from stzoo.runtimes import has_gpu, is_there, open_session, refuse_unknown
    from stzoo.runtimes.onnx_file import read

    refuse_unknown(engine.runtime, engine.precision)
    file = read(path)
    if calibrated and file.confidence is None:
        raise UsageError(f"{path} is of a bundle that was not calibrated; calibrate that, and export it again")
    contract = file.contract.changed(**protocol)
    _say_input(contract, file.contract, say)
    runtime = engine.runtime
    if runtime == "auto":
        on_cpu = engine.device != "cuda" and is_there("openvino") and not (engine.device != "cpu" and has_gpu())
        runtime = "openvino" if engine.precision == "bf16" or on_cpu else "onnxruntime"
    precision = file.precision if engine.precision == "fp32" else engine.precision
    session = open_session(runtime, file, engine.device, precision)
    return Predictor(
        session,
        contract,
        file.labels,
        name=file.name or path.stem,
        strategy=file.strategy,
        digest=file.digest,
        confidence=file.confidence if calibrated else None,
    )


def _session(source: Source, variant: Variant, engine: Engine, say: Callable[[str], None]) -> Session | None:
    """The bundle's net on another runtime than torch; None where torch is to run it."""
    from stzoo.export import cached

    if (engine.runtime, engine.precision) == ("torch", "fp32") or not variant.is_stored:
        return None
    source.fetch(bundles.MODEL, *bundles.EXPORTED)
    return cached.session(
        source.location.folder, source.bundle, source.contract, engine.runtime, engine.precision, engine.device, say
    )


def _on_session(source: Source, session: Session, confidence: Confidence | None) -> Predictor:
    from stzoo.prediction.predictor import Predictor

    bundle, digest = source.bundle, bundles.weights_digest(source.location.folder)
    return Predictor(
        session,
        source.contract,
        bundle.labels,
        name=bundle.name,
        strategy=shown_strategy(bundle.strategy),
        digest=digest,
        confidence=confidence,
    )


def _for_classes(predictor: Predictor, classes: tuple[str, ...] | None) -> Predictor:
    """A predictor in torch whose net has a new head, where there are other classes."""
    if classes is None:
        return predictor
    from stzoo.nets import Classifier, renew_head

    assert isinstance(predictor.net, Classifier)
    renew_head(predictor.net, len(classes))
    return replace(predictor, labels=classes, digest="")
