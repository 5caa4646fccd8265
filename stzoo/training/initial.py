"""The weights that the first stage of a run starts from: random, inflated from a 2D net, or another model's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch

from stzoo import bundle as bundles
from stzoo.bundle.tensors import digest
from stzoo.errors import BundleError, HubError, ModelNotFoundError, TrainingError, did_you_mean
from stzoo.files import write_json
from stzoo.nets import architecture
from stzoo.nets.classifier import Classifier
from stzoo.nets.imagenet import SUFFIXES, TIMM_IMAGENET, imagenet_file, imagenet_place, read_weights
from stzoo.nets.inflate import HEAD, POOLING, inflate
from stzoo.nets.pooling import MEAN
from stzoo.nets.reestimation import Clips, absorb_batch_norm, reestimate_batch_norm, without_sums
from stzoo.nets.timm_library import is_timm, pretrained, timm_name
from stzoo.recipe import Init
from stzoo.strategies.strategy import Strategy
from stzoo.training.run import Run
from stzoo.training.voice import Voice
from stzoo.zoo import hub, timm_weights
from stzoo.zoo.reference import Location, find

Head = Literal["kept", "replaced"]


@dataclass(frozen=True)
class Origin:
    """Where a run's first weights came from: as its recipe says it, and the SHA-256 of the file."""

    source: str
    sha256: str
    head: Head

    def __str__(self) -> str:
        return f"{self.source} (SHA-256 {self.sha256[:12]}, head {self.head})"


def initialise(run: Run, net: Classifier, labels: Sequence[str], voice: Voice) -> Origin | None:
    """Puts the weights that [init] names into the net of the run's first stage; None where the recipe names none.

    A stage that has begun goes on from its own files, and the weights are not read again. `labels` are the run's.

    Raises `WeightsError`, `BundleError`, `ModelNotFoundError` and `TrainingError` for weights that are not there, not
    to be trusted or of another net, and `TrainingError` when the name stands for others than the run started from.
    """
    init = run.recipe.init
    if init is None or init.source == "none":
        return None
    recorded = recorded_origin(run)
    if recorded is not None and run.has_begun:
        voice.say(f"This run started from {recorded}.")
        return recorded
    origin = _put(init, net, labels, voice.progress)
    if recorded is not None and recorded.source == origin.source and recorded != origin:
        raise TrainingError(
            f"{run.folder} started from {recorded}, but its recipe leads to {origin}; bring the weights back that it "
            "started from, or remove the run"
        )
    voice.say(f"The first stage starts from {origin}.")
    return origin


def look_for(init: Init, net: Classifier, labels: Sequence[str] | None) -> str | None:
    """Whether the weights that [init] names are found and fit a run's first net: None, or what remains to be seen.

    The net may be without memory. `labels` are None where they are not known; then the head is not looked at. Raises as
    `initialise` does. Of a bundle on the Hub, its texts alone are fetched.
    """
    if init.source == "none":
        return None
    if labels is None:
        init = init.model_copy(update={"head": "replace"})
    backbone = architecture(net).backbone
    path = _path(init)
    if (of_timm := _of_timm(init, backbone)) is not None:
        cached = timm_weights.cached_file(of_timm)
        if cached is None:
            return f"The weights {of_timm} will be fetched from the Hub."
        _put_2d(init, net, cached)
    elif init.source == "imagenet":
        entry, file = imagenet_place(backbone)
        if not file.exists():
            return f"The ImageNet weights of {backbone} will be fetched from {entry.url}."
        _put_2d(init, net, file)
    elif _is_flat_file(path):
        _put_2d(init, net, path)
    else:
        home, bundle = _bundle(init, backbone, bundles.TEXTS)
        wanted = _wanted(init, net, bundle, labels or ())
        if home.repository is not None:
            return f"{init.source} is on the Hub; whether its weights fit the net is seen when training starts."
        _which(init, home, wanted)
    return None


