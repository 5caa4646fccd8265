"""The tables of a recipe that say what is trained, stage by stage, and how a strategy is selected."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field, field_validator

from stzoo.errors import UsageError
from stzoo.recipe.base import Rate, Table, Text
from stzoo.strategies.budget import Budget
from stzoo.strategies.names import FORMS
from stzoo.strategies.posterior import INITIAL_DROP, TEMPERATURE

Stage = Literal["warmup", "variational", "finetune", "fixed"]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""What trains, in the order in which it does; each is a table of the recipe."""

ObjectiveForm = Literal["coded", "eq5", "cost"]


class Optimisation(Table):
    """How one stage optimises, and a learning rate that falls by a cosine or in steps.

    Of weights that others trained, `head_epochs` and `trunk_learning_rate` keep what they know.

    References: Kumar et al. 2022 for the head first, Loshchilov and Hutter 2019 for AdamW, Szegedy et al. 2016, section
    7, for label smoothing, Zhang et al. 2018 for mixup, Yun et al. 2019 for CutMix. Where both of these are on, each
    takes half of the clips.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: Annotated[int, Field(ge=1, le=65_536, description="clips an optimiser step")]
    optimiser: Annotated[Literal["sgd", "adamw"], Field(description="SGD with momentum, or AdamW")] = "sgd"
    learning_rate: Annotated[float, Field(gt=0, le=100)]
    trunk_learning_rate: Annotated[
        float | None, Field(gt=0, le=100, description="of all weights but the head's; learning_rate if it is not given")
    ] = None
    head_epochs: Annotated[
        int, Field(ge=0, description="of the epochs, the first ones, in which the head alone learns, at a steady rate")
    ] = 0
    momentum: Annotated[Rate, Field(description="AdamW: of the mean gradient")] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1, description="AdamW: a part of the weights and of the rate")]
    label_smoothing: Annotated[Rate, Field(description="part of the target that all classes share")] = 0.0
    mixup: Annotated[
        float, Field(ge=0, le=10, description="a of the Beta(a, a) that two clips are blended by; 0: off")
    ] = 0.0
    cutmix: Annotated[
        float,
        Field(ge=0, le=10, description="a of the Beta(a, a) that a rectangle of another clip is sized by; 0: off"),
    ] = 0.0
    batch_norm: Annotated[
        Literal["batch", "kept"],
        Field(description="what training normalises by: each batch, or the statistics that it starts from"),
    ] = "batch"
    dropout: Annotated[Rate, Field(description="before the classifier; [net]'s if it is not given")] = 0.0
    ema: Annotated[
        Rate, Field(description="decay of a moving average of the weights, which is what is kept of the stage; 0: off")
    ] = 0.0
    patience: Annotated[
        int,
        Field(
            ge=0, description="epochs without a lower cross-entropy on the selection split that end the stage; 0: off"
        ),
    ] = 0
    schedule: Literal["cosine", "step"] = "cosine"
    milestones: Annotated[
        tuple[int, ...], Field(description="schedule = step: epochs after which the rate falls", validate_default=True)
    ] = ()
    gamma: Annotated[float, Field(gt=0, le=1, description="schedule = step: the factor at each milestone")] = 0.1
    ramp_epochs: Annotated[
        int, Field(ge=0, description="epochs, after head_epochs, in which the rate rises linearly from zero")
    ] = 0

    @field_validator("milestones")
    @classmethod
    def _milestones_within_epochs(cls, milestones: tuple[int, ...], info: Any) -> tuple[int, ...]:
        if any(later <= earlier for earlier, later in itertools.pairwise(milestones)):
            raise ValueError("milestones must increase")
        epochs = info.data.get("epochs")
        if milestones and milestones[0] <= (head_epochs := info.data.get("head_epochs", 0)):
            raise ValueError(f"the first milestone must be at least {head_epochs + 1}")
        if milestones and epochs is not None and milestones[-1] >= epochs:
            raise ValueError(
                f"the last milestone must be less than epochs, which is {epochs}; "
                'give earlier ones, or schedule = "cosine" and milestones = []'
            )
        if "schedule" in info.data and bool(milestones) != (info.data["schedule"] == "step"):
            raise ValueError(
                'schedule = "step" needs milestones' if not milestones else 'milestones need schedule = "step"'
            )
        return milestones

    @field_validator("head_epochs")
    @classmethod
    def _head_within_epochs(cls, head_epochs: int, info: Any) -> int:
        if head_epochs > info.data.get("epochs", head_epochs):
            raise ValueError(f"the head's epochs must fit into epochs, which is {info.data['epochs']}")
        return head_epochs

    @field_validator("ramp_epochs")
    @classmethod
    def _ramp_within_epochs(cls, ramp_epochs: int, info: Any) -> int:
        head_epochs, epochs = (info.data.get(name) for name in ("head_epochs", "epochs"))
        if head_epochs is not None and epochs is not None and head_epochs + ramp_epochs > epochs:
            behind = f", behind {head_epochs} of the head" if head_epochs else ""
            raise ValueError(f"the ramp must fit into epochs, which is {epochs}{behind}")
        return ramp_epochs


class Variational(Optimisation):
    """[variational]: the template's stage, in which the gates learn their drop rates.

    Reference: section 4 and supplement, Zhou et al. 2020; the gates' own parameter group is the authors' code's.
    """

    gate_learning_rate: Annotated[float, Field(gt=0, le=1000)]
    gate_weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    initial_drop: Annotated[float, Field(gt=0, lt=1, description="every gate's drop probability at the start")] = (
        INITIAL_DROP
    )
    temperature: Annotated[float, Field(gt=0, le=10, description="of the relaxed Bernoulli")] = TEMPERATURE
    tail_gates: Annotated[bool, Field(description="one more gate a dense layer, before its tail: D1 of Fig. 3")] = False


class Objective(Table):
    """[objective]: the weight of the posterior's terms beside the cross-entropy. Reference: Eq. 5, Zhou et al. 2020."""

    k: Annotated[
        float,
        Field(
            ge=0,
            le=1e9,
            description="weight of (1 - p) ||w||^2 / N; form = cost: the price in nats of all multiply-adds of the net",
        ),
    ]
    form: Annotated[
        ObjectiveForm,
        Field(
            description="coded: k and the two-sided entropy; eq5: as printed; cost: an open branch costs k times its "
            "share of the multiply-adds, whatever its weights, and weight_decay keeps these small"
        ),
    ] = "coded"


