"""What machines read of a bundle on the Hub: the card's front matter, and `.eval_results`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from stzoo.bundle.schema import Bundle, Result
from stzoo.card import Card
from stzoo.files import slug

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_TASK = "video-classification"
_TAGS = (_TASK, "action-recognition", "3d-cnn", "spatiotemporal-fusion", "stzoo")
_ORDER = ("library_name", "pipeline_tag", "license", "tags", "datasets", "metrics", "model-index")


def front_matter(bundle: Bundle, card: Card | None) -> dict[str, Any]:
    """The Hub's metadata: library, task, licence, tags, and the measured numbers as `model-index`.

    The licence and the Hub's name of the dataset are the card's; where it has none, nothing is said of them.
    """
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        library_name="stzoo",
        pipeline_tag=_TASK,
        license=card.license if card is not None else None,
        tags=list(_TAGS),
        datasets=[card.hub_dataset] if card is not None and card.hub_dataset is not None else None,
        metrics=sorted({_metric_type(result) for result in bundle.metrics}) or None,
        model_name=bundle.name,
        eval_results=[_eval_result(result, card) for result in bundle.metrics] or None,
    ).to_dict()
    return {key: data[key] for key in _ORDER if key in data}


def eval_results(bundle: Bundle, card: Card | None) -> dict[str, str]:
    """The files of `.eval_results` by their path: one a dataset, in which every number has an entry."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries: dict[str, list[EvalResultEntry]] = {}
    for result in bundle.metrics:
        interval = f", 95 % interval {result.low} to {result.high}" if result.low is not None else ""
        entry = EvalResultEntry(
            dataset_id=_dataset(result, card),
            task_id=f"{result.split}-{result.metric}",
            value=result.value,
            notes=f"{result.protocol}; n = {result.n}{interval}",
        )
        entries.setdefault(f".eval_results/{_hub_name(result.dataset)}.yaml", []).append(entry)
    return {
        path: yaml.safe_dump(eval_result_entries_to_yaml(listed), sort_keys=False, width=1000)
        for path, listed in entries.items()
    }


def _eval_result(result: Result, card: Card | None) -> EvalResult:
    """A measured number as the Hub's client knows them."""
    from huggingface_hub import EvalResult

    interval = {} if result.low is None else {"interval_95": [result.low, result.high]}
    return EvalResult(
        task_type=_TASK,
        task_name="Video Classification",
        dataset_type=_dataset(result, card),
        dataset_name=result.dataset,
        dataset_split=result.split,
        metric_type=_metric_type(result),
        metric_name=result.metric,
        metric_value=result.value,
        metric_args={"protocol": result.protocol, "n": result.n, **interval},
    )


def _dataset(result: Result, card: Card | None) -> str:
    """The dataset's name on the Hub, which the card says of its own one, or the name as the Hub would write it."""
    if card is not None and card.hub_dataset is not None and card.dataset == result.dataset:
        return card.hub_dataset
    return _hub_name(result.dataset)


def _hub_name(name: str) -> str:
    return slug(name.lower(), "a-z0-9._", "dataset")


def _metric_type(result: Result) -> str:
    return "accuracy" if result.is_accuracy else result.metric
