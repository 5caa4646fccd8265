"""What a recipe's run costs, told before anything is trained: steps, multiply-adds and memory. No data is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stzoo.nets.measure import TrainingMeasurement, measure_training
from stzoo.recipe import Format, Optimisation, Recipe, Stage
from stzoo.training.blueprint import architecture_of, strategy_of

FORWARD_AND_BACKWARD = 3
"""Multiply-adds of a training step for each of its forward pass; gradients of inputs and of weights cost one each."""

BYTES_A_PARAMETER = 3 * 4
"""Weight, gradient and momentum in float32; a moving average takes a third more, and AdamW another."""


class Size(NamedTuple):
    """How many classes a dataset has, and how many videos its official training list."""

    classes: int
    videos: int


OFFICIAL: dict[Format, Size] = {
    "kinetics400": Size(400, 240_436),
    "something-v1": Size(174, 86_017),
    "something-v2": Size(174, 168_913),
    "ucf101": Size(101, 9_537),
    "hmdb51": Size(51, 3_570),
    "jhmdb": Size(21, 660),
}
"""By `data.format`. Copies of Kinetics-400 differ, as videos vanish; of the last three it is the first split."""


@dataclass(frozen=True)
class StageForecast:
    """One stage that trains; `steps` are the optimiser's in all epochs."""

    name: Stage
    epochs: int
    batch_size: int
    steps: int
    multiply_adds: int


@dataclass(frozen=True)
class Forecast:
    """What a run costs that trains on `clips` videos; what selection and evaluation cost besides is not counted.

    `at_once` are the clips that one device computes in one pass, of the largest batch.
    """

    clips: int
    net: TrainingMeasurement
    stages: tuple[StageForecast, ...]
    at_once: int
    averages: int
    """How many numbers are kept of every parameter besides weight, gradient and momentum."""

    @property
    def multiply_adds(self) -> int:
        """Of all stages."""
        return sum(stage.multiply_adds for stage in self.stages)

    @property
    def clip_bytes(self) -> int:
        """Memory that one clip takes on its way forward and back."""
        return self.net.kept_bytes + self.net.recomputed_bytes

    @property
    def memory_bytes(self) -> int:
        """Of the stage with the largest batch, on one device."""
        bytes_a_parameter = BYTES_A_PARAMETER + 4 * self.averages
        return self.net.parameters * bytes_a_parameter + self.at_once * self.clip_bytes

    @property
    def sentence(self) -> str:
        """Both in one line, as every recipe for an official dataset opens with it."""
        together = self.memory_bytes / 1e9
        return (
            f"{power(self.multiply_adds)} multiply-adds in training, {self.clip_bytes / 1e9:.2g} GB of memory a clip, "
            f"{together:{'.0f' if together >= 1 else '.1g'}} GB for {self.at_once} clips at once; "
            "counted, no GPU was measured."
        )


def power(count: int) -> str:
    """`5.4e18`."""
    return f"{count:.1e}".replace("e+", "e")


def forecast(recipe: Recipe, size: Size) -> Forecast:
    """Counts on meta tensors what training costs on so many classes and training videos.

    All stages of a template count as the template itself, whose gates change nothing but its memory. A finetuned
    winner has fewer branches, so its stage is counted too high.

    Raises `UsageError` and `StrategyError` when backbone, options and strategy do not go together.
    """
    architecture = architecture_of(recipe, size.classes)
    contract = recipe.training_input
    net = measure_training(
        architecture,
        strategy_of(recipe, architecture),
        frames=contract.frames,
        height=contract.crop,
        width=contract.crop,
        checkpoint_activations=recipe.compute.checkpoint_activations,
    )
    clips = size.videos - round(size.videos * recipe.data.selection_fraction)
    stages = tuple(_stage(name, table, clips, net) for name, table in recipe.stages.items())
    averages = max((table.ema > 0) + (table.optimiser == "adamw") for table in recipe.stages.values())
    return Forecast(clips, net, stages, recipe.trained_at_once, averages)


def _stage(name: Stage, table: Optimisation, clips: int, net: TrainingMeasurement) -> StageForecast:
    """Epochs in which the head learns alone have no way back."""
    steps = table.epochs * -(-clips // table.batch_size)
    there_and_back = FORWARD_AND_BACKWARD * net.multiply_adds + net.recomputed_multiply_adds
    a_clip = table.head_epochs * net.multiply_adds + (table.epochs - table.head_epochs) * there_and_back
    return StageForecast(name, table.epochs, table.batch_size, steps, clips * a_clip)
