"""[data] of a recipe: which videos train, select, validate and test, and what is asked of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from stzoo.recipe.base import Table, Text
from stzoo.validation import without_unseen

SplitName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]

Format = Literal[
    "list",
    "frame-list",
    "folders",
    "kinetics400",
    "something-v1",
    "something-v2",
    "ucf101",
    "hmdb51",
    "jhmdb",
]

_TITLES: dict[Format, str] = {
    "kinetics400": "Kinetics-400",
    "something-v1": "Something-Something V1",
    "something-v2": "Something-Something V2",
    "ucf101": "UCF101",
    "hmdb51": "HMDB51",
    "jhmdb": "J-HMDB",
}
_QUESTIONS = {"given": "", "shuffled": ", shuffled frames", "arrow": ", arrow of time"}

OWN_SPLITS = ("train", "selection", "val")


class Data(Table):
    """[data]: where the videos are, and which of them train, select, validate and test."""

    root: Annotated[
        Text, Field(description="the dataset's folder, from where stzoo is started or from ~; the videos are below it")
    ]
    format: Annotated[
        Format, Field(description="how lists and videos are kept: `path label` lists, or a dataset's official files")
    ] = "list"
    annotations: Annotated[
        Text | None, Field(description="the folder of the lists, relative to root; root itself if it is not given")
    ] = None
    groups: Annotated[
        Text | None,
        Field(
            description='CSV of path and source, beside the lists: one source is on one side of every split; or "none"'
        ),
    ] = None
    source_column: Annotated[Text, Field(description="the column of groups that names a video's source")] = "source"
    fold: Annotated[
        str | int | None,
        Field(
            description="this fold of the training list validates, in place of val; of both lists in official formats; "
            "the column fold of groups, or of a list that is a CSV file, tells it"
        ),
    ] = None
    classes: Annotated[
        Text | None,
        Field(
            description="class names in the order of the labels; official formats know their own", validate_default=True
        ),
    ] = None
    train: Annotated[
        Text | None,
        Field(description="list of training videos; official formats know their own", validate_default=True),
    ] = None
    val: Annotated[
        Text | None, Field(description="list of videos on which the winner is measured once", validate_default=True)
    ] = None
    selection_fraction: Annotated[float, Field(gt=0, le=0.5, description="part of train held out to select on")] = 0.1
    split_seed: Annotated[int, Field(ge=0, lt=2**63, description="of the draw of what is held out to select on")] = 0
    balance: Annotated[
        bool, Field(description="every class trains as often as any other, however few videos it has")
    ] = False
    leave_out: Annotated[tuple[Text, ...], Field(description="classes that are left out, with their videos")] = ()
    frame_order: Annotated[
        Literal["given", "shuffled", "arrow"],
        Field(description="of every clip; arrow: each video is in two classes, forward and with its frames reversed"),
    ] = "given"
    frame_rate: Annotated[
        float | None, Field(gt=0, le=1000, description="frames a second of videos that are folders of frames")
    ] = None
    max_broken: Annotated[
        float, Field(ge=0, lt=1, description="the largest part of a list that may be left out as unreadable")
    ] = 0.01
    cache: Annotated[
        bool, Field(description="decode training videos once, into strips; or anew for every clip, where they are many")
    ] = True
    good: Annotated[
        Text | None,
        Field(description="only videos named in this file, which stzoo data check --good writes; relative to root"),
    ] = None
    tests: Annotated[
        dict[SplitName, Text], Field(default_factory=dict, description="further splits, measured once at the end")
    ]

    @property
    def folder(self) -> Path:
        """`root`, in which `~` is the user's own folder."""
        return Path(os.path.expanduser(self.root))

    @property
    def dataset(self) -> str:
        """What the videos are called: the official dataset, or as their folder is; and what is asked of them."""
        name = _TITLES.get(self.format) or os.path.basename(os.path.abspath(self.folder))
        return without_unseen(name or "videos") + _QUESTIONS[self.frame_order]

    @field_validator("groups")
    @classmethod
    def _none_is_no_file(cls, groups: str | None) -> str | None:
        return None if groups == "none" else groups

    @field_validator("classes", "train", "val")
    @classmethod
    def _lists_are_named(cls, name: str | None, info: Any) -> str | None:
        folds_validate = info.field_name == "val" and info.data.get("fold") is not None
        if name is None and info.data.get("format") in ("list", "frame-list") and not folds_validate:
            raise PydanticCustomError("missing", "Field required")
        return name

    @field_validator("tests")
    @classmethod
    def _tests_are_further_splits(cls, tests: dict[str, str]) -> dict[str, str]:
        if taken := [name for name in tests if name in OWN_SPLITS]:
            raise ValueError(f'"{taken[0]}" is the name of one of the recipe\'s own splits; give the test another one')
        return tests
