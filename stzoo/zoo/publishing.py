"""From a bundle to a Hub repository: checked, described, and put there in one commit."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from jaxtyping import Float32

import stzoo
from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.bundle import Bundle, rebuild
from stzoo.bundle import golden as golden_files
from stzoo.bundle.confidence import CONFIDENCE
from stzoo.bundle.golden import GOLDEN, GOLDEN_INT8
from stzoo.bundle.metadata import eval_results
from stzoo.bundle.reading import locate
from stzoo.bundle.readme import render
from stzoo.card import Card
from stzoo.errors import BundleError, UsageError, require
from stzoo.export import cached
from stzoo.export.to_onnx import Clips, compare
from stzoo.figures.strategies import marginals_figure, strategy_figure
from stzoo.files import packaged, write_text
from stzoo.nets.measure import measure
from stzoo.prediction import golden
from stzoo.prediction.predictor import Predictor
from stzoo.runtimes import open_session
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from stzoo.zoo import hub, torchvision
from stzoo.zoo.hub import Repository, Uploaded
from stzoo.zoo.reference import find, text_of

MARGINALS, STRATEGY = "marginals.png", "strategy.png"
"""The card's picture: of the probabilities and the strategy, or of a strategy that was not drawn from any."""

Say = Callable[[str], None]
Logits = Float32[np.ndarray, "clips classes"]


def publish(
    source: Path | str,
    repository: Repository,
    *,
    private: bool = False,
    token: str | None = None,
    say: Say = lambda _: None,
) -> Uploaded:
    """Checks a bundle or a run's bundle and puts it into a Hub repository in one commit, which makes it if need be.

    What the repository has already is not uploaded again. Files of an earlier bundle that this one lacks are removed in
    the same commit; other files of the repository stay.

    Raises `BundleError` for a bundle that does not pass its checks, `HubError` and `ModelNotFoundError` when the Hub
    does not take it, `UsageError` for a private bundle in a public repository.
    """
    hub.require_token(token)
    with tempfile.TemporaryDirectory() as temporary:
        folder = prepare(source, Path(temporary) / "bundle", repository, say=say)
        say(f"Checked; uploading to {repository}.")
        message = f"Publish {bundles.read(folder).name} with stzoo {stzoo.__version__}"
        return hub.upload(repository, folder, message, belongs, private=private, token=token)


