"""`stzoo list`: what the zoo has. torch is not imported."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

from stzoo.card import Bundled, Card
from stzoo.cli.drawing import UNKNOWN, accuracy, billions, console, fits, megabytes, millions, plain_table, print_parts
from stzoo.cli.options import format_option_of
from stzoo.errors import HubError, ModelNotFoundError, UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from stzoo.bundle import Bundle, Result
    from stzoo.zoo.reference import Location

_HEADINGS = {
    "name": "name",
    "task": "task",
    "backbone": "backbone",
    "strategy": "strategy",
    "parameters": "params:right",
    "multiply-adds": "mult-adds:right",
    "accuracy": "accuracy, %",
    "size": "size:right",
    "weights": "weights",
}
_FACTS = (
    "name", "title", "dataset", "task", "backbone", "strategy", "parameters", "multiply_adds", "bytes", "weights",
    "bundled",
)  # fmt: skip
_MEASURED = ("metric", "value", "low", "high", "n", "split", "protocol", "model")
"""Columns of the CSV: fields of `ModelLine` and of `Result`."""
_DISPENSABLE = ("size", "strategy", "backbone", "multiply-adds", "task")
"""The columns that a narrow terminal has no room for, the first to go first."""
_STRATEGY = (
    "Strategy: the branches open at every place of the network, S over the picture, ST over picture and time; Opt: "
    "chosen place by place; 2/2/11: S at 2 places, ST at 2, S+ST at 11."
)


@dataclass(frozen=True)
class ModelLine:
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
    def of(cls, card: Card | None, opened: Opened | None) -> ModelLine:
        """What a card and an opened bundle say together; one of them may be missing."""
        bundle = opened.bundle if opened else None
        net = card.net if card else None
        label = "/".join(bundle.strategy.counts()) if bundle is not None else UNKNOWN
        return cls(
            name=card.name if card else bundle.name if bundle else UNKNOWN,
            title=card.title if card else "",
            dataset=card.dataset if card else "",
            task=card.task if card else "",
            backbone=bundle.strategy.backbone if bundle else card.backbone if card else UNKNOWN,
            strategy=card.strategy if card else label,
            parameters=opened.parameters if opened else net.parameters if net else None,
            multiply_adds=bundle.config.multiply_adds if bundle else net.multiply_adds if net else None,
            bytes=opened.bytes if opened else None,
            metrics=[result.model_dump(mode="json", exclude_none=True) for result in bundle.metrics] if bundle else [],
            paper=[quoted.model_dump(mode="json", exclude_none=True) for quoted in card.paper] if card else [],
            weights=_where(card, opened),
            bundled=card is not None and isinstance(card.weights, Bundled) and bundle is not None,
        )


@dataclass(frozen=True)
class Opened:
    """A bundle, the parameters of its net, the bytes of its weights file, and the Hub repository that it came from."""

    bundle: Bundle
    parameters: int
    bytes: int
    repository: str | None = None

    @classmethod
    def at(cls, location: Location) -> Opened:
        """Reads the folder of a location. Raises `BundleError`."""
        from stzoo import bundle as bundles

        folder = location.folder
        parameters = bundles.parameter_count(bundles.weight_shapes(folder))
        repository = location.repository.id if location.repository is not None else None
        return cls(bundles.read(folder), parameters, (folder / bundles.MODEL).stat().st_size, repository)


class _Entry(NamedTuple):
    """A line of the list, and the accuracy that its table quotes."""

    line: ModelLine
    headline: Result | None

    @classmethod
    def of(cls, card: Card) -> _Entry:
        opened = _opened(card)
        return cls(ModelLine.of(card, opened), opened.bundle.headline if opened else None)


@click.command("list")
@click.argument("pattern", default="*")
@click.option("--dataset", help="Only models of this dataset, such as camera, k400 or Kinetics-400.")
@click.option("--max-params", type=click.FloatRange(min=0), help="Only models of at most so many million parameters.")
@click.option(
    "--source",
    type=click.Choice(["stzoo", "torchvision"]),
    default="stzoo",
    show_default=True,
    help="Whose models: the zoo's own, or the nets that torchvision publishes, with its numbers.",
)
@click.option("--bundled", is_flag=True, help="Only models whose weights are in the package.")
@format_option_of("text", "json", "csv", default="text", help="text for people, json or csv for programs.")
def list_models_command(
    pattern: str, dataset: str | None, max_params: float | None, source: str, bundled: bool, format_: str
) -> None:
    """List the models of the zoo, or those whose name matches PATTERN, such as 'camera-*'.

    The accuracy is the one on the split farthest from the training data, with its 95 % interval, as measured by whoever
    trained the model; what the paper publishes is shown by `stzoo show`. Multiply-adds are those of one clip.
    """
    from stzoo import card as cards
    from stzoo.zoo.loading import list_models

    if source == "torchvision":
        from stzoo.cli.torchvision import list_nets

        if dataset is not None or bundled:
            raise UsageError("--dataset and --bundled are about the zoo's own models; leave them out")
        list_nets(pattern, max_params, format_)
        return
    matching = [cards.named(name) for name in list_models(pattern)]
    if not matching:
        raise ModelNotFoundError(f'no model matches "{pattern}"; `stzoo list` shows every model.')
    if dataset is not None:
        matching = _of_dataset(matching, dataset)
    entries = [_Entry.of(card) for card in matching if not bundled or isinstance(card.weights, Bundled)]
    if max_params is not None:
        entries = [entry for entry in entries if (entry.line.parameters or float("inf")) <= max_params * 1e6]
    if format_ == "json":
        click.echo(json.dumps([asdict(entry.line) for entry in entries], indent=2, ensure_ascii=False))
    elif format_ == "csv":
        click.echo(_csv(entries), nl=False)
    elif entries:
        output = console()
        print_parts(*_parts(entries, output), output=output)
    else:
        raise ModelNotFoundError("no model is left after these filters; `stzoo list` shows every model.")


def _csv(entries: Sequence[_Entry]) -> str:
    """A line a model: what is known of it, and the accuracy that the table quotes, as a fraction with its protocol."""
    stream = io.StringIO()
    table = csv.DictWriter(stream, [*_FACTS, *_MEASURED], lineterminator="\n")
    table.writeheader()
    for line, headline in entries:
        measured = {} if headline is None else headline.model_dump(mode="json", include=set(_MEASURED))
        table.writerow({name: getattr(line, name) for name in _FACTS} | measured)
    return stream.getvalue()


def _of_dataset(listed: list[Card], dataset: str) -> list[Card]:
    """The cards of a dataset, by its own name or by the one that models' names begin with."""
    known = {
        key: card.dataset for card in listed for key in (card.dataset.lower(), card.name.partition("-")[0].lower())
    }
    if dataset.lower() not in known:
        raise UsageError(
            f'no model is of the dataset "{dataset}".{did_you_mean(dataset, known)} '
            f"There are {', '.join(dict.fromkeys(known.values()))}."
        )
    return [card for card in listed if card.dataset == known[dataset.lower()]]


