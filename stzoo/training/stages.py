"""The stages of a run. Each leaves its file in the run's folder and does nothing when the file is there."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch

from stzoo import nets
from stzoo.nets import Architecture
from stzoo.nets.classifier import Classifier
from stzoo.progress import counting
from stzoo.recipe import Optimisation, Stage
from stzoo.space.selection import Scored, SelectionClips, best, pruned, score_strategies
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy
from stzoo.training.batches import ClipSource
from stzoo.training.checkpoint import load_weights, save_weights
from stzoo.training.loop import fit
from stzoo.training.machine import Machine, shared_scores
from stzoo.training.objective import divergence
from stzoo.training.run import Run

COLLAPSED_DROP = 0.9
MOVED_LOGIT = 0.2


class Stages:
    """The stages of one run on one machine, sharing data and a way of speaking.

    `first` is the net that the first stage trains, which may have its weights from elsewhere.
    """

    def __init__(
        self,
        run: Run,
        architecture: Architecture,
        strategy: Strategy | None,
        first: Classifier,
        training: ClipSource,
        selection: SelectionClips,
        machine: Machine,
        *,
        say: Callable[[str], None],
        progress: bool,
    ) -> None:
        self.run = run
        self.architecture = architecture
        self.strategy = strategy
        self.first = first
        self.training = training
        self.selection = selection
        self.machine = machine
        self.say = say
        self.progress = progress
        self._since = 0.0  # when the epoch that runs began

    def fixed(self) -> Classifier:
        """A [fixed] recipe's net, trained alone."""
        table = self.run.recipe.fixed
        assert table is not None
        return self._stage("fixed", "fixed.safetensors", self.first, table)

    def warm_up(self) -> Classifier:
        """The net with every branch open, trained without gates: the template's start."""
        table = self.run.recipe.warmup
        assert table is not None
        return self._stage("warmup", "warmup.safetensors", self.first, table)

    def variational(self) -> Classifier:
        """The template, with the drop rate of every gate learnt by variational DropPath."""
        table, objective = self.run.recipe.variational, self.run.recipe.objective
        assert table is not None
        assert objective is not None
        template = nets.grow(self.warm_up(), initial_drop=table.initial_drop, temperature=table.temperature)
        template = self._stage(
            "variational",
            "template.safetensors",
            template,
            table,
            regulariser=partial(divergence, k=objective.k, samples=len(self.training), form=objective.form),
            gate_learning_rate=table.gate_learning_rate,
            gate_weight_decay=table.gate_weight_decay,
        )
        for sentence in judge(nets.posterior(template), table.initial_drop):
            self.say(sentence)
        return template

    def select(self, template: Classifier, strategies: int) -> list[Scored]:
        """Scores sampled strategies on the selection split; the file of scores grows until it has enough."""
        with counting("selection", strategies, unit="strategies", show=self.progress) as bar:
            return score_strategies(
                template,
                self.selection,
                strategies=strategies,
                seed=self.run.recipe.seed,
                scores_file=self.run.path("scores.csv"),
                advance=bar.advance,
                ranks=self.machine.ranks,
            )

    def finetune(self, template: Classifier, scored: list[Scored]) -> Classifier | None:
        """The winner trained further on its own, or None when the recipe does not ask for it."""
        table = self.run.recipe.finetune
        if table is None:
            return None
        winner = best(scored).strategy
        net = copy.deepcopy(pruned(template, winner, self.selection))
        return self._stage("finetune", f"finetuned-{winner.digest[:12]}.safetensors", net, table)

    def _stage(
        self,
        stage: Stage,
        file: str,
        net: Classifier,
        table: Optimisation,
        *,
        regulariser: Callable[[Classifier], torch.Tensor] | None = None,
        gate_learning_rate: float = 0.0,
        gate_weight_decay: float = 0.0,
    ) -> Classifier:
        net.to(self.machine.device)
        done, checkpoint = self.run.path(file), self.run.path(f"checkpoint-{file}")
        ranks = self.machine.ranks
        if not ranks.of_leader(done.exists()):
            self._since = time.monotonic()
            fit(
                net,
                self.training,
                table,
                stage=stage,
                seed=self.run.recipe.seed,
                contract=self.run.recipe.input,
                machine=self.machine,
                checkpoint=checkpoint,
                record=partial(self._record, stage, net),
                regulariser=regulariser,
                gate_learning_rate=gate_learning_rate,
                gate_weight_decay=gate_weight_decay,
                progress=self.progress,
            )
            if ranks.leads:
                save_weights(done, net)
        if ranks.leads:
            checkpoint.unlink(missing_ok=True)
        load_weights(done, net, ranks)
        return net.eval()

    def _record(self, stage: Stage, net: Classifier, epoch: int, numbers: Mapping[str, float]) -> None:
        """Writes an epoch's line, with the videos it left out, every gate, and the accuracy on the selection split.

        Of a template that is the net's with every branch open, with the template's own batch-norm statistics: a lower
        bound, and cheap.
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
            shown = nets.prune(net, self.architecture.all_open)
        data = self.selection
        scores = shared_scores(shown.eval(), data.clips, data.contract, self.machine, data.at_once)
        entry["selection_accuracy"] = round(float((scores.argmax(axis=1) == data.labels).mean()), 6)
        if not self.machine.ranks.leads:
            return
        self.run.record(stage, epoch, entry)
        now = time.monotonic()
        self.run.record_seconds(stage, epoch, now - self._since)
        self._since = now
        self.say(_line(stage, epoch, entry))


def has_collapsed(posterior: Posterior) -> bool:
    """Whether most gates close for good, as they do when a net has learnt nothing yet."""
    drops = [drop for branches in posterior.drop.values() for drop in branches.values()]
    return sum(drop > COLLAPSED_DROP for drop in drops) > len(drops) / 2


def judge(posterior: Posterior, initial_drop: float) -> list[str]:
    """What is wrong with a learnt posterior, in sentences: collapsed, or never left its start."""
    drops = [drop for branches in posterior.drop.values() for drop in branches.values()]
    start = torch.logit(torch.tensor(initial_drop, dtype=torch.float64))
    moved = (torch.logit(torch.tensor(drops, dtype=torch.float64), eps=1e-9) - start).abs().max()
    sentences = []
    if has_collapsed(posterior):
        sentences.append(
            f"The posterior has collapsed: more than half of its gates have a drop rate over {COLLAPSED_DROP}. "
            "Warm up until the net has converged, or lower variational.gate_learning_rate or objective.k."
        )
    if moved < MOVED_LOGIT:
        sentences.append(
            f"The posterior was not learnt: no gate's logit moved by more than {MOVED_LOGIT} from its start. "
            "Raise variational.gate_learning_rate or variational.epochs."
        )
    return sentences


def _line(stage: Stage, epoch: int, entry: Mapping[str, object]) -> str:
    words = [f"{stage} {epoch}"]
    words += [f"{name} {entry[name]:.4f}" for name in ("loss", "train_accuracy", "selection_accuracy")]
    drop = entry.get("drop")
    if isinstance(drop, dict):
        drops = [value for branches in drop.values() for value in branches.values()]
        words.append(f"drop {min(drops):.3f} to {max(drops):.3f}{' (collapsed)' if entry['collapsed'] else ''}")
    return "  ".join(words)
