"""How far a model's scores are to be believed: fitted on labelled videos, and kept in its bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stzoo import bundle as bundles
from stzoo import metrics
from stzoo.bundle import confidence as files
from stzoo.bundle import tensors
from stzoo.bundle.confidence import Confidence
from stzoo.errors import DataError, UsageError, VideoError
from stzoo.metrics import Estimate
from stzoo.video.reader import read_or_say
from stzoo.zoo.loading import load
from stzoo.zoo.reference import Ref, exported_file, find
from stzoo.zoo.variants import drawn_strategies

if TYPE_CHECKING:
    from stzoo.data.datasets import Item
    from stzoo.prediction.predictor import Predictor
    from stzoo.prediction.scoring import Failed

MOST_NORMALISING = 100
"""Of how many videos the clips re-estimate the batch norm of nets that are averaged."""


@dataclass(frozen=True)
class Calibrated:
    """What was fitted and written, and the mean log loss on the same videos before and after."""

    path: Path
    confidence: Confidence
    before: Estimate
    after: Estimate
    failed: tuple[Failed, ...]


def calibrate(
    ref: Ref,
    items: Sequence[Item],
    data: str,
    *,
    average: int | None = None,
    precisions: Sequence[float] = (),
    workers: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Calibrated:
    """Fits a temperature and thresholds, and writes them into the model's bundle.

    Args:
        ref: a bundle on this machine, as `load` takes it.
        items: labelled videos that it was not trained on.
        data: what they are called.
        average: fits the average of so many nets drawn from the template in place of the bundle's net; their batch norm
            is re-estimated from some of the videos, and kept in the bundle.
        precisions: that thresholds are looked for, besides the usual ones.
        workers: as `score_files` takes them.
        say: is told what takes long.
        advance: is told after every video how many are done, and how many there are.

    Raises `UsageError` for what is no bundle on this machine, `DataError` where no video can be read, and what `load`
    raises.
    """
    from stzoo.prediction import confidence as fitting
    from stzoo.prediction.scoring import Failed, clip_score_files

    folder = _folder(ref)
    predictor = _averaged(folder, items, average, say) if average else load(folder, runtime="auto", say=say)
    labels = {str(item.path): item.label for item in items}
    videos = list(dict.fromkeys(item.video for item in items))
    scores, right, failed = [], [], []
    for done, result in enumerate(clip_score_files(predictor, videos, workers=workers), start=1):
        if isinstance(result, Failed):
            failed.append(result)
        else:
            scores.append(result.scores)
            right.append(labels[result.path])
        advance(done, len(videos))
    if not scores:
        raise DataError(f"none of the {len(videos)} videos can be read; the first: {failed[0].reason}")
    classes = np.array(right, dtype=np.int64)
    confidence = fitting.fit(scores, classes, data, precisions)
    before, after = (
        metrics.log_loss(fitting.of_videos(scores, temperature), classes)
        for temperature in (1.0, confidence.temperature)
    )
    if average:
        _keep_statistics(folder, predictor, average)
    path = files.add(folder, bundles.weights_digest(folder), confidence)
    return Calibrated(path, confidence, before, after, tuple(failed))


def _folder(ref: Ref) -> Path:
    """Raises `UsageError` for what is no bundle that can be written."""
    if (file := exported_file(ref)) is not None:
        raise UsageError(f"{file} has what its bundle was calibrated with; calibrate that, and export it again")
    location = find(ref, offline=True)
    if location.repository is not None:
        raise UsageError(f"{ref} is what the Hub has; calibrate the folder of a bundle, and publish that")
    return location.folder


def _averaged(folder: Path, items: Sequence[Item], average: int, say: Callable[[str], None]) -> Predictor:
    """The average of drawn nets, whose batch norm is re-estimated."""
    bundle = bundles.read(folder)
    drawn_strategies(bundle, average)  # which refuses a bundle without a template before anything is read
    videos = [item.video for item in items[:: -(-len(items) // MOST_NORMALISING)]]
    readable = [video for video in videos if not isinstance(read_or_say(video, bundle.contract), VideoError)]
    if not readable:
        raise DataError(f"none of {len(videos)} videos can be read, from which batch norm would be re-estimated")
    say(f"Re-estimating the batch norm of {average} nets from {len(readable)} videos")
    return load(folder, average=average, calibrate=readable)


def _keep_statistics(folder: Path, predictor: Predictor, average: int) -> None:
    """Writes the batch-norm statistics of drawn nets into their bundle."""
    from stzoo.nets.averaging import Averaged

    assert isinstance(predictor.net, Averaged)
    strategies = drawn_strategies(bundles.read(folder), average)
    for strategy, net in zip(strategies, predictor.net.nets, strict=True):
        path = folder / bundles.statistics_file(strategy)
        path.parent.mkdir(exist_ok=True)
        tensors.store(path, {name: buffer.cpu().numpy() for name, buffer in net.named_buffers()})