def recorded_origin(run: Run) -> Origin | None:
    """What the run recorded of the weights that it started from."""
    path = run.path("init.json")
    return Origin(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def record_origin(run: Run, origin: Origin) -> None:
    """Writes it to the run's init.json."""
    write_json(run.path("init.json"), asdict(origin))


def fit_batch_norm(init: Init, net: Classifier, strategy: Strategy, inputs: Callable[[], Iterable[Clips]]) -> None:
    """Gives a net with that strategy and with first weights the batch-norm statistics that [init] asks for."""
    if init.batch_norm == "re-estimated" or (init.batch_norm == "absorbed" and init.source == "none"):
        reestimate_batch_norm(net, inputs())
    elif init.batch_norm == "absorbed":
        flat = init.source == "imagenet" or _of_timm(init, strategy.backbone) is not None or _is_flat_file(_path(init))
        absorb_batch_norm(net, without_sums(net, strategy) if flat else net.eval(), inputs)


def _path(init: Init) -> Path:
    return Path(os.path.expanduser(init.source))


def _put(init: Init, net: Classifier, labels: Sequence[str], progress: bool) -> Origin:
    path = _path(init)
    if (of_timm := _of_timm(init, architecture(net).backbone)) is not None:
        return _put_2d(init, net, timm_weights.weights_file(of_timm))
    if init.source == "imagenet":
        return _put_2d(init, net, imagenet_file(architecture(net).backbone, progress=progress))
    if _is_flat_file(path):
        return _put_2d(init, net, path)
    return _put_bundle(init, net, labels)


def _of_timm(init: Init, backbone: str) -> str | None:
    """The reference to timm's weights that [init] asks for, by their name or as the ImageNet weights of a backbone."""
    if init.source == "imagenet":
        return pretrained(timm_name(backbone)) if is_timm(backbone) else TIMM_IMAGENET.get(backbone)
    return init.source if timm_weights.is_weights(init.source) else None


def _is_flat_file(path: Path) -> bool:
    return path.suffix in SUFFIXES or path.is_file()


def _put_2d(init: Init, net: Classifier, file: Path) -> Origin:
    inflate(net, read_weights(file), temporal=init.temporal, keep_head=init.head == "keep")
    return Origin(init.source, digest(file), "kept" if init.head == "keep" else "replaced")


def _put_bundle(init: Init, net: Classifier, labels: Sequence[str]) -> Origin:
    home, bundle = _bundle(init, architecture(net).backbone, (*bundles.TEXTS, bundles.MODEL))
    wanted = _wanted(init, net, bundle, labels)
    which = _which(init, home, wanted)
    arrays = bundles.read_weights(home.folder, which)
    net.load_state_dict({name: torch.from_numpy(arrays[name]) for name in wanted}, strict=False)
    head: Head = "kept" if wanted.keys() >= set(HEAD) else "replaced"
    return Origin(init.source, bundles.weights_digest(home.folder, which), head)


def _keeps_head(init: Init, bundle: bundles.Bundle, labels: Sequence[str], pools_alike: bool) -> bool:
    same_classes = tuple(labels) == bundle.labels
    if init.head == "keep" and not same_classes:
        raise TrainingError(
            f'init.head = "keep" needs the classes of {init.source}, but it has {len(bundle.labels)} classes and the '
            f'recipe\'s data {len(labels)} others; use "auto" or "replace"'
        )
    if init.head == "keep" and not pools_alike:
        raise TrainingError(
            f'init.head = "keep" needs a head that sees what the recipe\'s does, but net.pooling is not that of '
            f'{init.source}; use "auto" or "replace", or its pooling'
        )
    return same_classes and pools_alike and init.head != "replace"


def _wanted(init: Init, net: Classifier, bundle: bundles.Bundle, labels: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors that a net takes from a bundle, by name: a head's where that sees and says the same."""
    options = architecture(net).options, bundle.config.backbone.options
    of_net, of_bundle = (option.get("pooling", MEAN) for option in options)
    keep_head = _keeps_head(init, bundle, labels, of_net == of_bundle)
    return {
        name: tuple(value.shape)
        for name, value in net.state_dict().items()
        if (keep_head or name not in HEAD) and (of_net == of_bundle or not name.startswith(f"{POOLING}."))
    }


def _bundle(init: Init, backbone: str, files: Sequence[str]) -> tuple[Location, bundles.Bundle]:
    """Where the bundle is that [init] names, of which `files` are here, and what it says."""
    try:
        home = find(init.source, files=files)
    except (BundleError, HubError, ModelNotFoundError) as error:
        hint = did_you_mean(init.source.lower(), ("none", "imagenet"))
        raise type(error)(f"init.from: {error}{hint}") from error
    bundle = bundles.read(home.folder)
    if bundle.config.backbone.name != backbone:
        raise TrainingError(
            f'init.from = "{init.source}" is a {bundle.config.backbone.name}, the recipe trains a {backbone}; '
            "start from a model with the same backbone"
        )
    return home, bundle


def _which(init: Init, home: Location, wanted: Mapping[str, tuple[int, ...]]) -> Literal["model", "template"]:
    """The file of a bundle that has all tensors that the net needs: the model's if it can be, else the template's.

    Of a bundle on the Hub, the template is fetched only then.
    """
    files: tuple[Literal["model", "template"], ...] = ("model", "template")
    lacking: list[str] = []
    for which in files:
        if which == "template":
            if home.repository is not None:
                hub.fetch(home.repository, (bundles.TEMPLATE,))
            if not (home.folder / bundles.TEMPLATE).exists():
                break
        shapes = bundles.weight_shapes(home.folder, which)
        lacking = [name for name in wanted if name not in shapes]
        if lacking:
            continue
        for name, shape in wanted.items():
            if shapes[name] != shape:
                raise TrainingError(
                    f'init.from = "{init.source}" has {name} of shape {shapes[name]}; the recipe\'s net takes {shape}'
                )
        return which
    raise TrainingError(
        f'init.from = "{init.source}" lacks {lacking[0]} and so cannot start this net; start from a model with every '
        "branch that the recipe trains, or from a bundle with its template"
    )
