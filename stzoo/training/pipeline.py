"""A whole run: every stage in order, then measurements and bundle. Stopped at any point, it goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stzoo import nets
from stzoo.data.lists import read_lists
from stzoo.errors import TrainingError
from stzoo.figures.strategies import marginals_figure
from stzoo.nets.classifier import Classifier
from stzoo.ranks import ALONE, Ranks
from stzoo.runtimes import Runtime
from stzoo.space.frontier import Point
from stzoo.space.one_shot import SelectionClips, pruned
from stzoo.space.selection import baselines, scores_text
from stzoo.strategies.budget import Budget
from stzoo.strategies.strategy import Strategy
from stzoo.training.blueprint import template_tables
from stzoo.training.budgets import find_within, refuse_other_kind
from stzoo.training.bundling import CHOICE, GATES, RELIABILITY, BundledTemplate, save_bundle
from stzoo.training.demands import check_budgets
from stzoo.training.faults import what_was_heard
from stzoo.training.results import Candidate, SplitAccuracy, measure_candidates, write_metrics
from stzoo.training.run import Run
from stzoo.training.stages import Selected, Stages, prepare
from stzoo.training.sweep import share_warm_up, sweep_folder
from stzoo.training.voice import Voice


def train(run: Run, cache: Path, voice: Voice, ranks: Ranks = ALONE) -> list[SplitAccuracy]:
    """Runs what is missing of a run, up to its bundle; returns the final measurements, none if it was finished.

    Raises `UsageError` for a budget that pays for no strategy, or for all of them; `TrainingError`, `DataError` and
    `VideoError` as its stages do.
    """
    if ranks.of_leader(run.is_finished):
        return []
    if run.budgets:
        check_budgets(run.recipe, len(read_lists(run.recipe.data).classes))
    stages, tables = prepare(run, cache, voice, ranks), run.recipe.template
    with run.alone(ranks):
        if tables is None:
            return _finish_fixed(stages)
        if ranks.leads:
            share_warm_up(run, sweep_folder(run.folder))
        accuracies = _finish_template(stages, tables.selection.strategies)
        if run.budgets:
            find_within(stages, stages.variational(), run.budgets)
        return accuracies


def select(
    run: Run, strategies: int, cache: Path, voice: Voice, ranks: Ranks = ALONE, *, exhaustive: bool = False
) -> list[SplitAccuracy]:
    """Selects among more strategies of a trained template, and makes the bundle anew; what was scored before counts.

    Strategies race, unless the selection is to be `exhaustive` and to ask each about all videos.

    Raises `TrainingError` when the run has no template yet.
    """
    _refuse_untrained(run, ranks)
    stages = prepare(run, cache, voice, ranks)
    with run.alone(ranks):
        return _finish_template(stages, strategies, exhaustive=exhaustive)


def select_within(
    run: Run,
    budgets: Sequence[Budget],
    cache: Path,
    voice: Voice,
    ranks: Ranks = ALONE,
    *,
    frontier: bool = False,
    runtime: Runtime | None = None,
) -> list[Point]:
    """Finds, measures and bundles the best strategy of a trained template within each budget, as `find_within` does.

    Raises `TrainingError` when the run has no template yet, `UsageError` for a budget that pays for none or for all.
    """
    refuse_other_kind(budgets, runtime)
    _refuse_untrained(run, ranks)
    stages = prepare(run, cache, voice, ranks)
    with run.alone(ranks):
        return find_within(stages, stages.variational(), budgets, frontier=frontier, runtime=runtime)


def _refuse_untrained(run: Run, ranks: Ranks) -> None:
    template_tables(run)
    if not ranks.of_leader(run.weights("variational").exists()):
        raise TrainingError(f"{run.folder} has no trained template yet; run stzoo train on its recipe first")


def _finish_fixed(stages: Stages) -> list[SplitAccuracy]:
    run, ranks = stages.run, stages.machine.ranks
    trained = Candidate(run.recipe.name, "alone", stages.blueprint.strategy, stages.fixed())
    accuracies = _measured(stages, [trained])
    if ranks.leads:
        save_bundle(run, stages.data.labels, trained, accuracies, videos=stages.data.listed, processes=ranks.count)
    return accuracies


def _finish_template(stages: Stages, strategies: int, *, exhaustive: bool = False) -> list[SplitAccuracy]:
    run, ranks = stages.run, stages.machine.ranks
    template = stages.variational()
    selected = stages.select(template, strategies, exhaustive=exhaustive)
    _say_which_is_best(stages, selected, strategies)
    candidates = _pruned_candidates(template, selected.winner.strategy, stages.selection)
    shipped = candidates[0]
    facts = {GATES: what_was_heard(stages.evidence(template)), RELIABILITY: selected.reliability.text}
    finetuned = stages.finetune(template, shipped.strategy)
    if finetuned is not None:
        candidates.append(Candidate("opt-finetuned", "finetuned", shipped.strategy, finetuned))
        shipped, facts[CHOICE] = stages.better(shipped, candidates[-1])
    accuracies = _measured(stages, candidates)
    if ranks.leads:
        figure = _figure(run, template, shipped.strategy)
        normalised = _normalised(stages, candidates, shipped)
        weights = run.recipe.bundle.template
        bundled = BundledTemplate(template, scores_text(selected.sampled), figure, normalised, weights, facts)
        videos, processes = stages.data.listed, ranks.count
        save_bundle(run, stages.data.labels, shipped, accuracies, template=bundled, videos=videos, processes=processes)
    return accuracies


def _say_which_is_best(stages: Stages, selected: Selected, strategies: int) -> None:
    scored, winner = len(selected.sampled), selected.winner
    if scored > strategies:
        stages.voice.say(f"{scored} strategies were scored before and all of them count; {strategies} were asked for.")
    stages.voice.say(
        f"Of {scored} strategies that with index {winner.index} in {stages.run.path('scores.csv')} is the best: "
        f"cross-entropy {winner.score.cross_entropy:.4f}, accuracy {winner.score.accuracy:.4f} on the selection split."
    )
    stages.voice.say(f"How far to trust it: {selected.reliability.text}.")


def _pruned_candidates(template: Classifier, winner: Strategy, clips: SelectionClips) -> list[Candidate]:
    """The winner, and what it is compared with."""
    strategies = {"opt": winner, **baselines(template)}
    return [
        Candidate(name, "pruned", strategy, pruned(template, strategy, clips)) for name, strategy in strategies.items()
    ]


def _measured(stages: Stages, candidates: Sequence[Candidate]) -> list[SplitAccuracy]:
    """The final measurements, also in the run's metrics.json."""
    looks = stages.look([(one.how, one.strategy) for one in candidates], list(stages.data.tests))
    accuracies = measure_candidates(candidates, stages.data, stages.machine, looks, progress=stages.voice.progress)
    if stages.machine.ranks.leads:
        write_metrics(stages.run.path("metrics.json"), accuracies, stages.run.recipe.input)
    return accuracies


def _figure(run: Run, template: Classifier, strategy: Strategy) -> Path:
    """Draws the posterior and the strategy that was selected from it."""
    path = run.path("marginals.png")
    marginals_figure(nets.posterior(template), strategy, path, run.recipe.name)
    return path


def _normalised(stages: Stages, candidates: Sequence[Candidate], shipped: Candidate) -> list[Candidate]:
    """The other strategies' nets, where each has batch-norm statistics of its own, and the template is bundled."""
    has_statistics = any(True for _ in shipped.net.buffers())
    if stages.selection.calibration is None or not stages.run.recipe.bundle.template or not has_statistics:
        return []
    return [other for other in candidates if other.how == "pruned" and other.strategy != shipped.strategy]
