"""The tables of a recipe: names, units, ranges and defaults of every value that decides a training run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, field_validator, model_validator

from stzoo.contract import InputContract
from stzoo.files import without_folders
from stzoo.recipe.agreement import disagreements
from stzoo.recipe.base import Rate, Table, Text
from stzoo.recipe.data import Data
from stzoo.recipe.stages import (
    STAGES,
    Fixed,
    Objective,
    Optimisation,
    Selection,
    Stage,
    TemplateTables,
    Variational,
)
from stzoo.strategies.strategy import ALL_BRANCHES, BRANCHES

TemporalStride = Literal["none", "x2", "x8", "low"]
"""Of all backbones together; each says which of them it has."""


class Augment(Table):
    """[augment]: training takes a random run of frames and a random crop, of strips or of the videos themselves."""

    strip_frames: Annotated[
        int | None, Field(ge=1, le=4096, description="frames of a strip, at the contract's rate; with data.cache")
    ] = None
    strip_size: Annotated[
        int | None, Field(ge=8, le=4096, description="side of a strip's square frames in pixels; with data.cache")
    ] = None
    short_sides: Annotated[
        tuple[Annotated[int, Field(ge=8, le=4096)], ...],
        Field(
            description="a frame's short side before the crop, drawn for every clip; else strip_size or input.resize"
        ),
    ] = ()
    frames: Annotated[int | None, Field(ge=1, le=1024, description="of a training clip; else input.frames")] = None
    stride_frames: Annotated[
        int | None, Field(ge=1, le=1000, description="of a training clip; else input.stride_frames")
    ] = None
    crop: Annotated[
        int | None, Field(ge=8, le=4096, description="side of the random crop in pixels; else input.crop")
    ] = None
    flip: Annotated[
        bool | Literal["label-aware"],
        Field(description="mirror half of the clips; label-aware: classes of left and right change places"),
    ] = False
    erase: Annotated[
        Rate, Field(description="of the clips, how many lose a rectangle: random erasing, Zhong et al. 2020")
    ] = 0.0
    stride: Annotated[
        Literal["fixed", "random"], Field(description="random: steps of 1 to input.stride_frames; without data.cache")
    ] = "fixed"

    def over(self, contract: InputContract) -> InputContract:
        """The contract with what this table says otherwise of a training clip."""
        return contract.model_copy(
            update=self.model_dump(include={"frames", "stride_frames", "crop"}, exclude_none=True)
        )


class Net(Table):
    """[net]: the backbone and what is fixed about it."""

    backbone: Annotated[str, Field(pattern=r"^(timm:)?[A-Za-z0-9_]+$", description="or timm:NAME, a net of timm: ours")]
    temporal_stride: Annotated[
        TemporalStride,
        Field(description="where time is shortened; x2: at the stem's convolution only; low: at the stem's pool only"),
    ] = "none"
    branches: Annotated[tuple[str, ...], Field(description="S, ST; or S, T, ST where the backbone has them")] = BRANCHES
    stem_frames: Annotated[
        Literal[1] | None,
        Field(description="1: the stem sees single frames, so that S does; else its own 5, or 1 in small backbones"),
    ] = None
    pooling: Annotated[
        tuple[str, ...],
        Field(description="what the head sees of the features over a clip's frames: mean, deviation, trend; ours"),
    ] = ("mean",)
    shared_norm: Annotated[bool, Field(description="DenseNets: one norm for all branches of a site; ours")] = False
    dropout: Annotated[Rate, Field(description="before the classifier, in every stage that names none itself")] = 0.0

    @field_validator("branches")
    @classmethod
    def _branches_make_a_set_of_units(cls, branches: tuple[str, ...]) -> tuple[str, ...]:
        if branches not in (BRANCHES, ALL_BRANCHES):
            raise ValueError(f"choose {json.dumps(BRANCHES)} or {json.dumps(ALL_BRANCHES)}")
        return branches

    @field_validator("stem_frames")
    @classmethod
    def _single_frames_are_all_seen(cls, frames: int | None, info: Any) -> int | None:
        if frames is not None and info.data.get("temporal_stride", "none") != "none":
            raise ValueError('needs temporal_stride = "none", because a stride would pass over frames or mix them')
        return frames


class Init(Table):
    """[init]: the weights that the first stage starts from; without it they are random."""

    source: Annotated[
        Text,
        Field(
            alias="from",
            description='"none", "imagenet", a file with 2D weights, timm:NAME of the Hub, a model, a bundle or a run',
        ),
    ]
    head: Annotated[
        Literal["auto", "keep", "replace"], Field(description="auto: kept where it is known to name the same classes")
    ] = "auto"
    temporal: Annotated[
        Literal["average", "centre"],
        Field(description="2D weights in ST: over three frames, or at the middle one"),
    ] = "average"
    batch_norm: Annotated[
        Literal["kept", "re-estimated", "absorbed"],
        Field(
            description="statistics of the net that is begun with: those of the weights, or of its own clips; "
            "absorbed: of its own clips, and scales and shifts that leave what the weights compute as it was"
        ),
    ] = "kept"


class Compute(Table):
    """[compute]: where and how the run is computed; no other table changes with the machine."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$", description="auto: a GPU if there is one")] = (
        "auto"
    )
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Field(
            description="autocast of the networks in training; auto: bfloat16 on a CPU that multiplies it, else float32"
        ),
    ] = "auto"
    micro_batch: Annotated[
        int,
        Field(ge=0, le=65_536, description="most clips a device computes at once, gradients add up; 0: its whole part"),
    ] = 0
    checkpoint_activations: Annotated[
        bool, Field(description="less memory: activations within the blocks are computed again on the way back")
    ] = False
    compile: Annotated[
        bool, Field(description="torch.compile the nets that are trained; without checkpoint_activations")
    ] = False
    threads: Annotated[
        int, Field(ge=0, le=1024, description="CPU threads; 0: one or all, whichever is faster in a trial at the start")
    ] = 0
    workers: Annotated[
        int,
        Field(
            ge=0,
            le=1024,
            description="processes that decode for each that trains where data.cache is off; 0: one a processor core",
        ),
    ] = 0

    @field_validator("compile")
    @classmethod
    def _compiles_what_is_kept(cls, compiled: bool, info: Any) -> bool:
        if compiled and info.data.get("checkpoint_activations"):
            raise ValueError("torch.compile cannot trace checkpoint_activations; leave one of the two out")
        return compiled


