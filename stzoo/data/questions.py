"""Other questions to the videos of a list: with fewer classes, with their frames mixed, or where their time points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from stzoo.data.datasets import Item
from stzoo.data.sources import Splits
from stzoo.errors import DataError, did_you_mean

ARROW = ("forward", "reversed")
"""The classes of the arrow of time."""


def without_classes(classes: Sequence[str], splits: Splits, left_out: Sequence[str]) -> tuple[tuple[str, ...], Splits]:
    """The other classes in their order, and their videos.

    Raises:
        DataError: there is no such class, or a split has no video left.
    """
    for name in left_out:
        if name not in classes:
            raise DataError(f'there is no class "{name}" to leave out (data.leave_out).{did_you_mean(name, classes)}')
    kept = tuple(name for name in classes if name not in left_out)
    labels = {classes.index(name): label for label, name in enumerate(kept)}
    others = {
        split: [item._replace(label=labels[item.label]) for item in items if item.label in labels]
        for split, items in splits.items()
    }
    if empty := [split for split, items in others.items() if not items]:
        raise DataError(f"without the classes of data.leave_out, {empty[0]} has no video; leave fewer out.")
    return kept, others


def shuffled(splits: Splits) -> Splits:
    """The same videos, the frames of whose clips are mixed."""
    return {split: [item._replace(order="shuffled") for item in items] for split, items in splits.items()}


def arrow_of_time(splits: Splits) -> Splits:
    """Every video twice, of the class forward and with every clip's frames reversed; both are of one source.

    A clip and its reverse are the same frames, so a net that sees single frames is right half of the time.
    """
    return {
        split: [both for item in items for both in (_turned(item, 0, "given"), _turned(item, 1, "reversed"))]
        for split, items in splits.items()
    }


def _turned(item: Item, label: int, order: Literal["given", "reversed"]) -> Item:
    return item._replace(label=label, group=item.source, order=order)
