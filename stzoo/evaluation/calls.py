"""`stzoo.evaluate`, and what it shares with the command."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stzoo.data.datasets import Item
from stzoo.data.labelled import labelled
from stzoo.errors import UsageError, require
from stzoo.evaluation.measuring import Advance, Evaluation, score_and_measure
from stzoo.prediction.predictor import Predictor
from stzoo.video.frame_order import FrameOrder
from stzoo.zoo.fingerprints import seen_in_training
from stzoo.zoo.loading import load
from stzoo.zoo.reference import Ref, exported_file, find


def evaluate(
    model: Ref | Predictor,
    data: Path | str,
    *,
    root: Path | str | None = None,
    folder: Path | str | None = None,
    figures: bool = False,
    fps: float | None = None,
    frame_order: FrameOrder = "given",
    workers: int | None = 0,
    progress: Advance | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measures a model on labelled videos, as `stzoo evaluate` does: accuracy with intervals, classes and calibration.

    Args:
        model: a reference as `stzoo.load` takes it, which is run by what is fastest here; or a model that is loaded,
            with another strategy or another input perhaps.
        data: a list with `path label` a line, or a folder with a folder a class.
        root: the folder that the paths of a list start in; by default the list's own.
        folder: where results are written; scores too, so that a call that was stopped goes on. By default nowhere.
        figures: whether the confusion matrix and the reliability diagram are drawn into the folder.
        fps: frames a second of videos that are folders of pictures.
        frame_order: in which the net sees the frames of every clip.
        workers: processes that read ahead; None decides by itself, and needs a script with a main guard.
        progress: is told after every video how many are done, and how many there are.
        say: is told what is worth knowing, in sentences.

    Returns:
        What `results.json` holds: `top1`, `top5` and `expected_calibration_error` with `value`, `low`, `high` and `n`,
        the same for every class in `classes`, in `failed` the videos that cannot be read, which count nowhere, and in
        `warnings` why the numbers may mean less than they seem to.

    Raises:
        DataError: the data is no good, or none of its videos can be read.
        UsageError: figures are wanted and no folder is named.
        StzooError: what `stzoo.load` raises; `MissingPackageError` where figures are wanted without matplotlib.
    """
    if figures:
        require("matplotlib")
    if figures and folder is None:
        raise UsageError("figures are drawn into a folder; name one with folder=")
    predictor = model if isinstance(model, Predictor) else load(model, runtime="auto", say=say)
    items = labelled(Path(data), None if root is None else Path(root), predictor.labels, say=say)
    if fps is not None:
        items = [item._replace(frame_rate=fps) for item in items]
    with tempfile.TemporaryDirectory() as temporary:
        evaluation = measured(
            predictor,
            items,
            # Scores of a net that no file holds could be mixed with those of another.
            Path(folder if folder is not None and predictor.digest else temporary),
            reference=None if isinstance(model, Predictor) else model,
            frame_order=frame_order,
            workers=workers,
            advance=progress,
        )
    if folder is not None:
        evaluation.write(Path(folder), figures=figures)
    return evaluation.to_json()


def measured(
    predictor: Predictor, items: Sequence[Item], folder: Path, *, reference: Ref | None, **how: Any
) -> Evaluation:
    """What `score_and_measure` finds, with a warning where the videos trained the model of the `reference`."""
    evaluation = score_and_measure(predictor, items, folder, **how)
    if reference is None or exported_file(reference) is not None:
        return evaluation
    sentence = seen_in_training(find(reference, offline=True).folder, (item.video for item in items))
    return replace(evaluation, warnings=() if sentence is None else (sentence,))
