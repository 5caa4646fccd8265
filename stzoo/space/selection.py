"""Strategies drawn from a template's posterior, each evaluated without training, and the best of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from stzoo.contract import InputContract
from stzoo.errors import StrategyError, TrainingError
from stzoo.files import write_text
from stzoo.inference import video_scores
from stzoo.nets import architecture, posterior, prune
from stzoo.nets.classifier import Classifier
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.ranks import ALONE, Ranks
from stzoo.strategies.names import uniform_names
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy

FIELDS = ("index", "accuracy", "cross_entropy", "log_probability", "digest", "strategy")


@dataclass(frozen=True)
class Scored:
    """A sampled strategy with its accuracy and mean cross-entropy on the selection split."""

    index: int
    accuracy: float
    cross_entropy: float
    log_probability: float
    strategy: Strategy


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
    net = prune(template, strategy).eval()
    if data.calibration is not None:
        reestimate_batch_norm(net, data.calibration())
    return net


def judge(net: Classifier, data: SelectionClips) -> tuple[float, float]:
    """Accuracy and mean cross-entropy in nats of a fixed net on the selection split.

    They are rounded as the file of scores holds them, so that a resumed selection compares the same values.
    """
    scores = video_scores(net, data.clips, data.contract, device=data.device, at_once=data.at_once)
    likelihood = np.log(np.maximum(scores[np.arange(len(scores)), data.labels], 1e-12))
    right = (scores.argmax(axis=1) == data.labels).mean()
    return round(float(right), 6), round(float(-likelihood.mean()), 6)


def references(template: Classifier) -> dict[str, Strategy]:
    """The strategies measured beside the winner: `most-probable`, and every uniform one by its name, such as `sst`."""
    shape = architecture(template)
    uniform = {name: shape.uniform(unit) for name, unit in uniform_names(shape.sites).items()}
    return {"most-probable": posterior(template).most_probable(), **uniform}


def score_strategies(
    template: Classifier,
    data: SelectionClips,
    *,
    strategies: int,
    seed: int,
    scores_file: Path,
    advance: Callable[[], None] = lambda: None,
    ranks: Ranks = ALONE,
) -> list[Scored]:
    """Draws strategies 0 .. `strategies` - 1 of the stream `seed` and scores each on the selection split.

    Where more were scored before, all of those are returned: a strategy that has a score never drops out.

    Every score is written to `scores_file` (CSV) as it comes; those that are there already are not computed again. A
    strategy that is drawn twice is computed once. The template is left as it was. Of several `ranks` each scores a
    whole strategy at a time, and the leading one reads and writes the file.

    Raises `TrainingError` when the file holds scores of another posterior, or is no file of scores.
    """
    found = posterior(template)
    scored = ranks.of_leader(_read(scores_file, found, seed) if ranks.leads else [])
    judged = {row.strategy: (row.accuracy, row.cross_entropy) for row in scored}
    for _ in scored[:strategies]:
        advance()
    while len(scored) < strategies:
        drawn: list[Strategy] = []
        new: list[Strategy] = []  # one for every process
        for index in range(len(scored), strategies):
            strategy = found.sample(seed, index)
            if strategy not in judged and strategy not in new:
                if len(new) == ranks.count:
                    break
                new.append(strategy)
            drawn.append(strategy)
        own = judge(pruned(template, new[ranks.rank], data), data) if ranks.rank < len(new) else None
        for strategy, numbers in zip(new, ranks.of_all(own), strict=False):
            assert numbers is not None
            judged[strategy] = numbers
        for strategy in drawn:
            log_probability = round(found.log_probability(strategy), 6)
            scored.append(Scored(len(scored), *judged[strategy], log_probability, strategy))
        if ranks.leads:
            write_text(scores_file, scores_text(scored))
        for _ in drawn:
            advance()
    return scored


def best(scored: list[Scored]) -> Scored:
    """The most accurate strategy; of equally accurate ones, that with the lower cross-entropy."""
    return min(scored, key=lambda row: (-row.accuracy, row.cross_entropy, row.index))


def scores_text(scored: list[Scored]) -> str:
    """The scores as CSV, a line a strategy, with `FIELDS` as its head."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(FIELDS)
    for row in scored:
        numbers = (f"{row.accuracy:.6f}", f"{row.cross_entropy:.6f}", f"{row.log_probability:.6f}")
        rows.writerow((row.index, *numbers, row.strategy.digest[:12], row.strategy.text()))
    return text.getvalue()


def _read(path: Path, found: Posterior, seed: int) -> list[Scored]:
    if not path.exists():
        return []
    scored = []
    with path.open(newline="", encoding="utf-8") as file:
        for position, row in enumerate(csv.DictReader(file)):
            try:
                strategy = Strategy.from_text(row["strategy"])
                numbers = (float(row["accuracy"]), float(row["cross_entropy"]), float(row["log_probability"]))
            except (KeyError, TypeError, ValueError, AttributeError, StrategyError) as error:
                raise TrainingError(
                    f"line {position + 2} of {path} is not a strategy's scores; move the file away to score again"
                ) from error
            drawn = found.sample(seed, position)
            if strategy != drawn or abs(numbers[2] - found.log_probability(drawn)) > 1e-5:
                raise TrainingError(
                    f"line {position + 2} of {path} was not drawn from this posterior with seed {seed}; "
                    "move the file away to score again"
                )
            scored.append(Scored(position, *numbers, strategy))
    return scored
