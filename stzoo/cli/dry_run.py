"""What `stzoo train --dry-run` shows: what would be trained, what it costs, whether the data is there; the recipe."""

from __future__ import annotations

from collections.abc import Set
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich.filesize import decimal

from stzoo.cli.drawing import pairs, plain_table, print_parts
from stzoo.errors import DataError, StzooError, UsageError, VideoError

if TYPE_CHECKING:
    from stzoo.data.lists import Lists
    from stzoo.nets import Classifier
    from stzoo.recipe import Init, Recipe

_FIRST_VIDEOS = 3


def dry_run(recipe: Recipe, written: Recipe | None = None) -> bool:
    """Prints all of it for a recipe; whether training could start. The text at the end is that of `written`, if any."""
    problems: list[str] = []
    notes: list[str] = []
    lists = _lists(recipe, problems)
    print_parts(pairs(_facts(recipe)))
    _print_costs(recipe, lists)
    if lists is not None:
        _print_lists(recipe, lists)
        _look_at_videos(recipe, lists, problems, notes)
        _look_at_budgets(recipe, len(lists.classes), problems)
    if recipe.init is not None:
        _look_at_weights(recipe.init, recipe, None if lists is None else lists.classes, problems, notes)
    click.echo(f"\nThe recipe, every value written out:\n\n{(written or recipe).to_toml()}")
    for sentence in notes:
        click.echo(sentence)
    for sentence in problems:
        click.echo(f"Error: {sentence}", err=True)
    if not problems:
        click.echo("The lists can be read, and so can the first videos of each. Nothing was trained or written.")
    return not problems


def _lists(recipe: Recipe, problems: list[str]) -> Lists | None:
    from stzoo.data.lists import read_lists

    try:
        return read_lists(recipe.data)
    except DataError as error:
        problems.append(str(error))
        return None


def _look_at_videos(recipe: Recipe, lists: Lists, problems: list[str], notes: list[str]) -> None:
    from stzoo.data.lists import missing, without_videos

    absent = missing(lists, recipe.data.max_broken)
    for lacking in absent.values():
        (problems if lacking.too_many else notes).append(lacking.sentence)
    notes += lists.notes
    notes += [sentence for sentence in (without_videos(lists, absent),) if sentence]
    problems += _unfit(recipe, lists, {path for lacking in absent.values() for path in lacking.paths})


def _look_at_budgets(recipe: Recipe, classes: int, problems: list[str]) -> None:
    from stzoo.training.demands import check_budgets

    try:
        check_budgets(recipe, classes)
    except UsageError as error:
        problems.append(str(error))


def _look_at_weights(
    init: Init, recipe: Recipe, labels: tuple[str, ...] | None, problems: list[str], notes: list[str]
) -> None:
    """Whether the first weights are there and fit; where `labels` are not known, without a look at the head."""
    from stzoo.training.initial import look_for

    try:
        remains = look_for(init, _blank_net(recipe, len(labels or ("unknown",))), labels)
    except StzooError as error:
        problems.append(str(error))
    else:
        notes += [] if remains is None else [remains]


def _blank_net(recipe: Recipe, classes: int) -> Classifier:
    """The net of the first stage, without memory."""
    from stzoo.nets.blank import without_memory
    from stzoo.training.blueprint import Blueprint

    with without_memory():
        return Blueprint.of(recipe, classes).first


def _facts(recipe: Recipe) -> dict[str, str]:
    net, augment = recipe.net, recipe.augment
    training = recipe.training_input
    sides = augment.short_sides or (augment.strip_size or recipe.input.short_side,)
    seen = f", {' and '.join(net.pooling)} over time" if net.pooling != ("mean",) else ""
    branches = ",".join(net.branches) + (", stem of single frames" if net.stem_frames else "") + seen
    trained = "template, from which a strategy is selected"
    if recipe.fixed is not None:
        trained = f"strategy {Path(recipe.fixed.strategy).name} alone"
    return {
        "recipe": recipe.name,
        "data": f"{recipe.data.format} in {recipe.data.root}",
        "input": recipe.input.text,
        "training": f"{training.frames} frames, {training.rate}, random crop {training.crop} of short side "
        f"{' or '.join(map(str, sides))}, {augment.stride} stride, flip {str(augment.flip).lower()}",
        "net": f"{net.backbone}, temporal stride {net.temporal_stride}, branches {branches}; {trained}",
        "starts from": "none" if recipe.init is None else recipe.init.source,
        "machine": _machine(recipe),
    }


def _machine(recipe: Recipe) -> str:
    compute = recipe.compute
    words = [f"device {compute.device}", f"precision {compute.precision}"]
    if compute.micro_batch:
        words.append(f"at most {compute.micro_batch} clips at once on each device, which their batch norm then sees")
    if compute.checkpoint_activations:
        words.append("activations within blocks computed again")
    if compute.compile:
        words.append("compiled")
    if averaged := [f"{stage} {table.ema}" for stage, table in recipe.stages.items() if table.ema]:
        words.append(f"moving average of the weights in {', '.join(averaged)}")
    return ", ".join(words)


