from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from stzoo.bundle.schema import Line
from stzoo.recipe import Data

LISTS: Any = {"classes": "classes.txt", "train": "train.txt", "val": "val.txt"}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (Data(root="~/data/camera/", **LISTS), "camera"),
        (Data(root="here/ucf", format="ucf101"), "UCF101"),
        (Data(root="here/ucf", format="ucf101", frame_order="arrow"), "UCF101, arrow of time"),
        (Data(root="/", **LISTS, frame_order="shuffled"), "videos, shuffled frames"),
    ],
)
def test_videos_are_called_as_their_dataset_or_folder_is(data: Data, name: str) -> None:
    assert data.dataset == name


@given(st.text(min_size=1, max_size=100))
def test_what_a_folder_is_called_fits_a_line_of_a_bundle(root: str) -> None:
    TypeAdapter(Line).validate_python(Data(root=root, **LISTS).dataset)
