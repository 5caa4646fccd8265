"""Strategies drawn from a template's posterior, each judged without training, and the best of them."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import StrategyError, TrainingError
from stzoo.files import write_text
from stzoo.nets.classifier import Classifier
from stzoo.nets.measure import measure
from stzoo.space.judge import Judge
from stzoo.space.one_shot import SelectionScore
from stzoo.space.race import race
from stzoo.strategies.names import MOST_PROBABLE, uniform_names
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy

FIELDS = (
    *("index", "accuracy", "cross_entropy", "videos", "log_probability"),
    *("parameters", "multiply_adds", "digest", "strategy"),
)
"""The columns of a file of scores. `multiply_adds` are those of one clip, `videos` those that the score is taken over.

Files of stzoo 0.1 lack `videos`, which were all, and both sizes.
"""


class NetSize(NamedTuple):
    """Parameters of a fixed net, and multiply-adds of one clip."""

    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class ScoredStrategy:
    """A strategy with its one-shot score and what its net costs.

    The `index` is that in the stream of draws from a posterior, or in the order in which strategies were judged. The
    score is over so many `videos` of the selection split.
    """

    index: int
    score: SelectionScore
    videos: int
    log_probability: float
    strategy: Strategy
    size: NetSize


def baselines(template: Classifier) -> dict[str, Strategy]:
    """The strategies measured beside the winner: `most-probable`, and every uniform one by its name, such as `sst`."""
    architecture = nets.architecture(template)
    uniform = {name: architecture.uniform(unit) for name, unit in uniform_names(architecture.sites).items()}
    return {MOST_PROBABLE: nets.posterior(template).most_probable(), **uniform}


def score_strategies(
    judge: Judge,
    *,
    strategies: int,
    seed: int,
    scores_file: Path,
    exhaustive: bool = False,
    closable: Collection[str] = (),
) -> list[ScoredStrategy]:
    """Draws strategies 0 .. `strategies` - 1 of the stream `seed` and races them on the selection split.

    Every strategy has a score in the end, those that fall behind one over fewer videos; where it is to be `exhaustive`,
    all are asked about all videos. Sites named `closable` may be drawn closed. Where more were drawn before, all of
    those are returned: a strategy that has a score never drops out.

    All scores are in `scores_file` (CSV) after every rung. Those over all videos that are there already and that the
    judge has no answers to, as files of stzoo 0.1 have them, stay and are not computed again. The template is left as
    it was.

    Raises `TrainingError` when the file holds scores of another posterior, or is no file of scores.
    """
    posterior = nets.posterior(judge.template)
    size_of = _counting_sizes(judge.template, judge.data.contract)
    there = _read(scores_file, posterior, seed, judge.videos, closable) if judge.ranks.leads else []
    there = judge.ranks.of_leader(there)
    drawn = [posterior.sample(seed, index, closable) for index in range(max(strategies, len(there)))]
    stays = {
        strategy: score
        for strategy, (score, videos) in zip(drawn, there, strict=False)
        if videos == judge.videos and not judge.seen(strategy)
    }
    asked = [strategy for strategy in dict.fromkeys(drawn) if strategy not in stays]

    def sampled() -> list[ScoredStrategy]:
        return [
            ScoredStrategy(
                index,
                stays[strategy] if strategy in stays else judge.score(strategy),
                judge.videos if strategy in stays else judge.seen(strategy),
                round(posterior.log_probability(strategy, closable), 6),
                strategy,
                size_of(strategy),
            )
            for index, strategy in enumerate(drawn)
        ]

    def write() -> None:
        if judge.ranks.leads:
            write_text(scores_file, scores_text(sampled()))

    if exhaustive:
        judge.ask(asked)
        write()
    else:
        race(judge, asked, write)
    return sampled()


def best(sampled: Sequence[ScoredStrategy]) -> ScoredStrategy:
    """Of the strategies with most videos that with least cross-entropy; of equal ones the most accurate, the first."""
    most = max(sample.videos for sample in sampled)
    return min(
        (sample for sample in sampled if sample.videos == most),
        key=lambda sample: (sample.score.sort_key, sample.index),
    )


def scores_text(sampled: Sequence[ScoredStrategy], nanoseconds: Callable[[Strategy], int] | None = None) -> str:
    """The scores as CSV, a line a strategy, with `FIELDS` as its head; and `milliseconds`, where these are known."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(FIELDS if nanoseconds is None else (*FIELDS, "milliseconds"))
    for sample in sampled:
        accuracy, cross_entropy, log_probability = (
            f"{number:.6f}" for number in (*sample.score, sample.log_probability)
        )
        of_strategy = (*sample.size, sample.strategy.digest[:12], sample.strategy.text())
        times = () if nanoseconds is None else (f"{nanoseconds(sample.strategy) / 1e6:.6f}",)
        lines.writerow((sample.index, accuracy, cross_entropy, sample.videos, log_probability, *of_strategy, *times))
    return text.getvalue()


def _counting_sizes(template: Classifier, contract: InputContract) -> Callable[[Strategy], NetSize]:
    """A function that counts the net of a strategy, each once."""
    architecture = nets.architecture(template)

    @functools.cache
    def size_of(strategy: Strategy) -> NetSize:
        size = measure(architecture, strategy, frames=contract.frames, height=contract.crop, width=contract.crop)
        return NetSize(size.parameters, size.multiply_adds)

    return size_of


def _read(
    path: Path, posterior: Posterior, seed: int, videos: int, closable: Collection[str]
) -> list[tuple[SelectionScore, int]]:
    """The scores of a file, and over how many of the `videos` each is taken."""
    if not path.exists():
        return []
    scores = []
    with path.open(newline="", encoding="utf-8") as file:
        for index, line in enumerate(csv.DictReader(file)):
            try:
                strategy = Strategy.from_text(line["strategy"])
                score = SelectionScore(float(line["accuracy"]), float(line["cross_entropy"]))
                log_probability, seen = float(line["log_probability"]), int(line.get("videos", videos))
            except (KeyError, TypeError, ValueError, AttributeError, StrategyError) as error:
                raise TrainingError(
                    f"line {index + 2} of {path} is not a strategy's scores; move the file away to score again"
                ) from error
            drawn = posterior.sample(seed, index, closable)
            if strategy != drawn or abs(log_probability - posterior.log_probability(drawn, closable)) > 1e-5:
                raise TrainingError(
                    f"line {index + 2} of {path} was not drawn from this posterior with seed {seed}; "
                    "move the file away to score again"
                )
            scores.append((score, seen))
    return scores
