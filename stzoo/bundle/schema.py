"""What a bundle says about its net: typed, frozen values. No torch, no files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from stzoo.contract import InputContract
from stzoo.errors import StrategyError
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy
from stzoo.validation import OneLine

FORMAT = 1
"""The number of the folder format that this version writes and reads."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
Line = Annotated[str, Field(min_length=1, max_length=500), OneLine]
Word = Annotated[str, Field(max_length=100)]
Option = bool | int | float | Word | Annotated[tuple[Word, ...], Field(max_length=50)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def labels_digest(labels: Iterable[str]) -> str:
    """SHA-256 of the labels in order, each ended by a newline, in UTF-8."""
    return hashlib.sha256("".join(f"{label}\n" for label in labels).encode()).hexdigest()


class Classes(_Value):
    """The labels in the order of the net's outputs, and their digest."""

    labels: Annotated[tuple[Line, ...], Field(min_length=1, max_length=100_000)]
    sha256: Sha256

    @model_validator(mode="after")
    def _consistent(self) -> Classes:
        if len(set(self.labels)) < len(self.labels):
            twice = next(label for index, label in enumerate(self.labels) if label in self.labels[:index])
            raise ValueError(f'the label "{twice}" occurs twice')
        digest = labels_digest(self.labels)
        if digest != self.sha256:
            raise ValueError(f"the labels have the digest {digest}, not {self.sha256} as written beside them")
        return self

    @classmethod
    def of(cls, labels: Iterable[str]) -> Classes:
        """Classes with the digest computed."""
        ordered = tuple(labels)
        return cls(labels=ordered, sha256=labels_digest(ordered))


class Backbone(_Value):
    """A backbone's name and the options that `stzoo.nets.fixed` gets besides strategy and classes."""

    name: Annotated[str, Field(pattern=r"^(timm:)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
    options: Annotated[dict[Slug, Option], Field(max_length=50)] = {}

    @property
    def text(self) -> str:
        """`mobilenet_v2 (pooling mean, deviation; stem_frames 1)`."""
        options = [
            f"{name} {', '.join(map(str, value)) if isinstance(value, tuple) else value}"
            for name, value in sorted(self.options.items())
        ]
        return f"{self.name} ({'; '.join(options)})" if options else self.name


class Versions(_Value):
    """The software that made the bundle."""

    stzoo: Line
    torch: Line | None = None


class Result(_Value):
    """One measured number. `value`, `low` and `high` are fractions for accuracies; `low` and `high` bound 95 %.

    `model` is the SHA-256 of the weights file that was measured.
    """

    dataset: Line
    split: Line
    protocol: Line
    metric: Slug
    value: float
    n: Annotated[int, Field(ge=1)]
    low: float | None = None
    high: float | None = None
    model: Sha256 | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Result:
        if self.is_accuracy and not 0.0 <= self.value <= 1.0:
            raise ValueError(f"the accuracy {self.value} is not a fraction between 0 and 1")
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has both low and high, or neither")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"the value {self.value} is not within its interval {self.low} to {self.high}")
        return self

    @property
    def is_accuracy(self) -> bool:
        """Whether the metric is a share of right answers: `top1`, `top5`, `accuracy`."""
        return self.metric.startswith("top") or self.metric == "accuracy"

    @property
    def text(self) -> str:
        """The value for people: `97.3 %` for accuracies, else four digits."""
        return f"{100 * self.value:.1f} %" if self.is_accuracy else f"{self.value:.4g}"

    @property
    def interval_text(self) -> str:
        """The interval for people: `95.8 to 98.4 %`, or an empty string."""
        if self.low is None or self.high is None:
            return ""
        return (
            f"{100 * self.low:.1f} to {100 * self.high:.1f} %"
            if self.is_accuracy
            else f"{self.low:.4g} to {self.high:.4g}"
        )


def _strategy(value: object) -> Strategy:
    try:
        return value if isinstance(value, Strategy) else Strategy.from_json(value)
    except StrategyError as error:
        raise ValueError(str(error)) from error


StrategyField = Annotated[
    Strategy,
    PlainValidator(_strategy),
    PlainSerializer(lambda strategy: strategy.to_json(), return_type=dict),
    WithJsonSchema({"type": "object"}),
]


HOW = {
    "pruned": "cut out of the trained template",
    "finetuned": "cut out of the trained template, then trained further",
    "alone": "trained with this strategy only",
}
"""How weights came about, by the word for it in `provenance`."""


class Config(_Value):
    """`config.json`: all that is needed to rebuild the net and to show it its input.

    `provenance` holds short facts about the making (recipe, seed, hardware, batch norm), shown in the card in order;
    `multiply_adds` is for one clip of the input contract.
    """

    format: Literal[1] = 1
    name: Slug
    backbone: Backbone
    classes: Classes
    strategy: StrategyField
    input: InputContract
    versions: Versions
    multiply_adds: Annotated[int | None, Field(ge=1)] = None
    provenance: Annotated[dict[Line, Line], Field(max_length=50)] = {}

    @property
    def making(self) -> dict[str, str]:
        """`provenance` as people read it."""
        return {key: HOW.get(fact, fact) if key == "weights" else fact for key, fact in self.provenance.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.strategy.backbone != self.backbone.name:
            raise ValueError(f"the strategy is for {self.strategy.backbone}, the net is {self.backbone.name}")
        return self


class BranchEffect(_Value):
    """What the template loses when one branch of a site is closed; `multiply_adds` is what the branch costs a clip.

    The changes of cross-entropy in nats and of accuracy as a share are values with their standard errors.
    """

    site: Line
    branch: Word
    cross_entropy: tuple[float, float]
    accuracy: tuple[float, float]
    multiply_adds: Annotated[int, Field(ge=0)]
    videos: Annotated[int, Field(ge=1)]

    @property
    def text(self) -> str:
        """The change of cross-entropy."""
        value, error = self.cross_entropy
        return f"{value:+.3f} ± {error:.3f}"


class BranchEffects(_Value):
    """The effects of a template's branches, each closed alone with all others open, on the videos called `data`.

    `cross_entropy` and `accuracy` are reached with every branch open. `rank_correlation` is that of the sum of effects
    with one-shot scores of strategies from all over the space, where it was looked at.
    """

    format: Literal[1] = 1
    template_digest: Sha256
    data: Line
    cross_entropy: float
    accuracy: Annotated[float, Field(ge=0, le=1)]
    rank_correlation: Annotated[float, Field(ge=-1, le=1)] | None = None
    branches: Annotated[tuple[BranchEffect, ...], Field(min_length=1, max_length=10_000)]

    @property
    def videos(self) -> int:
        """How many the branch that took most was looked at with."""
        return max(effect.videos for effect in self.branches)

    @property
    def largest_first(self) -> list[BranchEffect]:
        """The branches, from that which costs most to close."""
        return sorted(self.branches, key=lambda effect: -effect.cross_entropy[0])


@dataclass(frozen=True)
class Bundle:
    """A bundle without its weights: what `stzoo.bundle.read` returns and `save` writes.

    `metrics` goes from splits near the training data to those far from it. `recipe` is the TOML text as run, `scores`
    the CSV of sampled strategies. `effects` are those of the template that it was pruned from.
    """

    config: Config
    posterior: Posterior | None = None
    metrics: tuple[Result, ...] = ()
    recipe: str | None = None
    scores: str | None = None
    effects: BranchEffects | None = None

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def labels(self) -> tuple[str, ...]:
        return self.config.classes.labels

    @property
    def strategy(self) -> Strategy:
        return self.config.strategy

    @property
    def headline(self) -> Result | None:
        """The accuracy to quote where there is room for one: the last, on the split farthest from training."""
        return next((result for result in reversed(self.metrics) if result.is_accuracy), None)

    @property
    def contract(self) -> InputContract:
        return self.config.input
