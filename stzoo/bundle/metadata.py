"""What machines read of a bundle on the Hub: the card's front matter, and `.eval_results`."""

from __future__ import annotations

import re
from typing import Any

import yaml

from stzoo.bundle.schema import Bundle, Result
from stzoo.card import Card

_TAGS = ["video-classification", "action-recognition", "3d-cnn", "spatiotemporal-fusion", "stzoo"]


def front_matter(bundle: Bundle, card: Card | None) -> dict[str, Any]:
    """The Hub's metadata: library, task, licence, tags, and the measured numbers as `model-index`.

    The licence and the Hub's name of the dataset are the card's; where it has none, nothing is said of them.
    """
    front: dict[str, Any] = {"library_name": "stzoo", "pipeline_tag": "video-classification"}
    if card is not None and card.license is not None:
        front["license"] = card.license
    front["tags"] = list(_TAGS)
    if card is not None and card.hub_dataset is not None:
        front["datasets"] = [card.hub_dataset]
    if bundle.metrics:
        front["metrics"] = sorted({_metric_type(result) for result in bundle.metrics})
        results = [_model_index(result, card) for result in bundle.metrics]
        front["model-index"] = [{"name": bundle.name, "results": results}]
    return front


def eval_results(bundle: Bundle, card: Card | None) -> dict[str, str]:
    """The files of `.eval_results` by their path: one a dataset, in which every number has an entry."""
    entries: dict[str, list[dict[str, Any]]] = {}
    for result in bundle.metrics:
        interval = f", 95 % interval {result.low} to {result.high}" if result.low is not None else ""
        task = {"id": _dataset(result, card), "task_id": f"{result.split}-{result.metric}"}
        notes = f"{result.protocol}; n = {result.n}{interval}"
        path = f".eval_results/{_slug(result.dataset)}.yaml"
        entries.setdefault(path, []).append({"dataset": task, "value": result.value, "notes": notes})
    return {path: yaml.safe_dump(listed, sort_keys=False, width=1000) for path, listed in entries.items()}


def _model_index(result: Result, card: Card | None) -> dict[str, Any]:
    args: dict[str, Any] = {"protocol": result.protocol, "n": result.n}
    if result.low is not None:
        args["interval_95"] = [result.low, result.high]
    metric = {"type": _metric_type(result), "value": result.value, "name": result.metric, "args": args}
    dataset = {"type": _dataset(result, card), "name": result.dataset, "split": result.split}
    task = {"type": "video-classification", "name": "Video Classification"}
    return {"task": task, "dataset": dataset, "metrics": [metric]}


def _dataset(result: Result, card: Card | None) -> str:
    """The dataset's name on the Hub, or, where it has none there, its own name as the Hub would write it."""
    return card.hub_dataset if card is not None and card.hub_dataset is not None else _slug(result.dataset)


def _slug(name: str) -> str:
    return re.sub("[^a-z0-9._]+", "-", name.lower()).strip("-._") or "dataset"


def _metric_type(result: Result) -> str:
    return "accuracy" if result.is_accuracy else result.metric
