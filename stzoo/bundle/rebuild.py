"""From a bundle's folder to its net, trusting nothing that has not been compared with the net's own layout."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stzoo import bundle as bundles
from stzoo import nets
from stzoo.bundle import Bundle
from stzoo.contract import InputContract
from stzoo.errors import BundleError, StzooError, UsageError, listed
from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.classifier import Classifier
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.strategies.names import named
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy
from stzoo.validation import shortened
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.video import Video

if TYPE_CHECKING:
    from stzoo.bundle.tensors import Arrays

CALIBRATION_BATCH = 16
"""Clips that batch-norm statistics are re-estimated from at a time."""

Shape = tuple[int, ...]


def build(folder: Path, bundle: Bundle) -> Classifier:
    """The bundle's net on the CPU, in eval mode, with the folder's weights and no others.

    It is laid out without memory first, so a folder whose weights do not fit is refused before anything is allocated.

    Raises `BundleError` naming the arrays that are missing, left over or of another shape.
    """
    architecture = architecture_of(folder, bundle)
    with _described(folder), without_memory():
        net = nets.fixed_net(architecture, bundle.strategy)
    _refuse_misfits(folder / bundles.MODEL, _shapes(net.state_dict()), bundles.weight_shapes(folder))
    return _filled(net, bundles.read_weights(folder), folder / bundles.MODEL)


def template_of(folder: Path, bundle: Bundle) -> Classifier:
    """The template that the bundle's net was pruned from, on the CPU, in eval mode.

    Raises `BundleError` when there is none or it does not fit.
    """
    with _described(folder), without_memory():
        architecture = architecture_of(folder, bundle)
        template = nets.template(architecture.backbone, architecture.classes, **architecture.options)
    if not (folder / bundles.TEMPLATE).exists():
        raise BundleError(f"{folder} has no {bundles.TEMPLATE}; it gives the strategy it was trained for and no other")
    shapes = bundles.weight_shapes(folder, "template")
    _refuse_misfits(folder / bundles.TEMPLATE, _shapes(template.state_dict()), shapes)
    return _filled(template, bundles.read_weights(folder, "template"), folder / bundles.TEMPLATE)


def from_template(
    folder: Path, bundle: Bundle, strategy: Strategy, template: Classifier | None = None
) -> tuple[Classifier, bool]:
    """The net of another strategy, taken out of the bundle's template, and whether its batch norm is its own.

    The batch-norm statistics are those that the bundle stores for the strategy, else the template's. Who takes several
    strategies gives the template that `template_of` has read.

    Raises `BundleError` as `template_of` does, `StrategyError` for a strategy of another backbone.
    """
    net = nets.prune(template_of(folder, bundle) if template is None else template, strategy)
    statistics = bundles.read_statistics(folder, strategy)
    if statistics is not None:
        buffers = dict(net.named_buffers())
        stored = {name: array.shape for name, array in statistics.items()}
        _refuse_misfits(folder / bundles.statistics_file(strategy), _shapes(buffers), stored)
        _refuse_values(folder / bundles.statistics_file(strategy), buffers, statistics)
        for name, array in statistics.items():
            buffers[name].copy_(torch.from_numpy(array))
    return net, statistics is not None or not any(True for _ in net.buffers())


def untrained(architecture: Architecture, strategy: Strategy) -> Classifier:
    """A net in eval mode with the weights of initialisation, seed 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nets.fixed_net(architecture, strategy).eval()


def architecture_of(folder: Path, bundle: Bundle) -> Architecture:
    """The architecture that a bundle describes. Raises `BundleError` when there is none such."""
    config = bundle.config
    with _described(folder):
        architecture = Architecture(config.backbone.name, len(bundle.labels), config.backbone.options)
        bundle.strategy.check(architecture.backbone, architecture.sites)
    return architecture


def fitting_strategy(
    strategy: Strategy | str, architecture: Architecture, posterior: Posterior | None = None
) -> Strategy:
    """A strategy as given or by name. Raises `StrategyError` when it does not fit, `UsageError` for neither."""
    if isinstance(strategy, str):
        return named(strategy, architecture.backbone, architecture.sites, posterior)
    given: object = strategy
    if not isinstance(given, Strategy):
        raise UsageError(f"a strategy is a Strategy or the name of one, and {given!r:.40} is neither")
    strategy.check(architecture.backbone, architecture.sites)
    return strategy


def calibrate(net: nn.Module, videos: Iterable[Path | str | Video], contract: InputContract) -> None:
    """Re-estimates a net's batch-norm statistics from the clips of videos, in place.

    Raises `VideoError` for a video that cannot be read, `UsageError` when there is none.
    """
    device = next(net.parameters()).device
    reestimate_batch_norm(net, (batch.to(device) for batch in _batches(videos, contract)))


def _batches(videos: Iterable[Path | str | Video], contract: InputContract) -> Iterator[Tensor]:
    waiting: list[Tensor] = []
    for video in videos:
        source = video if isinstance(video, Video) else Video(video)
        waiting += torch.from_numpy(normalise(read_clips(source, contract).clips, contract)).unbind()
        while len(waiting) >= CALIBRATION_BATCH:
            yield torch.stack(waiting[:CALIBRATION_BATCH])
            del waiting[:CALIBRATION_BATCH]
    if waiting:
        yield torch.stack(waiting)


@contextlib.contextmanager
def _described(folder: Path) -> Iterator[None]:
    """Turns what a builder says of a config that it cannot build into a `BundleError` that names the file."""
    try:
        yield
    except (StzooError, TypeError, KeyError, ValueError) as error:
        raise BundleError(
            f"{folder / bundles.CONFIG} does not describe a net of stzoo: {shortened(str(error), 400)}"
        ) from error


def _filled(net: Classifier, arrays: Arrays, path: Path) -> Classifier:
    _refuse_values(path, net.state_dict(), arrays)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=True, assign=True)
    return net.eval()


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _refuse_misfits(path: Path, wanted: Mapping[str, Shape], stored: Mapping[str, Shape]) -> None:
    problems = []
    missing = [name for name in wanted if name not in stored]
    if missing:
        problems.append(f"it lacks {_shown(missing)}")
    extra = [name for name in stored if name not in wanted]
    if extra:
        problems.append(f"it has {_shown(extra)} besides")
    misshaped = [
        f"{name!r} of shape {stored[name]} in place of {shape}"
        for name, shape in wanted.items()
        if name in stored and stored[name] != shape
    ]
    if misshaped:
        problems.append(f"it has {listed(misshaped, most=3)}")
    if problems:
        raise BundleError(f"{path} does not fit its {bundles.CONFIG}: {'; '.join(problems)}")


def _refuse_values(path: Path, wanted: Mapping[str, Tensor], stored: Arrays) -> None:
    """Refuses whole numbers where the net has others, or the other way round, and negative variances."""
    for name, array in stored.items():
        shown = shortened(repr(name))
        if wanted[name].is_floating_point() != (array.dtype.kind == "f"):
            kind = str(wanted[name].dtype).removeprefix("torch.")
            raise BundleError(f"{path} stores the array {shown} as {array.dtype}; the net has it as {kind}")
        if name.endswith("running_var") and array.min() < 0:
            raise BundleError(f"{path}: the array {shown} holds {array.min()}; variances are not negative")


def _shown(names: list[str]) -> str:
    return listed([shortened(repr(name)) for name in names], most=3)
