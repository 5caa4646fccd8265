"""Which of a bundle's nets is meant, and how it is built in torch: its own, that of another strategy, or an average."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stzoo import bundle as bundles
from stzoo.bundle.confidence import CONFIDENCE
from stzoo.bundle.confidence import read as read_confidence
from stzoo.errors import UsageError, require
from stzoo.zoo import hub
from stzoo.zoo.wishes import Variant

if TYPE_CHECKING:
    from torch import nn

    from stzoo.bundle import Bundle
    from stzoo.bundle.confidence import Confidence
    from stzoo.contract import InputContract
    from stzoo.nets import Architecture
    from stzoo.nets.classifier import Classifier
    from stzoo.prediction.predictor import Predictor
    from stzoo.strategies.strategy import Strategy
    from stzoo.zoo.reference import Location

_SEED = 0


class BatchNormWarning(UserWarning):
    """A net runs with batch-norm statistics that are not its own."""


@dataclass(frozen=True)
class Source:
    """A bundle that has been read, what it is to see, and how more of its files are had."""

    location: Location
    bundle: Bundle
    contract: InputContract
    offline: bool | None
    token: str | None

    def fetch(self, *files: str) -> None:
        """Sees to it that those of the files are in the folder that the bundle has."""
        if self.location.repository is not None:
            hub.fetch(self.location.repository, files, offline=self.offline, token=self.token)

    def confidence(self, nets: int) -> Confidence:
        """What the bundle was calibrated with, for so many nets.

        Raises `UsageError` where it was not, and `BundleError` for a file that is none.
        """
        self.fetch(CONFIDENCE, bundles.MODEL)
        folder = self.location.folder
        fits = read_confidence(folder, bundles.weights_digest(folder))
        if nets not in fits:
            averaging = f" --average {nets}" if nets > 1 else ""
            raise UsageError(
                f"{self.bundle.name} was not calibrated{' for so many nets' if fits else ''}; run `stzoo calibrate "
                f"{folder} --data LIST{averaging}` on videos that it was not trained on"
            )
        return fits[nets]


def in_torch(source: Source, variant: Variant, device: str | None, confidence: Confidence | None) -> Predictor:
    """A bundle's net, or an average of nets, in torch; raises and warns as `load`."""
    require("torch")
    from stzoo.bundle import rebuild
    from stzoo.nets.averaging import Averaged
    from stzoo.prediction.predictor import Predictor

    folder, bundle = source.location.folder, source.bundle
    architecture = rebuild.architecture_of(folder, bundle)
    strategy = bundle.strategy
    if variant.strategy is not None:
        strategy = rebuild.fitting_strategy(variant.strategy, architecture, bundle.posterior)
    if variant.average is not None:
        net: nn.Module = Averaged(_drawn(source, variant.average, is_calibrated=bool(variant.videos)))
    else:
        net = _net(source, variant, architecture, strategy)
    is_as_stored = variant.is_trained and strategy == bundle.strategy and not variant.videos and variant.average is None
    predictor = Predictor(
        net,
        source.contract,
        bundle.labels,
        name=bundle.name,
        device=device,
        strategy=shown_strategy(strategy) if variant.average is None else None,
        digest=bundles.weights_digest(folder) if is_as_stored else "",
        confidence=confidence,
    )
    if variant.videos:
        rebuild.calibrate(net, variant.videos, source.contract)
    return predictor


def shown_strategy(strategy: Strategy) -> Strategy | None:
    """A strategy, or None for that of a net without sites, which says nothing."""
    return strategy if strategy.units else None


def _net(source: Source, variant: Variant, architecture: Architecture, strategy: Strategy) -> Classifier:
    """The net of a strategy on the CPU, fetched where need be. Warns of batch-norm statistics that are not its own."""
    from stzoo.bundle import rebuild

    folder, bundle = source.location.folder, source.bundle
    if not variant.is_trained:
        return rebuild.untrained(architecture, strategy)
    if strategy == bundle.strategy:
        source.fetch(bundles.MODEL)
        return rebuild.build(folder, bundle)
    source.fetch(bundles.TEMPLATE, bundles.statistics_file(strategy))
    net, is_normalised = rebuild.from_template(folder, bundle, strategy)
    if not is_normalised and not variant.videos:
        _warn_of_batch_norm(bundle.name, "this strategy")
    return net


def drawn_strategies(bundle: Bundle, count: int) -> list[Strategy]:
    """The first so many strategies that are drawn from a bundle's template, the same whenever they are.

    Raises `UsageError` for a bundle that was not cut out of a template.
    """
    if bundle.posterior is None:
        raise UsageError(
            f"{bundle.name} was not cut out of a template, so it has no strategies to draw and average; leave average "
            "out, or take a model that stzoo has selected"
        )
    return [bundle.posterior.sample(_SEED, index) for index in range(count)]


def _drawn(source: Source, count: int, *, is_calibrated: bool) -> list[Classifier]:
    from stzoo.bundle import rebuild

    folder, bundle = source.location.folder, source.bundle
    strategies = drawn_strategies(bundle, count)
    source.fetch(bundles.TEMPLATE, *map(bundles.statistics_file, strategies))
    template = rebuild.template_of(folder, bundle)
    nets = [rebuild.from_template(folder, bundle, strategy, template) for strategy in strategies]
    if not is_calibrated and not all(is_normalised for _, is_normalised in nets):
        _warn_of_batch_norm(bundle.name, "all strategies that are drawn")
    return [net for net, _ in nets]


def _warn_of_batch_norm(name: str, of: str) -> None:
    warnings.warn(
        f"{name} stores no batch-norm statistics for {of}, so the net has the template's, which belong to a mixture of "
        "nets: its accuracy can be far lower; give calibrate= some videos",
        BatchNormWarning,
        stacklevel=5,
    )
