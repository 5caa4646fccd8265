"""Several runs beside each other: how far apart their posteriors and effects are, and whether their groups differ."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from stzoo.errors import UsageError
from stzoo.metrics import Mean
from stzoo.strategies.posterior import Posterior

Branch = tuple[str, str]
"""A site and a branch of it."""

LARGEST_LOGIT = math.log(1e4)
"""A gate's logit counts no farther from 0: beyond it, with drop rates under 1e-4, a gate only keeps on going."""
MOST_ASSIGNMENTS = 200_000

Distances = Float64[np.ndarray, "runs runs"]


@dataclass(frozen=True)
class Subject:
    """One of the runs that are compared. `group` says what it is a case of, such as the recipe of several seeds.

    `effects` are None where nobody has measured them.
    """

    name: str
    group: str
    logits: Mapping[Branch, float]
    effects: Mapping[Branch, Mean] | None


@dataclass(frozen=True)
class PermutationTest:
    """Whether runs of different groups are farther apart than runs of one, against all ways to share out the groups.

    `excess` is the mean distance between runs of different groups less that of runs of one, `p` the part of so many
    `assignments` with at least as much, the true one among them, and `least` the smallest p that there can be.
    """

    excess: float
    p: float
    assignments: int
    least: float


@dataclass(frozen=True)
class Comparison:
    """All runs, how far apart they are (the root of the mean square over branches), and what groups say of that.

    `by_effects` is None where effects are not known of every run. A test is None where there are not two groups, or
    none with two runs, or more than `MOST_ASSIGNMENTS` ways.
    """

    subjects: tuple[Subject, ...]
    by_logits: Distances
    by_effects: Distances | None
    logits_test: PermutationTest | None
    effects_test: PermutationTest | None


def logits_of(posterior: Posterior) -> dict[Branch, float]:
    """The logit of every branch's drop probability, at most `LARGEST_LOGIT` from 0."""
    least = 1 / (1 + math.exp(LARGEST_LOGIT))
    drops = {(site, branch): drop for site, branches in posterior.drop.items() for branch, drop in branches.items()}
    bounded = {branch: min(max(drop, least), 1 - least) for branch, drop in drops.items()}
    return {branch: math.log(drop) - math.log1p(-drop) for branch, drop in bounded.items()}


def compare(subjects: Sequence[Subject]) -> Comparison:
    """Puts runs beside each other. Raises `UsageError` for fewer than two, and for nets with other branches."""
    if len(subjects) < 2:
        raise UsageError("one run alone cannot be compared; name two at least")
    first = subjects[0]
    for other in subjects[1:]:
        if other.logits.keys() != first.logits.keys():
            raise UsageError(f"{first.name} and {other.name} have different sites or branches; compare runs of one net")
    groups = [subject.group for subject in subjects]
    by_logits = distances([subject.logits for subject in subjects])
    by_effects = None
    known = [subject.effects for subject in subjects if subject.effects is not None]
    if len(known) == len(subjects):
        values = [{branch: mean.value for branch, mean in effects.items()} for effects in known]
        odd = next((place for place, one in enumerate(values) if one.keys() != values[0].keys()), None)
        if odd is not None:
            raise UsageError(
                f"the effects of {first.name} and {subjects[odd].name} are of different branches; measure them again "
                "with stzoo effects"
            )
        by_effects = distances(values)
    return Comparison(
        tuple(subjects),
        by_logits,
        by_effects,
        permutation_test(by_logits, groups),
        None if by_effects is None else permutation_test(by_effects, groups),
    )


def distances(values: Sequence[Mapping[Branch, float]]) -> Distances:
    """Between all pairs, the root of the mean square of differences."""
    rows = np.array([[one[branch] for branch in values[0]] for one in values], dtype=np.float64)
    return np.asarray(np.sqrt(np.square(rows[:, None] - rows[None]).mean(axis=2)))


def permutation_test(apart: Distances, groups: Sequence[str]) -> PermutationTest | None:
    """The exact test over all assignments of the runs to groups of the same sizes."""
    sizes = list(Counter(groups).values())
    count = math.factorial(len(groups)) // math.prod(math.factorial(size) for size in sizes)
    if len(sizes) < 2 or max(sizes) < 2 or count > MOST_ASSIGNMENTS:
        return None
    pairs = np.triu_indices(len(groups), 1)
    lengths = apart[pairs]

    def excess(labels: Sequence[int]) -> float:
        numbers = np.array(labels)
        same = numbers[pairs[0]] == numbers[pairs[1]]
        return float(lengths[~same].mean() - lengths[same].mean())

    names = list(dict.fromkeys(groups))
    found = excess([names.index(group) for group in groups])
    as_far = sum(excess(labels) >= found - 1e-12 for labels in _assignments(len(groups), sizes))
    alike = math.prod(math.factorial(number) for number in Counter(sizes).values())
    return PermutationTest(found, as_far / count, count, alike / count)


def _assignments(runs: int, sizes: Sequence[int]) -> Iterator[list[int]]:
    """Every way to give so many runs to groups of these sizes, as the number of each run's group."""

    def share_out(left: tuple[int, ...], group: int, labels: list[int]) -> Iterator[list[int]]:
        if group == len(sizes):
            yield labels
            return
        for members in itertools.combinations(left, sizes[group]):
            labelled = [group if run in members else label for run, label in enumerate(labels)]
            yield from share_out(tuple(run for run in left if run not in members), group + 1, labelled)

    return share_out(tuple(range(runs)), 0, [0] * runs)
