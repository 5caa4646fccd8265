"""The bundle of a finished run."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import stzoo
from stzoo import card as cards
from stzoo import nets
from stzoo.bundle import Backbone, Bundle, Classes, Config, Result, Versions, save, stored_digest, tensors
from stzoo.bundle.golden import GOLDEN
from stzoo.nets import architecture
from stzoo.nets.classifier import Classifier
from stzoo.nets.measure import measure
from stzoo.prediction import golden
from stzoo.prediction.predictor import Predictor
from stzoo.training.provenance import provenance
from stzoo.training.results import Candidate, SplitAccuracy
from stzoo.training.run import Run
from stzoo.video.video import Video
from stzoo.zoo.fingerprints import TRAINED_ON, trained_on

CHOICE, GATES, RELIABILITY = "choice of weights", "gates", "selection"
"""Facts of how a net was chosen."""
LOOKS = "looked at, this time included"
"""The fact of how often splits had been measured on when the net was; later looks at others are not its own."""

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


@dataclass(frozen=True, eq=False)
class BundledTemplate:
    """What a bundle keeps of the template that its net was selected from.

    `scores` is the CSV of the judged strategies, `figure` the file that shows the posterior; `normalised` are other
    nets of the template with batch-norm statistics of their own. `weights` says whether the template's own are kept;
    `facts` are of how the net was chosen.
    """

    net: Classifier
    scores: str
    figure: Path
    normalised: Sequence[Candidate] = ()
    weights: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)


def save_bundle(
    run: Run,
    labels: tuple[str, ...],
    shipped: Candidate,
    accuracies: Sequence[SplitAccuracy],
    *,
    template: BundledTemplate | None = None,
    videos: Iterable[Video] = (),
    processes: int = 1,
    name: str | None = None,
) -> Path:
    """Writes a bundle with one of a run's candidates, and with those of the `accuracies` that are this one's.

    It is the run's own bundle unless it has another `name`. A net that was trained alone has no `template`. The
    `videos` are those of the training list. So many `processes` have made it.
    """
    name = name or run.bundle_name
    net, contract = shipped.net, run.recipe.input
    shape = architecture(net)
    weights = _arrays(net.state_dict().items())
    storage = run.recipe.bundle.weights
    digest = stored_digest(weights, storage)
    card = cards.named(name) if name in cards.names() else None
    results = tuple(
        Result(
            dataset=run.recipe.data.dataset if card is None else card.dataset,
            split=measured.split,
            protocol=contract.protocol,
            metric="top1",
            value=measured.accuracy.value,
            n=measured.accuracy.n,
            low=measured.accuracy.low,
            high=measured.accuracy.high,
            model=digest,
        )
        for measured in accuracies
        if measured.name == shipped.name
    )
    size = measure(shape, shipped.strategy, frames=contract.frames, height=contract.crop, width=contract.crop)
    config = Config(
        name=name,
        backbone=Backbone(name=shape.backbone, options=shape.recorded),
        classes=Classes.of(labels),
        strategy=shipped.strategy,
        input=contract,
        versions=Versions(stzoo=stzoo.__version__, torch=torch.__version__),
        multiply_adds=size.multiply_adds,
        provenance={
            **provenance(run, shipped.how, next(net.parameters()).device, processes),
            **({} if template is None else template.facts),
            **_looks(accuracies),
        },
    )
    bundle = Bundle(
        config=config,
        posterior=None if template is None else nets.posterior(template.net),
        metrics=results,
        recipe=run.recipe.portable().to_toml(),
        scores=None if template is None else template.scores,
    )
    normalised = () if template is None else template.normalised
    on_cpu = Predictor(copy.deepcopy(net), contract, labels, run.bundle_name, "cpu", digest=digest)
    extra: dict[str, bytes | Path] = {
        TRAINED_ON: json.dumps(trained_on(videos)).encode(),
        GOLDEN: golden.make(on_cpu, golden.sample()).to_json().encode(),
    }
    if template is not None:
        extra[template.figure.name] = template.figure
    return save(
        run.bundle_called(name),
        bundle,
        weights,
        None if template is None or not template.weights else _arrays(template.net.state_dict().items()),
        extra,
        statistics={other.strategy: _arrays(other.net.named_buffers()) for other in normalised},
        storage=storage,
        card=card,
        replace=True,
    )


def template_digest(run: Run) -> str:
    """SHA-256 of a run's trained template as its bundles store it, which need not be the bytes that the run has."""
    return stored_digest(tensors.load(run.weights("variational")), run.recipe.bundle.weights)


def _looks(accuracies: Sequence[SplitAccuracy]) -> dict[str, str]:
    looks = {measured.split: "once" if measured.looks == 1 else f"{measured.looks} times" for measured in accuracies}
    return {LOOKS: ", ".join(f"{split} {times}" for split, times in looks.items())} if looks else {}


def _arrays(tensors: Iterable[tuple[str, Tensor]]) -> Arrays:
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors}
