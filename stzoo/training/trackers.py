"""Where else the numbers of every epoch go: TensorBoard and Weights & Biases, which users install themselves."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from stzoo.errors import UsageError
from stzoo.recipe import Recipe


@runtime_checkable
class Tracker(Protocol):
    """Is told a stage, the number of its epochs done, and the last one's numbers."""

    def __call__(self, stage: str, epoch: int, numbers: Mapping[str, float]) -> None: ...


def tracker(name: str, folder: Path, recipe: Recipe) -> Tracker:
    """The tracker of that name for the run in `folder`, which is opened when the first epoch is told.

    Raises `UsageError` where it is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise UsageError(f"--log {name}: {name} is not installed; pip install 'stzoo[log]', or leave --log out")
    return TRACKERS[name](folder, recipe)


class TensorBoard:
    """Event files in the run's folder `tensorboard`, for `tensorboard --logdir`."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._folder = folder / "tensorboard"

    @functools.cached_property
    def _writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self._folder)

    def __call__(self, stage: str, epoch: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(f"{stage}/{name}", value, epoch)
        self._writer.flush()


class WeightsAndBiases:
    """A run of the project `stzoo`, which goes on when training goes on in the same folder."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._folder, self._recipe = folder, recipe

    @functools.cached_property
    def _run(self) -> Any:
        same = hashlib.sha256(f"{self._folder.absolute()} {self._recipe.to_toml()}".encode()).hexdigest()[:16]
        config = self._recipe.model_dump(mode="json", by_alias=True)
        name = self._recipe.name
        wandb = importlib.import_module("wandb")
        return wandb.init(project="stzoo", name=name, id=same, resume="allow", dir=self._folder, config=config)

    def __call__(self, stage: str, epoch: int, numbers: Mapping[str, float]) -> None:
        self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/epoch")
        self._run.log({f"{stage}/epoch": epoch, **{f"{stage}/{name}": value for name, value in numbers.items()}})


TRACKERS: dict[str, Callable[[Path, Recipe], Tracker]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}


def flat(numbers: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number of an epoch's entry by its path, such as `drop/B1.L1/ST`."""
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", float(value)
