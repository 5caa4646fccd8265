"""One thread that runs the net, for several requests at a time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from stzoo.prediction.clips import Clips, mean_of_each
from stzoo.prediction.predictor import Predictor


class Answered(NamedTuple):
    """What each net says of a video, and for how long they ran for it and those that were run with it."""

    scores: Float32[np.ndarray, "nets classes"]
    seconds: float


class _Asked(NamedTuple):
    clips: Clips
    answer: Future[Answered]


class Batcher:
    """Takes the clips of videos, and answers with what `Predictor.scores_of_each_net` gives.

    The net is given the clips of all videos that wait, of `most` videos at once. `count` is told of how many.
    """

    def __init__(self, predictor: Predictor, most: int, count: Callable[[int], None] = lambda videos: None) -> None:
        self._predictor = predictor
        self._most = most
        self._count = count
        self._waiting: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="net", daemon=True)
        self._thread.start()

    def ask(self, clips: Clips) -> Future[Answered]:
        """The answer to come; it raises as `Predictor.scores_of`."""
        answer: Future[Answered] = Future()
        self._waiting.put(_Asked(clips, answer))
        return answer

    def close(self) -> None:
        """Answers whoever waits, and ends."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            group: list[_Asked] = []
            while len(group) < self._most and (not group or not self._waiting.empty()):
                asked = self._waiting.get()
                if asked is None:
                    goes_on = False
                    break
                if asked.answer.set_running_or_notify_cancel():
                    group.append(asked)
            if group:
                self._answer(group)

    def _answer(self, group: list[_Asked]) -> None:
        predictor, videos = self._predictor, [asked.clips for asked in group]
        self._count(len(group))
        began = time.perf_counter()
        try:
            means = mean_of_each(
                predictor.clip_scores, videos, predictor.contract, predictor.name, at_once=sum(map(len, videos))
            )
            for asked, numbers in zip(group, means, strict=True):
                scores = numbers.reshape(predictor.nets, -1)
                asked.answer.set_result(Answered(scores, time.perf_counter() - began))
        except Exception as error:
            for asked in group:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
