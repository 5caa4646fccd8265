"""Nets by the names of a backbone and of a strategy: `stzoo.create` and `stzoo.measure`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stzoo.errors import UsageError
from stzoo.nets import measure as measuring
from stzoo.nets.backbones import Architecture
from stzoo.nets.classifier import Classifier
from stzoo.nets.pruning import fixed_net
from stzoo.strategies.names import named
from stzoo.strategies.strategy import Strategy

USUAL = "sst"
"""The strategy that is meant where none is named."""


def create(backbone: str, strategy: Strategy | str | None = None, classes: int = 400, **options: Any) -> Classifier:
    """A new net: a plain `torch.nn.Module` with the branches that a strategy opens, as it is before training.

    It takes float32 clips [clips, 3, frames, height, width] and gives logits [clips, classes]. `torch.manual_seed`
    decides its weights.

    Args:
        backbone: a name such as `resnet50`, a net of torchvision such as `r3d_18`, or one of timm such as
            `timm:efficientnet_lite0` (experimental).
        strategy: itself, or by a name such as `st`, `mc3` or `rule:k400`; by default both branches everywhere.
        classes: how many there are.
        options: those of the backbone, such as `branches=("S", "T", "ST")`, `temporal_stride="x2"` or `stem_frames=1`.

    Raises:
        UsageError: there is no such backbone or option.
        StrategyError: there is no such strategy, or it does not fit the backbone.
    """
    architecture = _architecture(backbone, classes, options)
    return fixed_net(architecture, _strategy(architecture, strategy))


def measure(
    backbone: str,
    strategy: Strategy | str | None = None,
    classes: int = 400,
    *,
    frames: int = 16,
    size: int = 224,
    latency: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Counts the parameters of a net, and the multiply-adds and activations of one clip, as `stzoo measure` does.

    Convolutions and linear layers count. Nothing is computed, unless with `latency`.

    Args:
        backbone: as `create` takes it.
        strategy: as `create` takes it.
        classes: how many there are.
        frames: of a clip.
        size: of its pictures, the side of a square in pixels.
        latency: whether the net is run, with random weights, on this machine's CPU, too.
        options: as `create` takes them.

    Returns:
        `parameters`, `multiply_adds` and `activations`; and `latency` with `milliseconds`, `runs`, `threads` and
        `torch`, where it is asked for.

    Raises:
        UsageError, StrategyError: as `create` does; the clip is too small for the net.
    """
    architecture = _architecture(backbone, classes, options)
    units = _strategy(architecture, strategy)
    clip = {"frames": frames, "height": size, "width": size}
    counts = asdict(measuring.measure(architecture, units, **clip))
    return counts | ({"latency": asdict(measuring.measure_latency(architecture, units, **clip))} if latency else {})


def _architecture(backbone: str, classes: int, options: dict[str, Any]) -> Architecture:
    number: object = classes
    if not isinstance(number, int) or classes < 1:
        raise UsageError(f"classes is how many there are, at least 1, and {number!r:.40} was given")
    return Architecture(backbone, classes, options)


def _strategy(architecture: Architecture, strategy: Strategy | str | None) -> Strategy:
    """A strategy as it is given or named for an architecture; by default both branches, where there are sites."""
    if strategy is None and not architecture.sites:
        return architecture.all_open
    if strategy is None or isinstance(strategy, str):
        return named(strategy or USUAL, architecture.backbone, architecture.sites)
    strategy.check(architecture.backbone, architecture.sites)
    return strategy