def prepare(source: Path | str, target: Path, repository: Repository, *, say: Say = lambda _: None) -> Path:
    """Writes exactly what `publish` uploads into a new folder.

    The net is rebuilt from the folder alone, measured, and run on one clip; README.md, its picture and `.eval_results`
    are made anew from the bundle and its card, which is `NAME.md` beside the bundle's files, in the run's folder, or
    the zoo's.

    Raises `BundleError` for a bundle that does not pass its checks, or when `target` exists, and `MissingPackageError`
    without matplotlib.
    """
    require("matplotlib")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BundleError(f"{target} exists; choose another place for what would be uploaded")
    if (foreign := torchvision.named(text_of(source))) is not None:
        raise UsageError(f"the weights of {foreign.reference} are torchvision's, and not yours to publish here")
    folder = find(source, offline=True).folder
    bundle = bundles.read(folder)
    parameters = _verified_parameters(folder, bundle)
    card = card_of(folder, bundle.name)
    if card is None:
        say(
            f"There is no {bundle.name}.md in {folder}, so the model card has no title, licences and limits of its own."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp") as temporary:
        staging = Path(temporary) / "bundle"
        staging.mkdir()
        _copy_files(folder, bundle.name, staging, say)
        _draw(bundle, staging)
        _describe(bundle, card, parameters, repository, staging)
        if target.exists():
            target.rmdir()
        staging.rename(target)
    return target


def belongs(name: str) -> bool:
    """Whether a file of this name is a bundle's, to be published with it and removed with it."""
    parts = PurePosixPath(name)
    if parts.parent.name in ("statistics", ".eval_results"):
        return len(parts.parts) == 2 and parts.suffix == {"statistics": ".safetensors"}.get(parts.parts[0], ".yaml")
    if name.endswith(bundles.PICTURES):
        return parts.parts[:-1] in ((), ("figures",))
    return name in (
        *bundles.TEXTS,
        bundles.MODEL,
        bundles.TEMPLATE,
        bundles.README,
        *bundles.EXPORTED,
        GOLDEN,
        GOLDEN_INT8,
        CONFIDENCE,
    )


def _verified_parameters(folder: Path, bundle: Bundle) -> int:
    """Rebuilds, measures and runs the net; returns its parameters. Raises `BundleError` for what does not add up."""
    net, contract = rebuild.build(folder, bundle), bundle.contract
    architecture = rebuild.architecture_of(folder, bundle)
    size = measure(architecture, bundle.strategy, frames=contract.frames, height=contract.crop, width=contract.crop)
    if bundle.config.multiply_adds not in (None, size.multiply_adds):
        raise BundleError(
            f"{folder / bundles.CONFIG} says {bundle.config.multiply_adds:,} multiply-adds, the net takes "
            f"{size.multiply_adds:,}; make the bundle anew"
        )
    digest = bundles.weights_digest(folder)
    if any(result.model not in (None, digest) for result in bundle.metrics):
        raise BundleError(f"{folder / 'metrics.json'} has numbers of other weights than {bundles.MODEL}; measure again")
    if (folder / bundles.TEMPLATE).exists():
        rebuild.from_template(folder, bundle, bundle.strategy)
    clips = normalise(read_clips(Video(packaged("bundled") / "sample.mp4"), contract, 1).clips, contract)
    with torch.inference_mode():
        logits = net(torch.from_numpy(clips))
    if not torch.isfinite(logits).all():
        raise BundleError(f"the net of {folder} answers a clip with numbers that are not finite; do not publish it")
    exact = cached.bundled_file(folder, bundle, "fp32")
    if exact is not None and not compare(net, exact.path, clips, (1,)).passed:
        raise BundleError(f"{exact.path} answers a clip otherwise than the net; export it again")
    _refuse_wrong_int8(folder, bundle, clips, logits.numpy())
    about = Predictor(net, contract, bundle.labels, bundle.name, "cpu", digest=digest)
    _refuse_wrong_golden_clips(locate(folder, GOLDEN), about)
    int8 = cached.bundled_file(folder, bundle, "int8")
    if int8 is not None:
        session = open_session("onnxruntime", int8, "cpu", "int8")
        _refuse_wrong_golden_clips(locate(folder, GOLDEN_INT8), replace(about, net=session))
    return size.parameters


def _refuse_wrong_int8(folder: Path, bundle: Bundle, clips: Clips, logits: Logits) -> None:
    """Raises `BundleError` for a quantised file that is another net: no clip's probability changes by a half."""
    file = cached.bundled_file(folder, bundle, "int8")
    if file is None:
        return
    answer = open_session("onnxruntime", file, "cpu", "int8").logits(clips)
    before, after = (np.exp(scores) / np.exp(scores).sum() for scores in (logits - logits.max(), answer - answer.max()))
    if np.abs(after - before).max() > 0.5:
        raise BundleError(f"{file.path} answers a clip otherwise than the net; export it again")


def _refuse_wrong_golden_clips(path: Path | None, predictor: Predictor) -> None:
    """Raises `BundleError` for golden clips of another net."""
    if path is None:
        return
    clips = golden_files.read(path)
    golden.refuse_another_model(clips, predictor)
    if not golden.differences(clips, predictor, None).passed:
        raise BundleError(
            f"{path} has other answers than the net gives; make it anew with `stzoo verify --make`, or export it"
        )


def card_of(folder: Path, name: str) -> Card | None:
    """The card of a bundle: `NAME.md` beside its files or in its run's folder, or the zoo's."""
    places = [folder, *([folder.parents[1]] if folder.parent.name == "bundles" else [])]
    for place in places:
        if (place / f"{name}.md").is_file():
            return cards.read(place / f"{name}.md")
    return cards.named(name) if name in cards.names() else None


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _copy_files(folder: Path, name: str, staging: Path, say: Say) -> None:
    """Copies what a bundle has, but for what is made anew, and says what is left."""
    for file in _files(folder):
        is_made_anew = file in (bundles.README, MARGINALS, STRATEGY) or file.startswith(".eval_results/")
        if belongs(file) and not is_made_anew:
            (staging / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(bundles.require(folder, file), staging / file)
        elif not belongs(file) and file != f"{name}.md":
            say(f"{file} stays here: it is no file of a bundle.")


def _draw(bundle: Bundle, staging: Path) -> None:
    if not bundle.strategy.units:
        return
    if bundle.posterior is None:
        strategy_figure(bundle.strategy, staging / STRATEGY, bundle.name)
    else:
        marginals_figure(bundle.posterior, bundle.strategy, staging / MARGINALS, bundle.name)


def _describe(bundle: Bundle, card: Card | None, parameters: int, repository: Repository, staging: Path) -> None:
    """Writes README.md and `.eval_results`."""
    pictures = [name for name in _files(staging) if name.endswith(bundles.PICTURES)]
    text = render(bundle, card, parameters, pictures, repository=str(repository))
    _refuse_bad_card(text, bundle)
    write_text(staging / bundles.README, text)
    for name, entries in eval_results(bundle, card).items():
        write_text(staging / name, entries)


def _refuse_bad_card(text: str, bundle: Bundle) -> None:
    """Reads the card as the Hub's client does. Raises `BundleError` when it says something else than the bundle."""
    from huggingface_hub import ModelCard

    try:
        shown = getattr(ModelCard(text).data, "eval_results", None) or []
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"the card of {bundle.name} is not what the Hub reads: {error}") from error
    values = sorted(result.metric_value for result in shown)
    if values != sorted(result.value for result in bundle.metrics):
        raise BundleError(f"the card of {bundle.name} shows the Hub the numbers {values}, not those of the bundle")
