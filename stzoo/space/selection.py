"""Strategies drawn from a template's posterior, each evaluated without training, and the best of them."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import StrategyError, TrainingError
from stzoo.files import write_text
from stzoo.inference import video_scores
from stzoo.nets.classifier import Classifier
from stzoo.nets.measure import measure
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.ranks import ALONE, Ranks
from stzoo.strategies.names import uniform_names
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy

FIELDS = (
    *("index", "accuracy", "cross_entropy", "log_probability", "parameters", "multiply_adds", "digest", "strategy"),
)
"""The columns of a file of scores. `multiply_adds` are those of one clip; files of stzoo 0.1 lack both sizes."""


class SelectionScore(NamedTuple):
    """Accuracy and mean cross-entropy in nats of a fixed net on the selection split."""

    accuracy: float
    cross_entropy: float

    @property
    def sort_key(self) -> tuple[float, float]:
        """Is least for the best net: the most accurate, and of equally accurate ones that with less cross-entropy."""
        return -self.accuracy, self.cross_entropy


class NetSize(NamedTuple):
    """Parameters of a fixed net, and multiply-adds of one clip."""

    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class SampledStrategy:
    """The strategy with that `index` in a posterior's stream, with its one-shot score and what its net costs."""

    index: int
    score: SelectionScore
    log_probability: float
    strategy: Strategy
    size: NetSize


@dataclass(frozen=True, eq=False)
class SelectionClips:
    """The clips that strategies are compared on, and how a net's batch norm is prepared for them.

    A net is given `at_once` clips at most. `calibration` gives the batches of training clips that batch-norm statistics
    are re-estimated from; None keeps the template's.
    """

    clips: UInt8[np.ndarray, "videos clips frames height width 3"]
    labels: Int64[np.ndarray, " videos"]
    contract: InputContract
    device: torch.device
    calibration: Callable[[], Iterator[Float[Tensor, "clips 3 frames height width"]]] | None
    at_once: int = 64


def pruned(template: Classifier, strategy: Strategy, data: SelectionClips) -> Classifier:
    """The strategy's fixed net in eval mode, with batch-norm statistics of its own unless the template's are kept."""
    net = nets.prune(template, strategy).eval()
    if data.calibration is not None:
        reestimate_batch_norm(net, data.calibration())
    return net


def selection_score(net: Classifier, data: SelectionClips) -> SelectionScore:
    """What a net reaches, rounded as the file of scores holds it: a resumed selection compares the same values."""
    scores = video_scores(net, data.clips, data.contract, device=data.device, at_once=data.at_once)
    likelihood = np.log(np.maximum(scores[np.arange(len(scores)), data.labels], 1e-12))
    right = (scores.argmax(axis=1) == data.labels).mean()
    return SelectionScore(round(float(right), 6), round(float(-likelihood.mean()), 6))


def one_shot_score(template: Classifier, strategy: Strategy, data: SelectionClips) -> SelectionScore:
    """What a strategy reaches that is pruned out of the template, its batch norm re-estimated, nothing trained."""
    return selection_score(pruned(template, strategy, data), data)


def baselines(template: Classifier) -> dict[str, Strategy]:
    """The strategies measured beside the winner: `most-probable`, and every uniform one by its name, such as `sst`."""
    architecture = nets.architecture(template)
    uniform = {name: architecture.uniform(unit) for name, unit in uniform_names(architecture.sites).items()}
    return {"most-probable": nets.posterior(template).most_probable(), **uniform}


