"""The best strategies of a template within budgets: searched, measured beside others, finetuned and bundled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stzoo import nets
from stzoo.errors import UsageError
from stzoo.figures.strategies import marginals_figure
from stzoo.files import write_text
from stzoo.nets.classifier import Classifier
from stzoo.runtimes import Runtime
from stzoo.space.costs import Costs, SizeCosts, size_costs
from stzoo.space.frontier import FOUND, Frontier, Point, points, rivals, table
from stzoo.space.judge import Judge
from stzoo.space.latency import Latency, asked, measure_latency
from stzoo.space.one_shot import pruned
from stzoo.space.search import search
from stzoo.space.selection import NetSize, ScoredStrategy, baselines, scores_text
from stzoo.strategies.budget import Budget, Cost
from stzoo.strategies.strategy import Strategy
from stzoo.terminal.progress import counting
from stzoo.training import earlier
from stzoo.training.bundling import CHOICE, BundledTemplate, save_bundle
from stzoo.training.demands import refuse_beyond
from stzoo.training.results import Candidate, How, measure_candidates
from stzoo.training.stages import Stages

FINETUNED = "found, finetuned"
_TABLE = "budgets/frontier.csv"
_FRONTIER = (0.05, 0.15, 0.3, 0.5, 0.75)  # of the way from the cheapest strategy to the dearest


@dataclass(frozen=True, eq=False)
class _Search:
    """A template whose strategies are searched, with what they cost and answer."""

    stages: Stages
    template: Classifier
    sizes: SizeCosts
    latency: Latency | None
    judge: Judge

    @property
    def costs(self) -> Costs:
        """What budgets are counted in."""
        return self.sizes.multiply_adds if self.latency is None else self.latency.costs

    @property
    def times(self) -> Costs | None:
        return None if self.latency is None else self.latency.costs

    def scores(self) -> str:
        """Every strategy that was judged, in the order in which it first was, with its cost."""
        posterior = nets.posterior(self.template)
        judged = [strategy for strategy in self.judge.asked if self.costs.has(strategy)]
        return scores_text(
            [
                ScoredStrategy(
                    index,
                    self.judge.score(strategy),
                    self.judge.seen(strategy),
                    round(posterior.log_probability(strategy, self.stages.closable), 6),
                    strategy,
                    NetSize(self.sizes.parameters.of(strategy), self.sizes.multiply_adds.of(strategy)),
                )
                for index, strategy in enumerate(judged)
            ],
            None if self.times is None else self.times.of,
        )

    def write_scores(self) -> None:
        if self.judge.ranks.leads:
            write_text(self.stages.run.path("budgets/scores.csv"), self.scores())


def find_within(
    stages: Stages,
    template: Classifier,
    budgets: Sequence[Budget],
    *,
    frontier: bool = False,
    runtime: Runtime | None = None,
) -> list[Point]:
    """Finds, measures and bundles the best strategy within each budget; what was done before is not done again.

    Budgets are of multiply-adds, or with a `runtime` of milliseconds on it, here and on the CPU.

    With `frontier` budgets from the cheapest strategy to the dearest are taken where none are given, and the uniform
    and the most probable strategies stand beside. Scores, table and figure are in the run's folder `budgets`, with
    what was found before within other budgets.

    Raises `UsageError` for a budget that pays for no strategy, or for all of them; and as `measure_latency` does.
    """
    run, ranks = stages.run, stages.machine.ranks
    before = earlier.read(run.path(_TABLE)) if ranks.leads else []
    sizes = size_costs(stages.blueprint.architecture, stages.selection.contract, stages.closable)
    latency = None if runtime is None else _latency(stages, template, runtime)
    costs = sizes.multiply_adds if latency is None else latency.costs
    budgets = list(dict.fromkeys(budgets)) or spread(costs, "multiply-adds" if latency is None else "nanoseconds")
    refuse_beyond(budgets, costs, run.recipe.name)
    posterior = nets.posterior(template)
    with counting("search", None, unit="answers", show=stages.voice.progress) as bar:
        kept = run.path("answers.npz")
        judge = Judge(template, stages.selection, kept, ranks=ranks, advance=bar.advance, prepare=bar.prepare)
        space = _Search(stages, template, sizes, latency, judge)
        compared: dict[Budget, dict[str, Strategy]] = {}
        for budget in budgets:
            most = budget.amount
            others = rivals(stages.blueprint.architecture, space.costs, posterior, most)
            found = search(judge, space.costs, most, rivals=others.values(), after=space.write_scores)
            compared[budget] = {FOUND: found.strategy, **others}
            stages.voice.say(
                f"Within {budget}: cross-entropy {found.cross_entropy:.4f} on the selection split at "
                f"{_priced(space, found.strategy)} a clip, after {found.races} races."
            )
    space.write_scores()
    beside = baselines(template) if frontier else {}
    return _measured(space, compared, beside, before)


def refuse_other_kind(budgets: Sequence[Budget], runtime: str | None) -> None:
    """Raises `UsageError` for milliseconds without a runtime, and for multiply-adds with one."""
    for budget in budgets:
        if runtime is None and budget.of == "nanoseconds":
            raise UsageError(f"{budget} depends on what runs the net; say it with --runtime, such as onnxruntime")
        if runtime is not None and budget.of != "nanoseconds":
            raise UsageError(f"{budget} is counted in multiply-adds, on whatever runtime; leave --runtime out")


def _latency(stages: Stages, template: Classifier, runtime: Runtime) -> Latency:
    """The run's table of milliseconds on a runtime, measured by one process as far as it is not known."""
    ranks, closable = stages.machine.ranks, stages.closable
    latency: Latency | None = None
    if ranks.leads:
        nets_to_time = len(asked(stages.blueprint.architecture, closable))
        path = stages.run.path(f"latency-{runtime}.json")
        with counting("timing", nets_to_time, unit="nets", show=stages.voice.progress) as bar:
            latency = measure_latency(template, stages.selection.contract, runtime, path, closable, bar.advance)
        stages.voice.say(latency.text)
    latency = ranks.of_leader(latency)
    assert latency is not None
    return latency


