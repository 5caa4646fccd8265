"""`stzoo compare`: posteriors and effects of several runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.cli.options import format_option
from stzoo.cli.rendering import refuse_figure, say_written
from stzoo.errors import UsageError, listed

if TYPE_CHECKING:
    import numpy as np

    from stzoo.bundle import Bundle
    from stzoo.metrics import Mean
    from stzoo.space.comparison import Branch, Comparison, PermutationTest, Subject

_MOST_IN_TABLE = 8  # runs of which every pair has a line


@click.command()
@click.argument("models", metavar="[GROUP=]A [GROUP=]B [...]", nargs=-1, required=True)
@click.option(
    "--figure",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the logits and effects of every run: png, svg or pdf.",
)
@format_option
def compare(models: tuple[str, ...], figure: Path | None, format_: str) -> None:
    """Compare the posteriors of several runs or bundles, and the effects that `stzoo effects` has measured of them.

    Runs of one recipe, or of what is written before the equals sign, are one group. Where groups have several runs
    each, such as seeds, an exact permutation test says whether they differ more than the seeds do.

    Distances are roots of mean squares over all branches: of the drop rates' logits, and of effects in nats.
    """
    from stzoo.space.comparison import compare as beside

    if figure is not None:
        refuse_figure(figure)
    comparison = beside([_subject(*_grouped(model)) for model in models])
    if format_ == "json":
        click.echo(json.dumps(_to_json(comparison), indent=2, ensure_ascii=False))
    else:
        _print(comparison)
    if figure is not None:
        _draw(comparison, figure)


def _grouped(text: str) -> tuple[str | None, str]:
    group, equals, model = text.partition("=")
    if not equals:
        return None, text
    if not group or not model:
        raise UsageError(f'"{text}" names no group or no model; write GROUP=MODEL, such as motion=runs/motion-0')
    return group, model


def _subject(group: str | None, model: str) -> Subject:
    """A run or bundle with its posterior, and its effects where there are any."""
    from stzoo import bundle as bundles
    from stzoo.space.comparison import Subject, logits_of
    from stzoo.zoo.reference import find

    folder = find(model).folder
    bundle = bundles.read(folder)
    if bundle.posterior is None:
        raise UsageError(f"{model} has no posterior, because it was not selected from a template; give another one")
    group = group or bundle.config.provenance.get("recipe") or bundle.name
    return Subject(model, group, logits_of(bundle.posterior), _effects_of(model, folder, bundle))


def _effects_of(model: str, folder: Path, bundle: Bundle) -> dict[Branch, Mean] | None:
    """Those of a bundle's template: measured beside it, in its run or here, or else those that it carries."""
    from stzoo.metrics import Mean
    from stzoo.space.keeping import is_of
    from stzoo.space.record import RECORD, read_effects

    run = [folder.parent.parent] if folder.parent.name == "bundles" else []
    places = (Path(model), folder, *run, Path(f"effects-{bundle.name}"))
    for path in dict.fromkeys(place / RECORD for place in places):
        if path.is_file():
            recorded = read_effects(path)
            if is_of(folder, recorded.template_digest, recorded.posterior):
                return {(effect.site, effect.branch): effect.cross_entropy for effect in recorded.effects}
            click.echo(f"{path} is passed over: it does not hold effects of the template of {model}.", err=True)
    if bundle.effects is None:
        return None
    return {(effect.site, effect.branch): Mean(*effect.cross_entropy) for effect in bundle.effects.branches}


def _by_group(comparison: Comparison) -> dict[str, list[Subject]]:
    groups: dict[str, list[Subject]] = {}
    for subject in comparison.subjects:
        groups.setdefault(subject.group, []).append(subject)
    return groups


def _to_json(comparison: Comparison) -> dict[str, Any]:
    def branches(values: Mapping[Branch, Any]) -> list[dict[str, Any]]:
        return [{"site": site, "branch": branch, **value} for (site, branch), value in values.items()]

    runs = [
        {
            "name": subject.name,
            "group": subject.group,
            "logits": branches({branch: {"logit": logit} for branch, logit in subject.logits.items()}),
            "effects": None
            if subject.effects is None
            else branches(
                {branch: {"value": mean.value, "error": mean.known_error} for branch, mean in subject.effects.items()}
            ),
        }
        for subject in comparison.subjects
    ]
    return {
        "runs": runs,
        "logits": _part(comparison.by_logits, comparison.logits_test),
        "effects": None if comparison.by_effects is None else _part(comparison.by_effects, comparison.effects_test),
    }


