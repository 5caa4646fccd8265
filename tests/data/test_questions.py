from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data.datasets import Item
from stzoo.data.questions import arrow_of_time, shuffled, without_classes
from stzoo.errors import DataError

CLASSES = ("clap", "sit", "stand", "wave")
items = st.lists(
    st.builds(
        Item, st.integers(0, 99).map(lambda n: Path(f"{n}.mp4")), st.integers(0, 3), st.sampled_from([None, "g"])
    ),
    max_size=20,
)


@given(items, st.sets(st.sampled_from(CLASSES), max_size=3))
def test_the_videos_of_the_other_classes_keep_their_class(listed: list[Item], left_out: set[str]) -> None:
    kept = [(item.path, CLASSES[item.label]) for item in listed if CLASSES[item.label] not in left_out]
    if not kept:
        with pytest.raises(DataError, match="train has no video; leave fewer out"):
            without_classes(CLASSES, {"train": listed}, tuple(left_out))
        return
    classes, splits = without_classes(CLASSES, {"train": listed}, tuple(left_out))
    assert classes == tuple(name for name in CLASSES if name not in left_out)
    assert [(item.path, classes[item.label]) for item in splits["train"]] == kept


def test_a_class_that_there_is_not_cannot_be_left_out() -> None:
    with pytest.raises(DataError, match=r'no class "stnad" to leave out \(data\.leave_out\)\. Did you mean "stand"'):
        without_classes(CLASSES, {"train": [Item(Path("a.mp4"), 0)]}, ("stnad",))


@given(items)
def test_a_video_and_its_reverse_are_of_one_source(listed: list[Item]) -> None:
    turned = arrow_of_time({"val": listed})["val"]
    assert [(item.label, item.order) for item in turned] == [(0, "given"), (1, "reversed")] * len(listed)
    assert [item.source for item in turned[::2]] == [item.source for item in turned[1::2]]
    assert [item.source for item in turned[::2]] == [item.source for item in listed]
    assert all(item.group is not None for item in turned)
    assert shuffled({"val": listed}) == {"val": [item._replace(order="shuffled") for item in listed]}