def _print_costs(recipe: Recipe, lists: Lists | None) -> None:
    """On the lists that are here, or else on the official dataset that the recipe is for."""
    from stzoo.training.blueprint import architecture_of
    from stzoo.training.forecast import OFFICIAL, Size, forecast, power

    size = OFFICIAL.get(recipe.data.format) if lists is None else Size(len(lists.classes), len(lists.train))
    if size is None:
        click.echo("\nWhat it would cost is known once the lists can be read.")
        return
    counted = "the official dataset" if lists is None else "the lists that are here"
    costs = forecast(recipe, size)
    table = plain_table(
        "stage",
        "epochs:right",
        "batch:right",
        "rate:right",
        "steps an epoch:right",
        "steps:right",
        "multiply-adds:right",
    )
    for stage in costs.stages:
        each = stage.steps // stage.epochs
        numbers = (stage.epochs, stage.batch_size, recipe.stages[stage.name].learning_rate, each, stage.steps)
        table.add_row(stage.name, *map(str, numbers), power(stage.multiply_adds))
    steps = sum(stage.steps for stage in costs.stages)
    table.add_row("all", "", "", "", "", str(steps), power(costs.multiply_adds))
    facts = {
        "classes": f"{size.classes}, {size.videos} training videos ({counted}), of which about {costs.clips} train",
        "sites": str(len(architecture_of(recipe, size.classes).sites)),
        "parameters": f"{costs.net.parameters:,}",
        "multiply-adds": f"{costs.net.multiply_adds:,} of a training clip, forward",
        "memory": f"about {decimal(costs.memory_bytes)} for {costs.at_once} clips at once on one device: what "
        f"autograd keeps of them in float32 ({decimal(costs.clip_bytes)} a clip), weights, gradients and momentum",
    }
    if lists is not None:
        facts["time"] = _time(recipe, size.classes, sum(stage.epochs for stage in costs.stages) * costs.clips)
    print_parts(pairs(facts), "", table)


def _time(recipe: Recipe, classes: int, clips: int) -> str:
    """How long training would take here, told from a trial with a few clips."""
    from stzoo.terminal.progress import duration
    from stzoo.training.blueprint import Blueprint
    from stzoo.training.machine import device_of, machine_of, settled
    from stzoo.training.threads import seconds_a_clip

    try:
        machine = machine_of(settled(recipe.compute, recipe.net.backbone, device_of(recipe.compute)))
        seconds = seconds_a_clip(recipe, Blueprint.of(recipe, classes).first, machine, steps=2)
    except (StzooError, RuntimeError) as error:
        return f"not known, as a trial step failed: {str(error).splitlines()[0]}"
    return (
        f"about {duration(seconds * clips)} of training here on {machine.device.type} in {machine.precision}, where a "
        f"trial clip took {seconds:.2g} s; decoding, selection and measuring come on top"
    )


def _print_lists(recipe: Recipe, lists: Lists) -> None:
    table = plain_table("list", "videos:right", "decoded clips on disk:right")
    contract = recipe.input
    clip = contract.frames * contract.crop**2 * 3
    augment, train = recipe.augment, ""
    if recipe.data.cache and augment.strip_frames is not None and augment.strip_size is not None:
        train = decimal(len(lists.train) * augment.strip_frames * augment.strip_size**2 * 3)
    held_out = round(len(lists.train) * recipe.data.selection_fraction)
    sizes = {"selection": (held_out, held_out * clip)}
    sizes |= {name: (len(items), len(items) * contract.clips * clip) for name, items in lists.tests.items()}
    table.add_row("train", str(len(lists.train)), train)
    for name, (videos, size) in sizes.items():
        table.add_row(f"{name} (of train)" if name == "selection" else name, str(videos), decimal(size))
    print_parts(table)


def _unfit(recipe: Recipe, lists: Lists, absent: Set[Path]) -> list[str]:
    """A sentence for a split that would be empty, and for every list whose first videos on disk cannot all be read."""
    from stzoo.training.splits import split_of
    from stzoo.video.reader import read_or_say

    sentences = []
    try:
        split_of(lists.train, recipe)
    except DataError as error:
        sentences.append(str(error))
    for name, items in {"train": lists.train, **lists.tests}.items():
        looked = list(islice((item for item in items if item.path not in absent), _FIRST_VIDEOS))
        reads = [read_or_say(item.video, recipe.input, 1) for item in looked]
        reasons = [str(read) for read in reads if isinstance(read, VideoError)]
        if reasons:
            sentences.append(f"{len(reasons)} of the first {len(looked)} videos of {name} cannot be read: {reasons[0]}")
    return sentences