def score_strategies(
    template: Classifier,
    data: SelectionClips,
    *,
    strategies: int,
    seed: int,
    scores_file: Path,
    advance: Callable[[], None] = lambda: None,
    skip: Callable[[int], None] = lambda count: None,
    ranks: Ranks = ALONE,
) -> list[SampledStrategy]:
    """Draws strategies 0 .. `strategies` - 1 of the stream `seed` and scores each on the selection split.

    Where more were scored before, all of those are returned: a strategy that has a score never drops out.

    Every score is written to `scores_file` (CSV) as it comes; those that are there already are not computed again. A
    strategy that is drawn twice is computed once. `skip` is told how many are there, and `advance` of every further
    one. The template is left as it was. Of several `ranks` each scores a whole strategy at a time, and the leading one
    reads and writes the file.

    Raises `TrainingError` when the file holds scores of another posterior, or is no file of scores.
    """
    posterior = nets.posterior(template)
    size_of = _counting_sizes(template, data.contract)
    sampled = ranks.of_leader(_read(scores_file, posterior, seed, size_of) if ranks.leads else [])
    scores = {sample.strategy: sample.score for sample in sampled}
    if sampled:
        skip(min(len(sampled), strategies))
    while len(sampled) < strategies:
        drawn, new = _next_draws(posterior, seed, range(len(sampled), strategies), scores, ranks.count)
        score = one_shot_score(template, new[ranks.rank], data) if ranks.rank < len(new) else None
        for strategy, its_score in zip(new, ranks.of_all(score), strict=False):
            assert its_score is not None
            scores[strategy] = its_score
        for strategy in drawn:
            log_probability = round(posterior.log_probability(strategy), 6)
            size = size_of(strategy)
            sampled.append(SampledStrategy(len(sampled), scores[strategy], log_probability, strategy, size))
        if ranks.leads:
            write_text(scores_file, scores_text(sampled))
        for _ in drawn:
            advance()
    return sampled


def _next_draws(
    posterior: Posterior, seed: int, indices: Sequence[int], scored: Container[Strategy], most: int
) -> tuple[list[Strategy], list[Strategy]]:
    """The next strategies of a stream, in which at most so many have no score yet; and these alone, each once."""
    drawn: list[Strategy] = []
    new: list[Strategy] = []
    for index in indices:
        strategy = posterior.sample(seed, index)
        if strategy not in scored and strategy not in new:
            if len(new) == most:
                break
            new.append(strategy)
        drawn.append(strategy)
    return drawn, new


def best(sampled: Sequence[SampledStrategy]) -> SampledStrategy:
    """The most accurate strategy; of equally accurate ones, that with the lower cross-entropy, then the first."""
    return min(sampled, key=lambda sample: (sample.score.sort_key, sample.index))


def scores_text(sampled: Sequence[SampledStrategy]) -> str:
    """The scores as CSV, a line a strategy, with `FIELDS` as its head."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(FIELDS)
    for sample in sampled:
        numbers = (f"{number:.6f}" for number in (*sample.score, sample.log_probability))
        lines.writerow((sample.index, *numbers, *sample.size, sample.strategy.digest[:12], sample.strategy.text()))
    return text.getvalue()


def _counting_sizes(template: Classifier, contract: InputContract) -> Callable[[Strategy], NetSize]:
    """A function that counts the net of a strategy, each once."""
    architecture = nets.architecture(template)

    @functools.cache
    def size_of(strategy: Strategy) -> NetSize:
        size = measure(architecture, strategy, frames=contract.frames, height=contract.crop, width=contract.crop)
        return NetSize(size.parameters, size.multiply_adds)

    return size_of


def _read(path: Path, posterior: Posterior, seed: int, size_of: Callable[[Strategy], NetSize]) -> list[SampledStrategy]:
    if not path.exists():
        return []
    sampled = []
    with path.open(newline="", encoding="utf-8") as file:
        for index, line in enumerate(csv.DictReader(file)):
            try:
                strategy = Strategy.from_text(line["strategy"])
                score = SelectionScore(float(line["accuracy"]), float(line["cross_entropy"]))
                log_probability = float(line["log_probability"])
            except (KeyError, TypeError, ValueError, AttributeError, StrategyError) as error:
                raise TrainingError(
                    f"line {index + 2} of {path} is not a strategy's scores; move the file away to score again"
                ) from error
            drawn = posterior.sample(seed, index)
            if strategy != drawn or abs(log_probability - posterior.log_probability(drawn)) > 1e-5:
                raise TrainingError(
                    f"line {index + 2} of {path} was not drawn from this posterior with seed {seed}; "
                    "move the file away to score again"
                )
            sampled.append(SampledStrategy(index, score, log_probability, strategy, size_of(strategy)))
    return sampled