def _opened(card: Card) -> Opened | None:
    """The bundle of a card, or None where it has no weights here; the Hub is not asked."""
    from stzoo.zoo.reference import find, serving

    if card.weights == "none" and serving() is None:
        return None
    try:
        return Opened.at(find(card.name, offline=True))
    except (ModelNotFoundError, HubError):
        return None


def _parts(entries: Sequence[_Entry], output: Console) -> list[Any]:
    """The table, what its accuracies were measured on, and which columns had no room."""
    from rich.text import Text

    on: list[str] = []
    lines = [(entry.line.dataset, _cells(entry, on)) for entry in entries]
    left_out: tuple[str, ...] = ()
    while not fits(table := _table(lines, left_out), output) and len(left_out) < len(_DISPENSABLE):
        left_out = _DISPENSABLE[: len(left_out) + 1]
    parts: list[Any] = [table, *(Text(f"{_raised(number)} {text}.", style="dim") for number, text in enumerate(on, 1))]
    if "strategy" not in left_out:
        parts.append(Text(_STRATEGY, style="dim"))
    if left_out:
        parts.append(Text(f"No room for {', '.join(left_out)}; --format json says everything.", style="dim"))
    return parts


def _table(lines: Sequence[tuple[str, dict[str, str | Text]]], left_out: Sequence[str]) -> Table:
    """One line a model, datasets set apart."""
    table = plain_table(*(heading for column, heading in _HEADINGS.items() if column not in left_out))
    for index, (dataset, cells) in enumerate(lines):
        is_last = lines[index + 1 : index + 2] != [] and lines[index + 1][0] != dataset
        table.add_row(*(cell for column, cell in cells.items() if column not in left_out), end_section=is_last)
    return table


def _cells(entry: _Entry, on: list[str]) -> dict[str, str | Text]:
    """What a line of the table says, by column. What an accuracy was measured on is added to `on`."""
    from rich.text import Text

    line, headline = entry
    mark = ""
    if headline is not None:
        measured = f"{headline.dataset}, {headline.split}, {headline.n} videos: {headline.protocol}"
        if measured not in on:
            on.append(measured)
        mark = f" {_raised(on.index(measured) + 1)}"
    return {
        "name": Text(line.name, style="bold"),
        "task": line.task,
        "backbone": line.backbone,
        "strategy": line.strategy,
        "parameters": millions(line.parameters),
        "multiply-adds": billions(line.multiply_adds),
        "accuracy": accuracy(headline) + mark,
        "size": megabytes(line.bytes),
        "weights": line.weights,
    }


def _raised(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _where(card: Card | None, opened: Opened | None) -> str:
    """Where the weights are, in words."""
    from stzoo.zoo.reference import serving

    if opened is not None and opened.repository is not None:
        return opened.repository
    if card is None:
        return "in its folder"
    if opened is None and isinstance(card.weights, Bundled):
        return "missing from this installation"
    if opened is None and (organisation := serving()) is not None:
        return f"not fetched from {organisation}"
    return card.where
