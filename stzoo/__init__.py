"""stzoo: 3D convolutional networks for video whose spatiotemporal fusion is learnt, selected and published.

    model = stzoo.load("camera-motion-opt")       # a name, a bundle's folder, or ORG/NAME of the Hub
    model.predict("video.mp4", topk=5)
    stzoo.predict("video.mp4")                    # the same by a model that is loaded for this one video

`evaluate`, `train`, `finetune`, `select`, `export_onnx` and `measure` do what the commands do, and print nothing;
`create` gives a new net.

The names below are imported when they are first used: `import stzoo` alone imports neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from stzoo import telemetry

if TYPE_CHECKING:
    from stzoo.evaluation import evaluate
    from stzoo.figures.notebook import notebook_html as notebook_html
    from stzoo.nets.named import create, measure
    from stzoo.strategies.posterior import Posterior
    from stzoo.strategies.strategy import Strategy
    from stzoo.training.calls import finetune, select, train
    from stzoo.zoo.exporting import export_onnx
    from stzoo.zoo.loading import list_models, load, predict

telemetry.switch_off()

__version__ = "0.1.0"

__all__ = [
    "Posterior",
    "Strategy",
    "__version__",
    "create",
    "evaluate",
    "export_onnx",
    "finetune",
    "list_models",
    "load",
    "measure",
    "predict",
    "select",
    "train",
]

DEFAULT_MODEL = "jhmdb21-mobilenet_v2-1.8G"
"""The model of the package that predicts where none is named."""

_HOMES = {
    "Posterior": "stzoo.strategies.posterior",
    "Strategy": "stzoo.strategies.strategy",
    "create": "stzoo.nets.named",
    "evaluate": "stzoo.evaluation",
    "export_onnx": "stzoo.zoo.exporting",
    "finetune": "stzoo.training.calls",
    "measure": "stzoo.nets.named",
    "notebook_html": "stzoo.figures.notebook",
    "select": "stzoo.training.calls",
    "train": "stzoo.training.calls",
    "list_models": "stzoo.zoo.loading",
    "load": "stzoo.zoo.loading",
    "predict": "stzoo.zoo.loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'stzoo' has no attribute {name!r}")
    try:
        value: object = getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from stzoo.errors import translated

        if (missing := translated(error)) is not None:
            raise missing from error
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
