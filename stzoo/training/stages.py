"""The stages of a run. Each leaves its file in the run's folder and does nothing when the file is there."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from stzoo import nets
from stzoo.errors import listed, require
from stzoo.files import write_json
from stzoo.metrics import mean_over_sources
from stzoo.nets.classifier import Classifier
from stzoo.ranks import ALONE, Ranks
from stzoo.recipe import Stage
from stzoo.space.costs import branch_shares
from stzoo.space.evidence import Evidence, evidence
from stzoo.space.judge import Judge
from stzoo.space.one_shot import Answers, pruned
from stzoo.space.race import cost
from stzoo.space.reliability import Reliability, reliability
from stzoo.space.selection import ScoredStrategy, best, score_strategies
from stzoo.strategies.strategy import Strategy
from stzoo.terminal.progress import counting
from stzoo.training.blueprint import Blueprint, closable_in, template_tables
from stzoo.training.checkpoint import load_weights, save_weights
from stzoo.training.data import RunData
from stzoo.training.faults import faults_of, has_collapsed
from stzoo.training.initial import fit_batch_norm, initialise, record_origin
from stzoo.training.looks import look as note_look
from stzoo.training.loop import Assignment, fit
from stzoo.training.machine import Machine, device_of, machine_of, settled, shared_scores
from stzoo.training.objective import divergence
from stzoo.training.results import Candidate, How
from stzoo.training.run import Run, checkpoint_of
from stzoo.training.threads import choose_threads
from stzoo.training.voice import SILENT, Voice


class Selected(NamedTuple):
    """Every strategy that has a score, the best of them, and how far that can be trusted."""

    sampled: list[ScoredStrategy]
    winner: ScoredStrategy
    reliability: Reliability


class Chosen(NamedTuple):
    """The weights that a bundle gets, and what decided between them and others, in words."""

    candidate: Candidate
    reason: str


class Stages:
    """The stages of one run on one machine. Clips to train and select on are decoded at once."""

    def __init__(self, run: Run, blueprint: Blueprint, data: RunData, machine: Machine, voice: Voice) -> None:
        self.run = run
        self.blueprint = blueprint
        self.data = data
        self.machine = machine
        self.voice = voice
        self.training = data.training()
        self.selection = data.selection(machine.device, self.training)
        self.choice = data.choice(machine.device, self.training) or self.selection
        self._since = 0.0  # when the epoch that runs began

    @property
    def closable(self) -> list[str]:
        return closable_in(self.run.recipe, self.blueprint.architecture)

    def fixed(self) -> Classifier:
        """A [fixed] recipe's net, trained alone."""
        return self._trained("fixed", self.blueprint.first)

    def warm_up(self) -> Classifier:
        """The net with every branch open, trained without gates: the template's start."""
        return self._trained("warmup", self.blueprint.first)

    def variational(self) -> Classifier:
        """The template, with the drop rate of every gate learnt by variational DropPath."""
        tables = template_tables(self.run)
        table, objective = tables.variational, tables.objective
        template = nets.grow(self.warm_up(), initial_drop=table.initial_drop, temperature=table.temperature)
        prices = {}
        if objective.form == "cost":
            prices = branch_shares(self.blueprint.architecture, self.run.recipe.input)
        regulariser = partial(divergence, k=objective.k, samples=len(self.training), form=objective.form, prices=prices)
        template = self._trained("variational", template, regulariser=regulariser)
        for sentence in faults_of(nets.posterior(template), self.evidence(template)):
            self.voice.say(sentence)
        return template

    def evidence(self, template: Classifier) -> Evidence:
        """What the data say of the template's gates; asked once, and kept in the run."""
        ranks, path = self.machine.ranks, self.run.path("evidence.json")
        found: Evidence | None = None
        if ranks.leads:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found = Evidence.from_json(json.loads(path.read_text(encoding="utf-8")))
            if found is None:
                found = evidence(template, self.selection)
                write_json(path, found.to_json())
        found = ranks.of_leader(found)
        assert found is not None
        return found

    def select(self, template: Classifier, strategies: int, *, exhaustive: bool = False) -> Selected:
        """Races sampled strategies on the selection split; the file of scores grows until it has enough."""
        videos = len(self.selection.labels)
        answers = strategies * videos if exhaustive else cost(strategies, videos)
        with counting("selection", answers, unit="answers", show=self.voice.progress) as bar:
            judge = Judge(
                template,
                self.selection,
                self.run.path("answers.npz"),
                ranks=self.machine.ranks,
                advance=bar.advance,
                prepare=bar.prepare,
            )
            bar.skip(min(answers, judge.answered))
            sampled = score_strategies(
                judge,
                strategies=strategies,
                seed=self.run.recipe.seed,
                scores_file=self.run.path("scores.csv"),
                exhaustive=exhaustive,
                closable=self.closable,
            )
            bar.reach(answers, answers)
        winner = best(sampled)
        drawn = [one.strategy for one in sampled]
        trust = reliability(judge, drawn, winner.strategy, self.selection.sources)
        if self.machine.ranks.leads:
            write_json(self.run.path("reliability.json"), trust.to_json())
        return Selected(sampled, winner, trust)

    def finetune(self, template: Classifier, winner: Strategy) -> Classifier | None:
        """The winner trained further on its own, or None when the recipe does not ask for it."""
        if "finetune" not in self.run.recipe.stages:
            return None
        net = copy.deepcopy(pruned(template, winner, self.selection))
        return self._trained("finetune", net, winner=winner)

    def better(self, winner: Candidate, finetuned: Candidate) -> Chosen:
        """The one of both that a bundle gets: finetuned weights only where they are better on the choice's videos.

        These have chosen nothing before: of many strategies the best is best by luck, too, where it was chosen.
        """
        before, after = (self.choice.answers(one.net) for one in (winner, finetuned))
        its, chosen = after.score(), finetuned if after.score().sort_key < before.score().sort_key else winner
        sources = self.choice.sources
        gain = mean_over_sources(before.losses - after.losses, sources).estimate(len(sources))
        less = gain.value >= 0
        low, high = (gain.low, gain.high) if less else (-gain.high, -gain.low)
        by = f"{abs(gain.value):.4f}" + ("" if math.isnan(low) else f" (95 % interval {low:.4f} to {high:.4f})")
        where = "kept for this choice" if self.choice is not self.selection else "of the selection split"
        self.voice.say(
            f"On the {gain.n} videos {where} it has cross-entropy {before.score().cross_entropy:.4f}, and finetuned "
            f"{its.cross_entropy:.4f} and accuracy {its.accuracy:.4f}, which is {'less' if less else 'more'} by {by}; "
            f"the bundle gets the {chosen.how} weights."
        )
        reason = f"finetuning {'lowers' if less else 'raises'} cross-entropy by {by} on {gain.n} videos {where}"
        return Chosen(chosen, reason)

    def look(self, nets: Iterable[tuple[How, Strategy]], splits: Collection[str]) -> dict[str, int]:
        """Notes that nets are measured on these splits, and says how often they have been looked at; so it returns."""
        leads = self.machine.ranks.leads
        looks = self.machine.ranks.of_leader(note_look(self.run, nets, splits) if leads else {})
        if often := [f"{split} {looks[split]} times" for split in splits if looks[split] > 1]:
            self.voice.say(f"This run has now looked at {listed(often)}; what is best there is so by luck, too.")
        return looks

    def _trained(
        self,
        stage: Stage,
        net: Classifier,
        *,
        regulariser: Callable[[Classifier], Tensor] | None = None,
        winner: Strategy | None = None,
    ) -> Classifier:
        """A net in eval mode as the stage leaves it: trained now where its file is not there yet."""
        recipe, ranks = self.run.recipe, self.machine.ranks
        net.to(self.machine.device)
        weights = self.run.weights(stage, winner)
        checkpoint = checkpoint_of(weights)
        if not ranks.of_leader(weights.exists()):
            self._since = time.monotonic()
            if stage == recipe.first_stage and not ranks.of_leader(checkpoint.exists()):
                self._reestimate(net)
            fit(
                net,
                self.training,
                Assignment(stage, recipe.stages[stage], recipe.seed, recipe.input, regulariser),
                self.machine,
                checkpoint=checkpoint,
                record=partial(self._record, stage, net),
                progress=self.voice.progress,
            )
            if ranks.leads:
                save_weights(weights, net)
        if ranks.leads:
            checkpoint.unlink(missing_ok=True)
        load_weights(weights, net, ranks)
        return net.eval()

    def _reestimate(self, first: Classifier) -> None:
        """Gives the net that the run begins with statistics of its own clips, where [init] asks for them."""
        if (init := self.run.recipe.init) is not None:
            inputs = self.data.calibration(self.machine.device, self.training)
            fit_batch_norm(init, first, self.blueprint.strategy, inputs)

    def _record(self, stage: Stage, net: Classifier, epoch: int, numbers: Mapping[str, float]) -> float:
        """Writes an epoch's line, with the videos it left out, every gate, and what is reached on the selection split.

        Gives the cross-entropy there. Of a template it is the net's with every branch open, with the template's own
        batch-norm statistics: a lower bound, and cheap.
        """
        entry: dict[str, object] = {name: round(value, 6) for name, value in numbers.items()}
        if self.training.left_out:
            entry["left_out"] = self.training.left_out
        shown = net
        if nets.is_template(net):
            posterior = nets.posterior(net)
            entry["drop"] = {
                site: {branch: round(drop, 6) for branch, drop in drops.items()}
                for site, drops in posterior.drop.items()
            }
            entry["collapsed"] = has_collapsed(posterior)
            shown = nets.prune(net, self.blueprint.architecture.all_open)
        data = self.selection
        scores = shared_scores(shown.eval(), data.clips, data.contract, self.machine, data.at_once)
        score = Answers.of(scores, data.labels).score()
        entry["selection_accuracy"] = score.accuracy
        entry["selection_cross_entropy"] = score.cross_entropy
        if not self.machine.ranks.leads:
            return score.cross_entropy
        self.run.record(stage, epoch, entry)
        now = time.monotonic()
        self.run.record_seconds(stage, epoch, now - self._since)
        self._since = now
        self.voice.say(_line(stage, epoch, entry))
        return score.cross_entropy


