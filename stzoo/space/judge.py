"""One-shot answers of any number of strategies, each asked for once, kept in a file, and all on the same videos."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from stzoo.errors import StrategyError, TrainingError
from stzoo.files import replacing
from stzoo.nets.classifier import Classifier
from stzoo.nets.reestimation import Clips, reestimate_batch_norm
from stzoo.ranks import ALONE, Ranks
from stzoo.space.one_shot import Answers, SelectionClips, SelectionScore
from stzoo.space.trie import Trie
from stzoo.strategies.strategy import Strategy

TOGETHER = 128
"""The nets that stand in memory at once."""

_FORMAT = 1
_SECONDS_BETWEEN_SAVES = 30.0


class Judge:
    """What the strategies of a template answer on the selection split.

    Every strategy is asked about the same videos in the same order, which is drawn once for all, so that two that have
    seen as many are compared in pairs. Strategies that are asked together run as one `Trie`.

    Answers are kept in `path`, where there is one, and not computed again. Of several `ranks` each computes its part of
    the videos for all strategies, the leading one reads and writes the file, and all get the answers; each estimates
    the statistics of batch norm by itself.

    `advance` is told of every number of answers that were computed. `prepare` is told the number of each batch that
    statistics of batch norm are re-estimated from, before the first answers, and 0 when that has ended.

    Raises `TrainingError` when the file holds something else, or answers of another template or on other videos.
    """

    def __init__(
        self,
        template: Classifier,
        data: SelectionClips,
        path: Path | None = None,
        *,
        ranks: Ranks = ALONE,
        advance: Callable[[int], None] = lambda answers: None,
        prepare: Callable[[int], None] = lambda batch: None,
    ) -> None:
        self.template = template
        self.data = data
        self.ranks = ranks
        self.advance = advance
        self.prepare = prepare
        self.order = np.random.default_rng(0).permutation(len(data.labels))
        self._file = None if path is None else _File(path, _about(template, data))
        kept = self._file.read(len(self.order)) if self._file is not None and ranks.leads else {}
        self._answers: dict[Strategy, Answers] = ranks.of_leader(kept)
        self._together: tuple[Trie, list[Strategy]] | None = None
        self._saved = time.monotonic()

    @property
    def videos(self) -> int:
        """How many there are."""
        return len(self.order)

    @property
    def answered(self) -> int:
        """How many answers it has, of all strategies together."""
        return sum(len(one.right) for one in self._answers.values())

    @property
    def asked(self) -> tuple[Strategy, ...]:
        """The strategies that were asked, in the order in which they were first."""
        return tuple(self._answers)

    def seen(self, strategy: Strategy) -> int:
        """How many videos a strategy was asked about."""
        return len(self._answers[strategy].right) if strategy in self._answers else 0

    def answers(self, strategy: Strategy, videos: int | None = None) -> Answers:
        """What a strategy answered on the first `videos` in the judge's order; None for all that it was asked about."""
        return Answers(*(values[:videos] for values in self._answers[strategy]))

    def loss(self, strategy: Strategy, videos: int | None = None) -> float:
        """The mean cross-entropy over the same, in nats."""
        return float(self.answers(strategy, videos).losses.mean())

    def score(self, strategy: Strategy) -> SelectionScore:
        """Over all videos that the strategy was asked about."""
        return self.answers(strategy).score()

    def ask(self, strategies: Iterable[Strategy], videos: int | None = None) -> None:
        """Asks each about the first `videos` in the judge's order, or about all, as far as it was not asked before."""
        stop = self.videos if videos is None else min(videos, self.videos)
        groups: dict[int, list[Strategy]] = {}
        for strategy in dict.fromkeys(strategies):
            if (seen := self.seen(strategy)) < stop:
                groups.setdefault(seen, []).append(strategy)
        for start, group in groups.items():
            for place in range(0, len(group), TOGETHER):
                self._ask_together(group[place : place + TOGETHER], start, stop)
        if groups:
            self._save()

    def _ask_together(self, strategies: Sequence[Strategy], start: int, stop: int) -> None:
        trie, members = self._trie(strategies)
        numbers = sorted(members.index(strategy) for strategy in strategies)
        block = max(1, self.data.at_once // self.data.clips.shape[1]) * self.ranks.count
        for first in range(start, stop, block):
            rows = self.order[first : min(first + block, stop)]
            mine = np.array_split(rows, self.ranks.count)[self.ranks.rank]
            share = self.data.answers(partial(trie, among=numbers), mine) if len(mine) else None
            shares = [one for one in self.ranks.of_all(share) if one is not None]
            for place, number in enumerate(numbers):
                parts = [Answers(one.likelihoods[place], one.right[place]) for one in shares]
                self._add(members[number], parts)
            self.advance(len(rows) * len(numbers))
            if time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
                self._save()

    def _add(self, strategy: Strategy, parts: Sequence[Answers]) -> None:
        before = [self._answers[strategy]] if strategy in self._answers else []
        self._answers[strategy] = Answers(*map(np.concatenate, zip(*before, *parts, strict=True)))

    def _trie(self, strategies: Sequence[Strategy]) -> tuple[Trie, list[Strategy]]:
        """A trie with these strategies, and all that are in it: that of before where it has them."""
        if self._together is None or not set(strategies) <= set(self._together[1]):
            trie = Trie(self.template, strategies)
            if self.data.calibration is not None:
                reestimate_batch_norm(trie, self._counted(self.data.calibration()))
            self._together = trie, list(strategies)
        return self._together

    def _counted(self, batches: Iterator[Clips]) -> Iterator[Clips]:
        for number, batch in enumerate(batches, 1):
            self.prepare(number)
            yield batch
        self.prepare(0)

    def _save(self) -> None:
        if self._file is not None and self.ranks.leads:
            self._file.write(self._answers)
        self._saved = time.monotonic()


class _File:
    """Answers by strategy, in one `.npz`."""

    def __init__(self, path: Path, about: str) -> None:
        self.path = path
        self.about = about

    def read(self, videos: int) -> dict[Strategy, Answers]:
        """What is there; nothing where there is no file."""
        if not self.path.exists():
            return {}
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                about, texts, seen = str(arrays["about"]), arrays["strategies"].tolist(), arrays["seen"]
                likelihoods, right = (np.split(arrays[name], np.cumsum(seen)[:-1]) for name in Answers._fields)
            answers = {
                Strategy.from_text(text): Answers(likely.astype(np.float32), correct.astype(np.bool_))
                for text, likely, correct in zip(texts, likelihoods, right, strict=True)
            }
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, StrategyError) as error:
            raise TrainingError(
                f"{self.path} does not hold answers of strategies ({type(error).__name__}); "
                "move the file away to ask them again"
            ) from error
        if about != self.about or any(len(one.right) > videos for one in answers.values()):
            raise TrainingError(
                f"{self.path} holds answers of another template, or on other videos; move the file away to ask again"
            )
        return answers

    def write(self, answers: dict[Strategy, Answers]) -> None:
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                about=np.array(self.about),
                strategies=np.array([strategy.text() for strategy in answers]),
                seen=np.array([len(one.right) for one in answers.values()]),
                likelihoods=np.concatenate([one.likelihoods for one in answers.values()]),
                right=np.concatenate([one.right for one in answers.values()]),
            )


def _about(template: Classifier, data: SelectionClips) -> str:
    """What other answers do not belong to: the template's weights, the videos' classes, and how clips are cut."""
    digest = hashlib.sha256()
    for name, value in template.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(data.labels.tobytes())
    about = {
        "format": _FORMAT,
        "digest": digest.hexdigest(),
        "contract": data.contract.model_dump(mode="json"),
        "calibrated": data.calibration is not None,
    }
    return json.dumps(about)
