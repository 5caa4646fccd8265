"""`stzoo list`: what the zoo has. torch is not imported."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.card import Bundled, Card
from stzoo.cli.drawing import UNKNOWN, accuracy, billions, megabytes, plain_table, print_parts
from stzoo.errors import HubError, ModelNotFoundError, UsageError, did_you_mean

if TYPE_CHECKING:
    from stzoo.bundle import Bundle

format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text for people, json for programs.",
)


@dataclass(frozen=True)
class Row:
    """A line of the list. What is unknown because nobody has trained the model is None, and `metrics` are empty.

    `multiply_adds` are those of one clip, `metrics` what was measured, `paper` what Zhou et al. 2020 print.
    """

    name: str
    title: str
    dataset: str
    task: str
    backbone: str
    strategy: str
    parameters: int | None
    multiply_adds: int | None
    bytes: int | None
    metrics: list[dict[str, Any]]
    paper: list[dict[str, Any]]
    weights: str
    bundled: bool

    @classmethod
    def of(cls, card: Card | None, opened: Opened | None) -> Row:
        """What a card and an opened bundle say together; one of them may be missing."""
        bundle = opened.bundle if opened else None
        net = card.net if card else None
        label = "/".join(bundle.strategy.counts()) if bundle is not None else UNKNOWN
        return cls(
            name=card.name if card else bundle.name if bundle else UNKNOWN,
            title=card.title if card else "",
            dataset=card.dataset if card else "",
            task=card.task if card else "",
            backbone=card.backbone if card else bundle.strategy.backbone if bundle else UNKNOWN,
            strategy=card.strategy if card else label,
            parameters=opened.parameters if opened else net.parameters if net else None,
            multiply_adds=bundle.config.multiply_adds if bundle else net.multiply_adds if net else None,
            bytes=opened.bytes if opened else None,
            metrics=[result.model_dump(mode="json", exclude_none=True) for result in bundle.metrics] if bundle else [],
            paper=[quoted.model_dump(mode="json", exclude_none=True) for quoted in card.paper] if card else [],
            weights=_where(card, bundle is not None),
            bundled=card is not None and isinstance(card.weights, Bundled) and bundle is not None,
        )


@dataclass(frozen=True)
class Opened:
    """A bundle, the parameters of its net and the bytes of its weights file."""

    bundle: Bundle
    parameters: int
    bytes: int

    @classmethod
    def of(cls, folder: Path) -> Opened:
        """Reads a bundle's folder. Raises `BundleError`."""
        from stzoo import bundle as bundles

        parameters = bundles.parameter_count(bundles.weight_shapes(folder))
        return cls(bundles.read(folder), parameters, (folder / bundles.MODEL).stat().st_size)


@click.command("list")
@click.argument("pattern", default="*")
@click.option("--dataset", help="Only models of this dataset, such as camera, k400 or Kinetics-400.")
@click.option("--max-params", type=click.FloatRange(min=0), help="Only models of at most so many million parameters.")
@click.option("--bundled", is_flag=True, help="Only models whose weights are in the package.")
@format_option
def list_models_command(
    pattern: str, dataset: str | None, max_params: float | None, bundled: bool, format_: str
) -> None:
    """List the models of the zoo, or those whose name matches PATTERN, such as 'camera-*'.

    The accuracy is the one on the split farthest from the training data, with its 95 % interval, as measured by whoever
    trained the model; what the paper publishes is shown by `stzoo show`. Multiply-adds are those of one clip.
    """
    from stzoo import card as cards
    from stzoo.hub import list_models

    found = [cards.named(name) for name in list_models(pattern)]
    if not found:
        raise ModelNotFoundError(f'no model matches "{pattern}"; `stzoo list` shows every model.')
    if dataset is not None:
        found = _of_dataset(found, dataset)
    models = [(card, _opened(card.name)) for card in found if not bundled or isinstance(card.weights, Bundled)]
    rows = [(Row.of(*model), model[1]) for model in models]
    if max_params is not None:
        rows = [(row, opened) for row, opened in rows if (row.parameters or float("inf")) <= max_params * 1e6]
    if format_ == "json":
        click.echo(json.dumps([asdict(row) for row, _ in rows], indent=2, ensure_ascii=False))
    elif rows:
        print_parts(*_listing(rows))
    else:
        raise ModelNotFoundError("no model is left after these filters; `stzoo list` shows every model.")


def _of_dataset(found: list[Card], dataset: str) -> list[Card]:
    """The cards of a dataset, by its own name or by the one that models' names begin with."""
    known = {key: card.dataset for card in found for key in (card.dataset.lower(), card.name.partition("-")[0].lower())}
    if dataset.lower() not in known:
        raise UsageError(
            f'no model is of the dataset "{dataset}".{did_you_mean(dataset, known)} '
            f"There are {', '.join(dict.fromkeys(known.values()))}."
        )
    return [card for card in found if card.dataset == known[dataset.lower()]]


def _opened(name: str) -> Opened | None:
    """The bundle behind a name of the zoo, or None where it has no weights here; the Hub is not asked."""
    from stzoo.hub import find

    try:
        folder = find(name, offline=True).folder
    except (ModelNotFoundError, HubError):
        return None
    return Opened.of(folder)


def _listing(rows: Iterable[tuple[Row, Opened | None]]) -> list[Any]:
    """The table, and the protocols that its accuracies were measured with."""
    from rich.text import Text

    table = plain_table(
        "name",
        "dataset",
        "task",
        "backbone",
        "strategy",
        "parameters:right",
        "mult-adds:right",
        "accuracy:right",
        "on",
        "size:right",
        "weights",
    )
    protocols: list[str] = []
    for row, opened in rows:
        headline = opened.bundle.headline if opened else None
        if headline is not None and headline.protocol not in protocols:
            protocols.append(headline.protocol)
        table.add_row(
            Text(row.name, style="bold"),
            row.dataset,
            row.task,
            row.backbone,
            row.strategy,
            f"{row.parameters:,}" if row.parameters is not None else UNKNOWN,
            billions(row.multiply_adds),
            accuracy(headline),
            f"{headline.split}, n = {headline.n}" if headline else UNKNOWN,
            megabytes(row.bytes),
            row.weights,
        )
    return [table, *(Text(f"Measured: {protocol}.", style="dim") for protocol in protocols)]


def _where(card: Card | None, found: bool) -> str:
    if card is None:
        return "in its folder"
    return card.where if found or not isinstance(card.weights, Bundled) else "missing from this installation"