def prepare(run: Run, cache: Path, voice: Voice, ranks: Ranks = ALONE) -> Stages:
    """The stages of a run, begun once lists, backbone, strategy and first weights are found; its data is decoded.

    Of several `ranks` every one does this; the leading one reads first weights, writes and speaks.

    Raises `MissingPackageError` without matplotlib, which the bundle's figure needs at the end.
    """
    require("matplotlib")
    voice = voice if ranks.leads else SILENT
    _settle_precision(run, voice, ranks)
    machine = machine_of(run.recipe.compute, ranks)
    data = RunData(run.recipe, cache, voice, processes=ranks.local_count, pinned=machine.device.type == "cuda")
    blueprint = Blueprint.of(run.recipe, len(data.labels))
    if ranks.leads:
        origin = initialise(run, blueprint.first, data.labels, voice)
        run.begin()
        if origin is not None:
            record_origin(run, origin)
        choose_threads(run, blueprint.first, machine, voice)
    return Stages(run, blueprint, data, machine, voice)


def _settle_precision(run: Run, voice: Voice, ranks: Ranks) -> None:
    """Puts the precision into a recipe that leaves it open; that of the leading process is everybody's."""
    compute = run.recipe.compute
    if compute.precision != "auto":
        return
    compute = ranks.of_leader(settled(compute, run.recipe.net.backbone, device_of(compute, ranks)))
    run.recipe = run.recipe.model_copy(update={"compute": compute})
    if compute.precision != "float32":
        voice.say(
            f"Nets train in {compute.precision}, which this processor multiplies faster than float32; what is measured "
            "is computed in float32 (compute.precision sets it)."
        )


def _line(stage: Stage, epoch: int, entry: Mapping[str, object]) -> str:
    words = [f"{stage} {epoch}"]
    words += [f"{name} {entry[name]:.4f}" for name in ("loss", "train_accuracy", "selection_accuracy")]
    drop = entry.get("drop")
    if isinstance(drop, dict):
        drops = [value for branches in drop.values() for value in branches.values()]
        words.append(f"drop {min(drops):.3f} to {max(drops):.3f}{' (collapsed)' if entry['collapsed'] else ''}")
    return "  ".join(words)
