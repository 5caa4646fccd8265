"""`stzoo effects`: what each branch of a template is worth, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

from stzoo.cli.interrupts import saying_how_to_go_on
from stzoo.cli.options import format_option, root_option
from stzoo.errors import DataError, UsageError, require

if TYPE_CHECKING:
    from stzoo.nets.classifier import Classifier
    from stzoo.space.effects import Effects, Trust
    from stzoo.space.one_shot import SelectionClips
    from stzoo.space.record import EffectsRecord

_CALIBRATION_VIDEOS, _CALIBRATION_BATCH = 256, 64
_CLASSES_SHOWN = 3


@click.command()
@click.argument("model", metavar="RUN|NAME|PATH")
@click.option(
    "--data",
    metavar="LIST",
    type=click.Path(path_type=Path, exists=True),
    help="Labelled videos, as for `stzoo evaluate`.  [default: the selection split of a RUN]",
)
@root_option
@click.option(
    "--check",
    metavar="N",
    type=click.IntRange(3, 10_000),
    help="Also score N strategies from all over the space, and say how well the sum of effects ranks them.",
)
@click.option(
    "--se",
    "enough",
    metavar="NATS",
    type=click.FloatRange(0, 10),
    default=0.0,
    help="Take no more videos for a branch once the standard error of its cross-entropy is that small.",
)
@click.option("--per-class", is_flag=True, help="Also show which classes lose most; effects-classes.csv has all.")
@click.option("--latency", is_flag=True, help="Also time what each branch costs on this machine.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for tables and figure, where a stopped measurement goes on.  [default: the RUN, or effects-MODEL]",
)
@click.option(
    "--keep",
    is_flag=True,
    help="Put the effects into the bundle, or the RUN's: its card and `stzoo show` have them then.",
)
@click.option("--cache", type=click.Path(path_type=Path), help="Where decoded clips are kept.  [default: beside it]")
@format_option
@click.option("--quiet", is_flag=True, help="No progress bar.")
def effects(
    model: str,
    data: Path | None,
    root: Path | None,
    check: int | None,
    enough: float,
    per_class: bool,
    latency: bool,
    out: Path | None,
    keep: bool,
    cache: Path | None,
    format_: str,
    quiet: bool,
) -> None:
    """Say what each branch of a template is worth: what its net loses when that branch alone is closed.

    Every net is pruned out of the template of a RUN or of a bundle that carries it; its batch-norm statistics are
    estimated anew, nothing is trained. Positive numbers speak for a branch. Standard errors take videos that were cut
    from one recording to be right or wrong together.
    """
    require("torch", "matplotlib")
    from stzoo.figures.strategies import effects_figure
    from stzoo.nets import posterior
    from stzoo.space import keeping
    from stzoo.space.effects import check_sum, closings, draw_evenly, measure_effects
    from stzoo.space.judge import Judge
    from stzoo.space.record import EffectsRecord
    from stzoo.terminal.progress import counting

    with saying_how_to_go_on():
        subject = _of_run(model, cache, quiet) if data is None else _of_bundle(model, data, root, out, cache, quiet)
        folder = out or subject.folder
        digest, learnt = subject.about["template"], posterior(subject.template)
        kept_in = keeping.bundles_to_keep_in(model, digest, learnt) if keep else []
        about = {**subject.about, "standard_error": enough, "latency": latency}
        record = EffectsRecord(folder, about, subject.labels, learnt)
        known, trust = record.read()
        there = {(effect.site, effect.branch) for effect in known}
        closed = [one for site, branch, one in closings(subject.architecture) if (site.name, branch) not in there]
        asked = {subject.architecture.all_open, *closed, *draw_evenly(subject.architecture, check or 0)}
        judge = Judge(subject.template, subject.clips, record.answers)
        answers = len(asked) * judge.videos
        done = sum(map(judge.seen, asked))
        if done < answers:
            click.echo(_cost(len(asked), len(closed), subject.clips, done, enough), err=True)
        with counting("effects", answers, unit="answers", completed=done, show=not quiet) as bar:
            judge.advance, judge.prepare = bar.advance, bar.prepare
            so_far: list[Any] = []

            def advance(effect: Any) -> None:
                so_far.append(effect)
                record.keep(so_far, trust)

            measured = measure_effects(
                judge, subject.sources, enough=enough, latency=latency, known=known, advance=advance
            )
            trust = trust if check is None else check_sum(judge, measured, check)
            bar.reach(answers, answers)
    record.finish(measured, trust)
    losses = {(effect.site, effect.branch): effect.cross_entropy for effect in measured.effects}
    picture = folder / "effects.png"
    effects_figure(learnt, losses, picture, subject.name)
    videos = data.name if data else "its selection split"
    keeping.keep(kept_in, measured, trust, template_digest=digest, data=videos, picture=picture)
    if format_ == "json":
        click.echo(json.dumps(record.to_json(measured, trust), indent=2, ensure_ascii=False))
    else:
        _print(record, measured, trust, len(subject.clips.clips), per_class, kept_in)


class _Subject(NamedTuple):
    """A template, the videos that it is looked at with, and where the results go."""

    name: str
    template: Classifier
    clips: SelectionClips
    sources: Sequence[str]
    labels: tuple[str, ...]
    folder: Path
    about: dict[str, Any]

    @property
    def architecture(self) -> Any:
        from stzoo import nets

        return nets.architecture(self.template)


def _of_run(model: str, cache: Path | None, quiet: bool) -> _Subject:
    """The template of a run and its selection split."""
    from stzoo import card as cards
    from stzoo.errors import TrainingError
    from stzoo.training.blueprint import template_tables
    from stzoo.training.bundling import template_digest
    from stzoo.training.run import Run
    from stzoo.training.stages import prepare
    from stzoo.training.voice import Voice

    if model not in cards.names() and not Path(model).exists():
        raise UsageError(f"{model} does not exist; give the folder of a run, or with --data any model with a template")
    if not (Path(model) / "recipe.toml").is_file() or (Path(model) / "config.json").exists():
        raise UsageError(f"{model} is not a run; say with --data on which labelled videos a model is looked at")
    run = Run.open(Path(model))
    template_tables(run)
    if not run.weights("variational").exists():
        raise TrainingError(f"{run.folder} has no trained template yet; run stzoo train on its recipe first")
    stages = prepare(run, cache or run.folder.parent / "cache", Voice(click.echo, progress=not quiet))
    sources, template = stages.selection.sources, stages.variational()
    about = {
        "template": template_digest(run),
        "videos": _digest(sources, stages.selection.labels.tolist()),
        "contract": stages.selection.contract.model_dump(mode="json"),
    }
    labels = stages.data.labels
    return _Subject(run.recipe.name, template, stages.selection, sources, labels, run.folder, about)


def _of_bundle(
    model: str, data: Path, root: Path | None, out: Path | None, cache: Path | None, quiet: bool
) -> _Subject:
    """The template of a bundle and labelled videos, from which its batch norm is estimated, too."""
    import torch

    from stzoo import bundle as bundles
    from stzoo.bundle import rebuild
    from stzoo.data.cache import open_clips
    from stzoo.data.labelled import labelled
    from stzoo.inference import to_input
    from stzoo.space.one_shot import SelectionClips
    from stzoo.zoo.reference import find

    folder = find(model, files=(*bundles.TEXTS, bundles.MODEL, bundles.TEMPLATE)).folder
    bundle = bundles.read(folder)
    template = rebuild.template_of(folder, bundle)
    contract = bundle.contract.changed(clips=1)
    target = out or Path(f"effects-{bundle.name}")
    held = open_clips(
        cache or target / "cache",
        labelled(data, root, bundle.labels, say=partial(click.echo, err=True)),
        contract,
        max_broken=0.5,
        progress=not quiet,
    )
    if not len(held):
        raise DataError(f"none of the videos of {data} can be read")

    def calibration() -> Any:
        step = max(1, len(held) // _CALIBRATION_VIDEOS)
        clips = held.clips[::step][:_CALIBRATION_VIDEOS]
        for start in range(0, len(clips), _CALIBRATION_BATCH):
            batch = torch.from_numpy(clips[start : start + _CALIBRATION_BATCH].copy())
            yield to_input(batch.flatten(0, 1), contract)

    clips = SelectionClips(held.clips, held.labels, contract, torch.device("cpu"), calibration)
    sources = [item.source for item in held.items]
    about = {
        "template": bundles.weights_digest(folder, "template"),
        "videos": _digest(sources, held.labels.tolist()),
        "contract": contract.model_dump(mode="json"),
    }
    return _Subject(bundle.name, template, clips, sources, bundle.labels, target, about)


def _cost(nets: int, closed: int, clips: SelectionClips, done: int, enough: float) -> str:
    """What is ahead, of whose answers so many are there."""
    videos, views = clips.clips.shape[:2]
    most = "at most " if enough else ""
    before = f", {done * views:,} of them done before" if done else ""
    return (
        f"{nets} nets, {closed} of them with one branch closed, see {most}{videos} videos each: {most}"
        f"{nets * videos * views:,} forward passes of a clip{before}, besides those that estimate batch norm."
    )


def _digest(sources: Sequence[str], labels: Sequence[int]) -> str:
    import hashlib

    return hashlib.sha256(json.dumps([list(sources), list(labels)]).encode()).hexdigest()


def _print(
    record: EffectsRecord, measured: Effects, trust: Trust | None, videos: int, per_class: bool, kept_in: Sequence[Path]
) -> None:
    from stzoo.cli.drawing import plain_table, print_parts

    timed = any(effect.milliseconds is not None for effect in measured.effects)
    columns = ["site", "branch", "cross-entropy:right", "± SE:right", "accuracy:right", "mult-adds:right"]
    columns += ["ms:right"] if timed else []
    columns += ["nats a million:right", "videos:right", *(["loses most"] if per_class else [])]
    table = plain_table(*columns)
    for effect in measured.effects:
        loss, accuracy = effect.cross_entropy, effect.accuracy
        cells = [effect.site, effect.branch, f"{loss.value:+.4f}"]
        cells += ["–" if loss.known_error is None else f"{loss.error:.4f}"]
        cells += [f"{100 * accuracy.value:+.1f} %", f"{effect.multiply_adds / 1e6:.2f} M"]
        cells += [f"{effect.milliseconds or 0.0:.2f}"] if timed else []
        cells += ["–" if effect.worth is None else f"{effect.worth:+.4f}", str(effect.videos)]
        table.add_row(*cells, *([_losers(effect.classes, record.labels)] if per_class else []))
    reached = (
        f"With every branch open: cross-entropy {measured.cross_entropy:.4f}, accuracy {100 * measured.accuracy:.1f} % "
        f"on {videos} videos, {measured.multiply_adds / 1e6:.1f} M multiply-adds a clip. Positive: closing the branch "
        "costs so much."
    )
    trusted = (
        "Whether effects add up is seen with --check."
        if trust is None or trust.rank_correlation is None
        else f"The sum of effects ranks {len(trust.strategies)} strategies from all over the space with a rank "
        f"correlation of {trust.rank_correlation:.2f} to their one-shot cross-entropy."
    )
    errors = [] if measured.has_errors else ["There is no standard error, because all videos are of one source."]
    files = f"{record.folder}: effects.csv, effects-classes.csv, effects.json, effects.png"
    kept = [f"Kept in {folder}, whose card has them." for folder in kept_in]
    print_parts(table, reached, *errors, trusted, files, *kept)


def _losers(classes: Sequence[float | None], labels: Sequence[str]) -> str:
    """The classes whose cross-entropy rises most."""
    changes = [(change, label) for change, label in zip(classes, labels, strict=True) if change is not None]
    return ", ".join(f"{label} {change:+.2f}" for change, label in sorted(changes, reverse=True)[:_CLASSES_SHOWN])
