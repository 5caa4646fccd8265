"""What is carved out of a training list: videos that strategies are compared on, and those that judge finetuning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from stzoo.data.datasets import Item
from stzoo.errors import DataError, quoted
from stzoo.recipe import Recipe
from stzoo.training.draws import Draws


@dataclass(frozen=True, eq=False)
class Splits:
    """The training list in disjoint parts, as row numbers of the list.

    Strategies are compared on `selection`; `choice` judges between the best of them and its finetuned weights.
    """

    train: Int64[np.ndarray, " train"]
    selection: Int64[np.ndarray, " selection"]
    choice: Int64[np.ndarray, " choice"] = field(default_factory=lambda: np.zeros(0, np.int64))


def split(groups: Sequence[str | None], fraction: float, seed: int, labels: Sequence[int] | None = None) -> Splits:
    """Carves the selection split out of a training list: a seeded draw of whole groups, rows in rising order.

    Args:
        groups: the group of every video of the list; a video without one is a group of its own.
        fraction: part of the videos that is wanted for the selection split. Groups are drawn until it is reached, so
            the split is at most a group larger.
        seed: of the draw.
        labels: the class of every video. A group without which a class would have no video to train on is not drawn, so
            the split may be smaller.

    Raises:
        DataError: either part would be empty.
    """
    held_out = round(len(groups) * fraction)
    parts = _rows_by_group(groups)
    selection: list[int] = []
    remaining = Counter(labels or ())
    for part in Draws(seed, "selection", 0).order(len(parts)):
        if len(selection) >= held_out:
            break
        taken = Counter(labels[row] for row in parts[part]) if labels is not None else Counter()
        if any(remaining[label] <= count for label, count in taken.items()):
            continue
        remaining.subtract(taken)
        selection += parts[part]
    train = np.setdiff1d(np.arange(len(groups)), selection)
    if not selection or not len(train):
        empty = f"data.selection_fraction = {fraction} of {len(groups)} training videos in {len(parts)} groups"
        if held_out and labels is not None:
            raise DataError(
                f"{empty} cannot be held out, because every class keeps one group to train on and none has another; "
                "give at least one class more videos"
            )
        raise DataError(f"{empty} leaves one split empty; give more videos or another fraction")
    return Splits(train, np.sort(np.array(selection, dtype=np.int64)))


def split_of(items: Sequence[Item], recipe: Recipe) -> Splits:
    """The selection split of a recipe's training list. Raises `DataError` as `split` does."""
    labels, groups = [item.label for item in items], [item.group for item in items]
    parts = split(groups, recipe.data.selection_fraction, recipe.data.split_seed, labels)
    if recipe.finetune is None or recipe.selection is None:
        return parts
    return with_choice(parts, groups, recipe.selection.choice_fraction, recipe.data.split_seed)


def with_choice(parts: Splits, groups: Sequence[str | None], fraction: float, seed: int) -> Splits:
    """Takes a part of the selection split for the choice: whole groups, until the fraction is reached.

    The last group stays where it is, so nothing is taken where there is one alone.
    """
    members = _rows_by_group([groups[row] for row in parts.selection])
    wanted = round(len(parts.selection) * fraction)
    taken: list[int] = []
    for part in Draws(seed, "selection", 2).order(len(members))[:-1]:
        if len(taken) < wanted:
            taken += members[part]
    chosen = np.zeros(len(parts.selection), dtype=np.bool_)
    chosen[taken] = True
    return Splits(parts.train, parts.selection[~chosen], parts.selection[chosen])


def _rows_by_group(groups: Sequence[str | None]) -> list[list[int]]:
    """The rows of every group, in the order in which groups first come; a row without one is a group of its own."""
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(f"{row}" if group is None else f"group {group}", []).append(row)
    return list(members.values())


def without_selection(items: Sequence[Item], splits: Splits, classes: Sequence[str]) -> str | None:
    """A sentence about the classes of one source alone, all of whose videos therefore train; None without any."""
    sources: dict[int, set[str]] = {}
    for item in items:
        sources.setdefault(item.label, set()).add(item.source)
    selects = {items[row].label for row in (*splits.selection, *splits.choice)}
    names = [classes[label] for label in sorted(sources) if len(sources[label]) == 1 and label not in selects]
    if not names:
        return None
    return (
        f"{len(names)} of {len(classes)} classes have one source alone, which trains, so that no video of theirs is in "
        f"the selection split: {quoted(names)}."
    )