class Bundled(Table):
    """[bundle]: what the bundles of a run are made of."""

    weights: Annotated[
        Literal["float32", "float16"],
        Field(description="of kernels; in float16 nets are rounded before they are measured, and files half as large"),
    ] = "float32"
    template: Annotated[bool, Field(description="keep the template's weights, which effects are measured with")] = True


class Recipe(Table):
    """Everything that decides a training run: either a template's stages, or `fixed` alone."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+([-_.][a-z0-9]+)*$", max_length=100)]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    data: Data
    input: InputContract
    augment: Augment
    net: Net
    init: Init | None = None
    compute: Compute = Compute()
    warmup: Optimisation | None = None
    variational: Variational | None = None
    objective: Objective | None = None
    selection: Selection | None = None
    finetune: Optimisation | None = None
    fixed: Fixed | None = None
    bundle: Bundled = Bundled()

    @model_validator(mode="after")
    def _tables_agree(self) -> Recipe:
        tables = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        if problems := list(disagreements(tables, set(tables))):
            raise ValueError("; ".join(problems))
        return self

    @property
    def stages(self) -> dict[Stage, Optimisation]:
        """The tables of the stages that this recipe trains, in their order."""
        return {stage: table for stage in STAGES if (table := getattr(self, stage)) is not None}

    @property
    def first_stage(self) -> Stage:
        """The stage that starts from the weights of [init]."""
        return next(iter(self.stages))

    @property
    def template(self) -> TemplateTables | None:
        """What a template is trained by and selected from; None for a [fixed] recipe."""
        if self.warmup is None or self.variational is None or self.objective is None or self.selection is None:
            return None
        return TemplateTables(self.warmup, self.variational, self.objective, self.selection, self.finetune)

    @property
    def training_input(self) -> InputContract:
        """How training cuts its clips: as [input] says, but for what [augment] says otherwise.

        Its `crop` may be larger than its `resize`, which training's strips and short sides take the place of.
        """
        return self.augment.over(self.input)

    @property
    def trained_at_once(self) -> int:
        """The clips of the largest batch that one device alone computes in one pass."""
        largest = max(table.batch_size for table in self.stages.values())
        return min(self.compute.micro_batch or largest, largest)

    @property
    def scored_at_once(self) -> int:
        """The clips of [input] that have no more pixels than those that training computes at once."""
        trained, scored = (clip.frames * clip.crop**2 for clip in (self.training_input, self.input))
        return max(1, self.trained_at_once * trained // scored)

    def portable(self) -> Recipe:
        """The recipe as others see it: of absolute paths, only the last part."""
        return Recipe.model_validate(_each_text(without_folders, self.model_dump(exclude_none=True, by_alias=True)))

    def to_toml(self) -> str:
        """The resolved recipe, every default written out: reading it gives an equal recipe."""
        return "# stzoo train recipe.toml\n\n" + tomli_w.dumps(self.model_dump(exclude_none=True, by_alias=True))


def _each_text(change: Callable[[str], str], value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _each_text(change, inner) for name, inner in value.items()}
    return change(value) if isinstance(value, str) else value