class Selection(Table):
    """[selection]: how many strategies are drawn from the posterior, and how their batch norm is prepared."""

    strategies: Annotated[int, Field(ge=1, le=100_000)] = 100
    budgets: Annotated[
        tuple[Text, ...],
        Field(description='multiply-adds a clip, such as "50M": the best strategy within each gets a bundle, too'),
    ] = ()
    choice_fraction: Annotated[
        float,
        Field(
            ge=0,
            le=0.9,
            description="with [finetune]: part of the selection split, by source, that alone judges between the winner "
            "and its finetuned weights; 0: all of the split judges both",
        ),
    ] = 0.3
    closed: Annotated[
        bool, Field(description="sites that a path leads past may also be drawn closed, with none of their branches")
    ] = False
    batch_norm: Annotated[
        Literal["re-estimated", "template"], Field(description="statistics of a drawn net: its own, or the template's")
    ] = "re-estimated"
    batch_norm_clips: Annotated[int, Field(ge=1, le=1_000_000, description="training clips to re-estimate from")] = 256

    @field_validator("budgets")
    @classmethod
    def _budgets_can_be_read(cls, budgets: tuple[str, ...]) -> tuple[str, ...]:
        try:
            parsed = [Budget.parse(text) for text in budgets]
        except UsageError as error:
            raise ValueError(str(error)) from None
        if timed := [budget.text for budget in parsed if budget.of == "nanoseconds"]:
            raise ValueError(
                f"{timed[0]} depends on the machine; give multiply-adds here, and search milliseconds in the trained "
                "run with stzoo select --budget --runtime"
            )
        return tuple(dict.fromkeys(budget.text for budget in parsed))


class Fixed(Optimisation):
    """[fixed]: one net with one strategy trained alone, in place of a template and its stages."""

    strategy: Annotated[Text, Field(description=f"{FORMS}, or a strategy file")]


class TemplateTables(NamedTuple):
    """What the recipe of a template has, all of it but `finetune` always."""

    warmup: Optimisation
    variational: Variational
    objective: Objective
    selection: Selection
    finetune: Optimisation | None