def _priced(space: _Search, strategy: Strategy) -> str:
    sizes = f"{space.sizes.multiply_adds.of(strategy) / 1e6:.1f} M multiply-adds"
    return sizes if space.times is None else f"{space.times.of(strategy) / 1e6:.2f} ms and {sizes}"


def spread(costs: Costs, of: Cost = "multiply-adds") -> list[Budget]:
    """Budgets between the cheapest strategy and the dearest, closer to the cheapest, in whole units of a hundredth."""
    least, most = costs.of(costs.cheapest), costs.of(costs.dearest)
    budgets = []
    for part in _FRONTIER:
        exact = least + part * (most - least)
        step = 10 ** max(0 if of == "multiply-adds" else 3, len(str(most)) - 3)
        above = -(-round(exact) // step) * step
        budgets.append(Budget(min(most, above), of))
    return list(dict.fromkeys(budgets))


def _measured(
    space: _Search,
    compared: Mapping[Budget, Mapping[str, Strategy]],
    beside: Mapping[str, Strategy],
    before: Sequence[Point],
) -> list[Point]:
    """Every net once on validation, the table and the figure, and a bundle for each budget.

    Points from `before` stay in both where they are of this template.
    """
    stages = space.stages
    run, ranks = stages.run, stages.machine.ranks
    cache, contract = stages.data.test("val")
    sources = [item.source for item in cache.items]
    clips = dataclasses.replace(
        stages.selection, clips=cache.clips, labels=cache.labels, contract=contract, sources=sources
    )
    strategies = dict.fromkeys(one for named in (*compared.values(), beside) for one in named.values())
    with counting("validation", len(strategies) * len(cache), unit="answers", show=stages.voice.progress) as bar:
        kept = run.path("budgets/answers-val.npz")
        judge = Judge(space.template, clips, kept, ranks=ranks, advance=bar.advance, prepare=bar.prepare)
        bar.skip(judge.answered)
        before = [point for point in before if judge.seen(point.strategy)]
        judge.ask(strategies)
    measured: list[tuple[How, Strategy]] = [("pruned", strategy) for strategy in strategies]
    if "finetune" in run.recipe.stages:
        measured += [("finetuned", named[FOUND]) for named in compared.values()]
    stages.look(measured, ["val"])
    order = [sources[row] for row in judge.order]
    answers = {strategy: judge.answers(strategy) for strategy in strategies}
    reached = points(beside, space.sizes.multiply_adds, answers, order, times=space.times)
    ships = {budget: _shipped(space, budget, named[FOUND]) for budget, named in compared.items()}
    shipped = [(one.candidate.how, one.candidate.strategy) for one in ships.values()]
    looks = stages.look(shipped, [split for split in stages.data.tests if split != "val"])
    for budget, named in compared.items():
        reached += points(named, space.sizes.multiply_adds, answers, order, budget, space.times)
        _bundle(space, budget, ships[budget], looks)
        if (finetuned := ships[budget].finetuned) is not None:
            its = clips.answers(finetuned, judge.order)
            reached += points(
                {FINETUNED: named[FOUND]},
                space.sizes.multiply_adds,
                {named[FOUND]: its},
                order,
                budget,
                space.times,
            )
    if ranks.leads:
        both = earlier.joined(before, reached)
        write_text(run.path(_TABLE), table(both))
        _draw(space, earlier.comparable(both, space.times))
    return reached


class _Shipped(NamedTuple):
    """The net that the bundle of a budget gets, why, and the finetuned one, where the recipe asks for it."""

    candidate: Candidate
    facts: Mapping[str, str]
    finetuned: Classifier | None


def _shipped(space: _Search, budget: Budget, strategy: Strategy) -> _Shipped:
    stages, name = space.stages, space.stages.run.budget_name(budget)
    candidate = Candidate(name, "pruned", strategy, pruned(space.template, strategy, stages.selection))
    facts = {"budget": f"{budget} a clip, of which it takes {_priced(space, strategy)}"}
    if space.latency is not None:
        facts["times"] = f"{space.latency.about['runtime']}, {space.latency.text}"
    net = stages.finetune(space.template, strategy)
    if net is not None:
        finetuned = Candidate(f"{name}-finetuned", "finetuned", strategy, net)
        candidate, facts[CHOICE] = stages.better(candidate, finetuned)
    return _Shipped(candidate, facts, net)


def _bundle(space: _Search, budget: Budget, shipped: _Shipped, looks: Mapping[str, int]) -> None:
    stages, candidate = space.stages, shipped.candidate
    run, name = stages.run, stages.run.budget_name(budget)
    accuracies = measure_candidates([candidate], stages.data, stages.machine, looks, progress=stages.voice.progress)
    if stages.machine.ranks.leads:
        figure = run.path(f"budgets/{budget}/marginals.png")
        marginals_figure(nets.posterior(space.template), candidate.strategy, figure, name)
        template = BundledTemplate(space.template, space.scores(), figure, weights=False, facts=shipped.facts)
        videos, processes = stages.data.listed, stages.machine.ranks.count
        save_bundle(
            run,
            stages.data.labels,
            candidate,
            accuracies,
            template=template,
            videos=videos,
            processes=processes,
            name=name,
        )


def _draw(space: _Search, reached: Sequence[Point]) -> None:
    run = space.stages.run
    runtime = None if space.latency is None else str(space.latency.about["runtime"])
    Frontier((), reached, run.recipe.name, runtime).draw(run.path("budgets/frontier.png"))
