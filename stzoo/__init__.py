"""stzoo: 3D convolutional networks for video whose spatiotemporal fusion is learnt, selected and published.

    model = stzoo.load("camera-motion-opt")       # a name, a bundle's folder, or ORG/NAME of the Hub
    model.predict("video.mp4", topk=5)
    stzoo.predict("video.mp4")                    # the same by a model that is loaded for this one video

The names below are imported when they are first used: `import stzoo` alone imports neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from stzoo import telemetry

if TYPE_CHECKING:
    from stzoo.strategies.posterior import Posterior
    from stzoo.strategies.strategy import Strategy
    from stzoo.zoo.loading import list_models, load, predict

telemetry.switch_off()

__version__ = "0.1.0"

__all__ = ["Posterior", "Strategy", "__version__", "list_models", "load", "predict"]

DEFAULT_MODEL = "jhmdb21-mobilenet_v2-opt"
"""The model of the package that predicts where none is named."""

_HOMES = {
    "Posterior": "stzoo.strategies.posterior",
    "Strategy": "stzoo.strategies.strategy",
    "list_models": "stzoo.zoo.loading",
    "load": "stzoo.zoo.loading",
    "predict": "stzoo.zoo.loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'stzoo' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