def _part(distances: np.ndarray[Any, Any], test: PermutationTest | None) -> dict[str, Any]:
    from dataclasses import asdict

    return {"distances": distances.tolist(), "permutation_test": None if test is None else asdict(test)}


def _print(comparison: Comparison) -> None:
    from stzoo.cli.drawing import plain_table, print_parts

    groups = _by_group(comparison)
    with_effects = comparison.by_effects is not None
    columns = [f"drop {group}:right" for group in groups]
    columns += [f"nats {group}:right" for group in groups] if with_effects else []
    table = plain_table("site", "branch", *columns)
    for branch in comparison.subjects[0].logits:
        cells = [_spread([_drop(subject.logits[branch]) for subject in of]) for of in groups.values()]
        if with_effects:
            cells += [_effect(of, branch) for of in groups.values()]
        table.add_row(*branch, *cells)
    parts: list[Any] = [table]
    if len(comparison.subjects) <= _MOST_IN_TABLE:
        pairs = plain_table("run", "and", "logits:right", *(["effects:right"] if with_effects else []))
        for first, one in enumerate(comparison.subjects):
            for second in range(first + 1, len(comparison.subjects)):
                cells = [f"{comparison.by_logits[first, second]:.3f}"]
                if comparison.by_effects is not None:
                    cells.append(f"{comparison.by_effects[first, second]:.4f}")
                pairs.add_row(one.name, comparison.subjects[second].name, *cells)
        parts.append(pairs)
    sizes = ", ".join(f"{group} ({len(of)})" for group, of in groups.items())
    says = [f"Groups: {sizes}.", _says("Logits", comparison.logits_test, groups)]
    if with_effects:
        says.append(_says("Effects", comparison.effects_test, groups))
        if alone := [subject.name for subject in comparison.subjects if _has_no_error(subject)]:
            says.append(f"The effects of {listed(alone)} have no standard error, because all videos are of one source.")
    else:
        without = [subject.name for subject in comparison.subjects if subject.effects is None]
        says.append(f"Effects are compared where stzoo effects has measured those of all; it lacks {listed(without)}.")
    print_parts(*parts, "\n".join(says))


def _says(what: str, test: PermutationTest | None, groups: Mapping[str, Sequence[Subject]]) -> str:
    from stzoo.space.comparison import MOST_ASSIGNMENTS

    if len(groups) < 2:
        return f"{what}: all runs are of one group; name groups as GROUP=MODEL to test whether they differ."
    if test is None and max(map(len, groups.values())) < 2:
        return f"{what}: every group has one run, so that nobody knows how much runs of one differ; train more seeds."
    if test is None:
        return f"{what}: there are more than {MOST_ASSIGNMENTS:,} ways to share out the groups, too many to try all."
    few = f"; with so few runs it cannot be less than {test.least:.3f}" if test.least > 0.05 else ""
    return (
        f"{what}: runs of different groups are {test.excess:+.4f} farther apart than runs of one; exact permutation "
        f"test over {test.assignments} assignments: p = {test.p:.3f}{few}."
    )


def _drop(logit: float) -> float:
    import math

    return 1 / (1 + math.exp(-logit))


def _spread(values: Sequence[float]) -> str:
    mean = sum(values) / len(values)
    return f"{mean:.3f}" if len(values) == 1 else f"{mean:.3f} ({min(values):.3f}–{max(values):.3f})"


def _effect(subjects: Sequence[Subject], branch: Branch) -> str:
    """The effect of one run with its standard error; the mean of several, with that of their mean."""
    means = [subject.effects[branch] for subject in subjects if subject.effects is not None]
    if len(means) == 1:
        error = means[0].known_error
        return f"{means[0].value:+.4f}" + ("" if error is None else f" ± {error:.4f}")
    middle = sum(mean.value for mean in means) / len(means)
    variance = sum((mean.value - middle) ** 2 for mean in means) / (len(means) - 1)
    return f"{middle:+.4f} ± {(variance / len(means)) ** 0.5:.4f}"


def _has_no_error(subject: Subject) -> bool:
    return any(mean.known_error is None for mean in (subject.effects or {}).values())


def _draw(comparison: Comparison, figure: Path) -> None:
    from stzoo.figures.comparison import comparison_figure

    groups = _by_group(comparison)
    effects = None
    if comparison.by_effects is not None:
        effects = {
            group: [
                {branch: mean.value for branch, mean in subject.effects.items()}
                for subject in of
                if subject.effects is not None
            ]
            for group, of in groups.items()
        }
    logits = {group: [subject.logits for subject in of] for group, of in groups.items()}
    comparison_figure(logits, effects, figure, " and ".join(groups))
    say_written(figure)
